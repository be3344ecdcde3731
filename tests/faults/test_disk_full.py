"""A region whose disk is full passes nothing on that it cannot meter, and goes on when there is
room: on a file system that is full (ENOSPC), and where its files may not grow (EFBIG)."""

import resource
import subprocess
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest
import pytest_asyncio

from gateway.federation.asking.circuit import LONGEST_REST_SECONDS
from tests.faults.ledgers import broken_promises
from tests.faults.model import Answer
from tests.faults.regions import Region, open_country
from tests.faults.watching import Watcher, furnished, watching, whole
from tests.federation.asking.world import company
from tests.installation import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
_ROOM: Final = "64m"
_MOST_QUESTIONS: Final = 300
_SUBJECTS: Final = 6
_LARGEST_FILE: Final = 65_536
_AT_ONCE: Final = 1 << 20


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a file system of its own for each region, of `_ROOM`, where that can be had."""
    folder = Path(tmp_path_factory.mktemp("disks"))
    with ExitStack() as stack:
        for name in ("one", "two"):
            at = folder / name
            at.mkdir()
            mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", at]
            if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
                stack.callback(subprocess.run, ["umount", "--lazy", at], check=True)
        yield folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watcher(disks: Path) -> AsyncIterator[Watcher]:
    """Who watches a country whose regions have little room."""
    async with (
        open_country(disks, "one", "two", furnish=furnished) as opened,
        watching(opened) as watcher,
    ):
        await whole(watcher)
        yield watcher


@contextmanager
def full(region: Region) -> Generator[None]:
    """Leave a region's file system no room."""
    folder = region.installation.folder
    if not folder.is_mount():
        pytest.skip("no file system can be mounted here, so none was full")
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        size = _AT_ONCE
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def limited(region: Region) -> Generator[None]:
    """Let no file of a region grow."""
    assert region.process is not None
    process = psutil.Process(region.process.pid)
    before = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, before[1]))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, before)


async def refused_at_last(watcher: Watcher, subjects: list[str]) -> Answer:
    """Ask until it is not answered any more: room that was had before is used up first."""
    for _ in range(_MOST_QUESTIONS):
        answer = await watcher.ask(subjects, seconds=2)
        if answer.refused or set(answer.ends.values()) != {"ANSWERED"}:
            return answer
    raise AssertionError("a full disk held all the same")


@pytest.mark.parametrize(
    ("name", "shrunk"),
    [
        ("one", full),
        ("two", limited),
        pytest.param("one", limited, marks=pytest.mark.soak),
        pytest.param("two", full, marks=pytest.mark.soak),
    ],
)
async def test_a_region_without_room_answers_nothing_it_cannot_meter_and_then_goes_on(
    watcher: Watcher, name: str, shrunk: Callable[[Region], AbstractContextManager[None]]
) -> None:
    country, subjects = watcher.country, [company("two") for _ in range(_SUBJECTS)]
    two = country.two
    for subject in subjects:
        await watcher.publish(two, subject)
    with shrunk(country.regions[name]):
        first = await refused_at_last(watcher, subjects)
        told = [first, await watcher.ask(subjects, seconds=2)]
    for answer in told:
        # "one" cannot even note that it was asked, "two" is named by it; what is followed of
        # other regions may be older than the lease by then.
        if answer.refused:
            allowed = {"FEDERATION_UNKNOWN"} | (
                {"TEMPORARILY_UNAVAILABLE"} if name == "one" else set()
            )
            assert answer.refused in allowed
        else:
            assert answer.ends[two.issuer] in {"REFUSED", "LATE"}

        async def answered(request_id: str = answer.request_id) -> bool:
            again = await watcher.ask(subjects, request_id=request_id)
            return again.ends == {two.issuer: "ANSWERED"}

        # Who asks may leave a region alone for so long that failed several times.
        await eventually(answered, LONGEST_REST_SECONDS + 10)
    await whole(watcher)
    assert broken_promises(watcher) == []
