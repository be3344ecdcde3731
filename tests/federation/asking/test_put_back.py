"""A region is put back from a copy, and nobody misses what becomes of records since (G9)."""

from pathlib import Path

import pytest

from tests.federation.put_back import running


@pytest.mark.parametrize("name", ["two", pytest.param("one", marks=pytest.mark.soak)])
async def test_what_becomes_of_records_is_told_also_where_a_region_was_put_back(
    name: str, tmp_path: Path
) -> None:
    async with running(tmp_path) as regions:
        early, late, last = [await regions.hold() for _ in range(3)]
        await regions.copy(name)
        lost = await regions.hold()
        await regions.withdrawn(lost)
        (heard,) = await regions.told(0, lost)
        await regions.put_back(name)
        # By and by as many events as there were: the first has a place, or a number, told before.
        if name == "two":
            await regions.hold()
        await regions.withdrawn(early, late, last)
        told = await regions.told(heard[0], early, late, last)
        assert sorted(record for _, record in told) == sorted((early, late, last))
