"""Proofs of many at once: they are made a few at a time, so that no other call is held up."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.respond.map_turns import MapTurns
from gateway.respond.proof_sets import Serving
from gateway.storage.engines import Engines
from gateway.transparency.map_openness import Openness
from gateway.transparency.map_reader import FEW, MapReader
from gateway.transparency.map_sets import MapProofs, SubjectAsk
from tests.clock import NOW
from tests.respond.world import World
from tests.transparency.mapped import LICENCE, Mapped, admitted


class Counted:
    """A map that notes how much it is asked at once."""

    def __init__(self, reader: MapReader) -> None:
        self._reader = reader
        self.asked: list[int] = []

    async def proofs(self, asks: Sequence[SubjectAsk]) -> MapProofs:
        """See the port."""
        self.asked.append(len(asks))
        return await self._reader.proofs(asks)

    async def openness(self) -> Openness:
        """See the port."""
        return await self._reader.openness()

    def close(self) -> None:
        """See the port."""
        self._reader.close()


@pytest.fixture
async def counted(engines: Engines) -> AsyncIterator[Counted]:
    """A map with a record of one subject."""
    mapped = Mapped(engines)
    mapped.publish_all([admitted("r-1", f"{1:018d}", LICENCE, NOW, None, "A")])
    mapped.follow()
    counted = Counted(mapped.reader)
    yield counted
    counted.close()


async def test_calls_that_come_at_once_share_readings_of_a_few(counted: Counted) -> None:
    turns = MapTurns(counted)
    asks = [SubjectAsk(f"{number:018d}", None, True, ()) for number in range(100)]
    found = await asyncio.gather(*(turns.proofs([ask]) for ask in asks))
    assert [proofs.subjects[0].subject for proofs in found] == [ask.subject for ask in asks]
    assert sum(counted.asked) == len(asks)
    assert max(counted.asked) == FEW


async def test_proving_a_chunk_gives_other_calls_their_turn(world: World) -> None:
    world.publish()
    world.logged()
    asks = [SubjectAsk(f"{number:018d}", None, True, ()) for number in range(400)]
    made = asyncio.create_task(
        world.proofs.complete(asks, Serving(0, (), {}), NOW, world.proofs.patience())
    )
    turns = 0
    while not made.done():
        await asyncio.sleep(0)
        turns += 1
    await made
    # The map is read in slices, and proofs are made of it in slices.
    assert turns >= 2 * len(asks) // FEW or world.engine.dialect.name == "postgresql"
