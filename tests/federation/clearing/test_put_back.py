"""Regions of which one was put back from a copy clear again, and nothing twice."""

from pathlib import Path

import pytest

from tests.federation.clearing.world import FEE, JumpingClock, World
from tests.federation.put_back import Regions, running


class _Clearing:
    """Two regions, and what they clear as they are now."""

    def __init__(self, clock: JumpingClock, regions: Regions) -> None:
        self._clock = clock
        self._regions = regions

    def world(self) -> World:
        regions = self._regions
        return World(self._clock, regions.anchor, regions["one"], regions["two"])

    async def entries(self) -> int:
        """Clear, and return how many entries were agreed, each for what a record costs."""
        async with self.world() as world:
            cleared = await world.run()
        assert cleared.owed_micro_yuan + cleared.due_micro_yuan == FEE * cleared.agreed_entries
        return cleared.agreed_entries

    async def listed(self, name: str) -> list[int]:
        """Return until when the clearings are that a region lists."""
        async with self.world() as world:
            clearings = await world.clearings(self._regions[name])
        return [each.until_time.seconds for each in clearings]

    async def disputes(self, name: str) -> int:
        """Return how many disputes a region has."""
        async with self.world() as world:
            return len(await world.disputes(self._regions[name]))


@pytest.mark.parametrize("name", ["two", pytest.param("one", marks=pytest.mark.soak)])
async def test_what_was_cleared_after_the_copy_is_handed_back_and_stands(
    name: str, tmp_path: Path
) -> None:
    clock = JumpingClock()
    async with running(tmp_path, clock) as regions:
        clearing = _Clearing(clock, regions)
        await regions.hold()
        assert await clearing.entries() == 1
        for _ in range(2):
            await regions.hold()
        await regions.copy(name)
        assert await clearing.entries() == 2
        await regions.put_back(name)
        await regions.hold()
        assert await clearing.entries() == 1
        both = [await clearing.listed(each) for each in ("one", "two")]
        assert both[0] == both[1]
        assert len(both[0]) == 3
        assert [await clearing.disputes(each) for each in ("one", "two")] == [0, 0]
