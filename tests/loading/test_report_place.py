"""The rejects report takes no file's place but that of an earlier one."""

import os
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from sdk.loading.load import LoadSummary, load
from sdk.loading.rows import SourceRefused
from tests.loading.files import registration, write_csv
from tests.loading.site import Site

Served = tuple[Site, grpc.aio.Channel]


async def loading(served: Served, source: Path, report: Path) -> LoadSummary:
    """Load without watching."""
    return await load(served[1], source, report=report, progress=lambda _: None)


@pytest.mark.parametrize("link", [os.symlink, os.link])
async def test_a_report_in_the_place_of_the_source_is_refused_under_any_name(
    on_sqlite: Served, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    source = write_csv(tmp_path / "own.csv", [registration(1)])
    written = source.read_bytes()
    link(source, tmp_path / "other.csv")
    for report in (source, tmp_path / "other.csv"):
        with pytest.raises(SourceRefused, match=rf"{report.name}.*choose another"):
            await loading(on_sqlite, source, report)
    assert source.read_bytes() == written
    assert on_sqlite[0].requests == []


@pytest.mark.parametrize("link", [os.symlink, os.link])
async def test_a_source_of_a_folder_at_the_place_of_the_report_is_not_passed_over(
    on_sqlite: Served, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    source = write_csv(tmp_path / "a.csv", [registration(1)])
    link(source, tmp_path / "b.csv")
    for report in (source, tmp_path / "b.csv"):
        with pytest.raises(SourceRefused, match=report.name):
            await loading(on_sqlite, tmp_path, report)
    assert on_sqlite[0].requests == []


async def test_a_file_of_another_kind_is_not_replaced_by_a_report(
    on_sqlite: Served, tmp_path: Path
) -> None:
    source = write_csv(tmp_path / "a.csv", [registration(1)])
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("item: penalty.administrative\n", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for report in (mapping, tmp_path / "pipe", tmp_path / "folder"):
        with pytest.raises(SourceRefused, match=report.name):
            await loading(on_sqlite, source, report)
    assert on_sqlite[0].requests == []


async def test_an_earlier_report_is_no_source_though_it_was_named(
    on_sqlite: Served, tmp_path: Path
) -> None:
    report = tmp_path / "rejects.csv"
    await loading(on_sqlite, write_csv(tmp_path / "a.csv", [registration(1)]), report)
    with pytest.raises(SourceRefused, match=r"rejects\.csv"):
        await loading(on_sqlite, report, report)


async def test_a_folder_of_nothing_but_an_earlier_report_is_refused(
    on_sqlite: Served, tmp_path: Path
) -> None:
    report = tmp_path / "folder" / "rejects.csv"
    report.parent.mkdir()
    await loading(on_sqlite, write_csv(tmp_path / "a.csv", [registration(1)]), report)
    with pytest.raises(SourceRefused, match="no file"):
        await loading(on_sqlite, report.parent, report)


async def test_an_empty_file_and_a_report_saved_by_a_spreadsheet_are_replaced(
    on_sqlite: Served, tmp_path: Path
) -> None:
    source = write_csv(tmp_path / "a.csv", [registration(1)])
    empty = tmp_path / "empty.csv"
    empty.touch()
    await loading(on_sqlite, source, empty)
    saved = tmp_path / "saved.csv"
    saved.write_bytes(b"\xef\xbb\xbf" + empty.read_bytes())
    await loading(on_sqlite, source, saved)
    assert saved.read_bytes() == empty.read_bytes()
