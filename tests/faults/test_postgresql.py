"""A home region whose way to PostgreSQL fails answers nothing it cannot meter (G5), and goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.ledgers import broken_promises
from tests.faults.regions import open_country
from tests.faults.watching import Watcher, furnished, watching, whole
from tests.faults.way import Way, by_way, open_way
from tests.federation.asking.world import company
from tests.installation import eventually
from tests.own_server import OwnServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
_OTHERS = ("cut", "away", "slow")
"""Faults of which those asked in each run are the graver kind."""


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A PostgreSQL server of these tests' own."""
    started = OwnServer()
    yield started
    started.remove()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def way() -> AsyncIterator[Way]:
    """The way between the home region and PostgreSQL."""
    async with open_way() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watcher(
    tmp_path_factory: pytest.TempPathFactory, server: OwnServer, way: Way
) -> AsyncIterator[Watcher]:
    """Who watches a country whose home region keeps all in PostgreSQL."""
    folder = Path(tmp_path_factory.mktemp("country"))
    stores = {"two": (server.database, folder / "two")}
    by = {"two": by_way(server.database, way)}
    async with (
        open_country(
            folder, "one", "two", stores=stores, databases=by, furnish=furnished
        ) as opened,
        watching(opened) as watcher,
    ):
        await whole(watcher)
        yield watcher


@pytest.mark.parametrize(
    "fault",
    ["silent", "killed", *(pytest.param(fault, marks=pytest.mark.soak) for fault in _OTHERS)],
)
async def test_what_is_asked_while_the_way_to_postgresql_fails_is_named_and_metered_once(
    watcher: Watcher, way: Way, server: OwnServer, fault: str
) -> None:
    two, subjects = watcher.country.two, [company("two") for _ in range(3)]
    for subject in subjects:
        await watcher.publish(two, subject)
    asked = [
        asyncio.create_task(watcher.ask(subjects, seconds=1.5, by_second=number % 2 == 1))
        for number in range(4)
    ]
    await asyncio.sleep(0.05)
    match fault:
        case "silent":
            way.fall_silent()
        case "cut":
            way.cut()
        case "away":
            way.part()
        case "slow":
            way.delay = 0.05
        case _:
            await asyncio.to_thread(server.kill)
    told = await asyncio.gather(*asked)
    assert all(answer.ends.keys() == {two.issuer} for answer in told)
    if fault in {"silent", "away", "killed"}:
        during = await watcher.ask(subjects, seconds=1.5)
        assert during.ends[two.issuer] in {"LATE", "REFUSED", "UNREACHABLE"}
        told.append(during)
    if fault == "killed":
        await asyncio.to_thread(server.start)
    way.heal()
    if fault == "silent":
        way.cut()
    for answer in told:

        async def answered(request_id: str = answer.request_id) -> bool:
            again = await watcher.ask(subjects, request_id=request_id)
            return again.ends == {two.issuer: "ANSWERED"}

        await eventually(answered, 25)
    assert broken_promises(watcher) == []
