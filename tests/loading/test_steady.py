"""Files that change while they are loaded, and such as only seem to."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from sdk.loading.load import LoadSummary, Progress, load
from sdk.loading.rows import SourceRefused
from tests.loading.files import registration, write_csv, write_jsonl, write_parquet
from tests.loading.site import Site

Served = tuple[Site, grpc.aio.Channel]
Happening = Callable[[Path], object]
_ROWS = [registration(number) for number in range(4_000)]
_OTHERS = [registration(number) for number in range(4_000, 8_000)]


def cut(path: Path) -> None:
    """Cut the file behind a whole line amid it."""
    content = path.read_bytes()
    os.truncate(path, content.index(b"\n", len(content) * 3 // 4) + 1)


def append(path: Path) -> None:
    """Write one more line behind the last."""
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines(keepends=True)[-1])


def write_over(path: Path) -> None:
    """Write other content of the same length into the file."""
    content = path.read_bytes()
    path.write_bytes(content.replace("虚构".encode(), "杜撰".encode()))
    assert path.stat().st_size == len(content)


def put_another(path: Path) -> None:
    """Put another file in its place."""
    other = (write_csv if path.suffix == ".csv" else write_jsonl)(path.parent / "other", _OTHERS)
    other.replace(path)


def move_away(path: Path) -> None:
    """Move the file to where nobody looks for it."""
    path.rename(path.parent / "done")


def put_its_copy(path: Path) -> None:
    """Put a copy in its place, with its time of writing."""
    copy = path.parent / "copy"
    shutil.copy2(path, copy)
    copy.replace(path)


async def loaded_while(
    channel: grpc.aio.Channel, source: Path, happening: Happening, report: Path
) -> LoadSummary:
    """Load a file to which something happens after the first batch."""
    happened: list[Progress] = []

    def progress(step: Progress) -> None:
        if not happened:
            happening(source)
        happened.append(step)

    return await load(channel, source, report=report, progress=progress)


@pytest.mark.parametrize("write", [write_csv, write_jsonl])
@pytest.mark.parametrize("happening", [cut, append, write_over, put_another])
async def test_a_file_that_changes_while_it_is_loaded_is_told_and_loaded_again(
    on_sqlite: Served, tmp_path: Path, write: Callable[..., Path], happening: Happening
) -> None:
    site, channel = on_sqlite
    report = tmp_path / "r.csv"
    source = write(tmp_path / ("x.csv" if write is write_csv else "x.jsonl"), _ROWS)
    with pytest.raises(SourceRefused, match=f"{source.name} changed while it was loaded"):
        await loaded_while(channel, source, happening, report)
    assert not report.exists()
    # Nothing that was read after the change was sent.
    assert all(
        "虚构测试有限公司" in record.content.decode()
        for request in site.requests
        for record in request.records
    )
    sent = sum(len(request.records) for request in site.requests)
    assert 1_000 <= sent < 4_000
    write(source, _ROWS)
    summary = await load(channel, source, report=report, progress=lambda _: None)
    assert (summary.published, summary.unchanged) == (4_000 - sent, sent)


async def test_a_parquet_file_that_is_written_anew_while_it_is_loaded_is_told(
    on_sqlite: Served, tmp_path: Path
) -> None:
    _, channel = on_sqlite
    source = write_parquet(tmp_path / "x.parquet", _ROWS)
    other = write_parquet(tmp_path / "other", _OTHERS)
    with pytest.raises(SourceRefused, match=r"x\.parquet changed while it was loaded"):
        await loaded_while(channel, source, other.replace, tmp_path / "r.csv")


@pytest.mark.parametrize("happening", [move_away, put_its_copy])
async def test_a_file_that_was_moved_or_put_back_as_it_was_is_loaded(
    on_sqlite: Served, tmp_path: Path, happening: Happening
) -> None:
    _, channel = on_sqlite
    source = write_csv(tmp_path / "x.csv", _ROWS)
    summary = await loaded_while(channel, source, happening, tmp_path / "r.csv")
    assert (summary.published, summary.rejected) == (4_000, 0)


async def test_a_file_that_changes_before_its_turn_is_read_as_it_is_then(
    on_sqlite: Served, tmp_path: Path
) -> None:
    _, channel = on_sqlite
    folder = tmp_path / "both"
    folder.mkdir()
    write_csv(folder / "a.csv", _ROWS[:1_000])
    later = write_csv(folder / "b.csv", _ROWS[1_000:])
    steps: list[Progress] = []

    def progress(step: Progress) -> None:
        if not steps:
            write_csv(later, _OTHERS)
        steps.append(step)

    summary = await load(channel, folder, report=tmp_path / "r.csv", progress=progress)
    assert (summary.files, summary.published) == (2, 5_000)
