"""Writes that wait at a moment are made in one, and each is told of its own."""

import asyncio
from collections.abc import Sequence
from threading import Event

import pytest

from gateway.storage.together import Together
from tests.installation import eventually


class Page:
    """What was written, by the write; the first waits until it is let go."""

    def __init__(self) -> None:
        self.writes: list[list[int]] = []
        self.may = Event()

    def write(self, items: Sequence[int]) -> list[int]:
        """Write numbers, and tell of each what it is ten times; zero cannot be written."""
        self.writes.append(list(items))
        assert self.may.wait(5), "nobody lets it go"
        if 0 in items:
            raise ValueError
        return [10 * item for item in items]

    async def begun(self) -> bool:
        """Tell whether a write was begun."""
        return bool(self.writes)


async def test_those_that_come_while_one_is_written_are_written_together() -> None:
    page = Page()
    together = Together("page", page.write)
    first = [asyncio.create_task(together.written(item)) for item in (1, 2)]
    await eventually(page.begun)
    later = [asyncio.create_task(together.written(item)) for item in (3, 4, 5)]
    await asyncio.sleep(0)
    page.may.set()
    assert await asyncio.gather(*first, *later) == [10, 20, 30, 40, 50]
    assert page.writes == [[1, 2], [3, 4, 5]]
    assert await together.written(6) == 60
    await together.close()


async def test_whoever_is_in_a_write_that_fails_hears_of_it_and_others_go_on() -> None:
    page = Page()
    page.may.set()
    together = Together("page", page.write)
    told = await asyncio.gather(*map(together.written, (1, 0)), return_exceptions=True)
    assert [type(each) for each in told] == [ValueError, ValueError]
    assert await together.written(2) == 20
    await together.close()


async def test_whoever_waits_no_more_keeps_nobody_else_from_it() -> None:
    page = Page()
    together = Together("page", page.write)
    gone, stays = (asyncio.create_task(together.written(item)) for item in (1, 2))
    await eventually(page.begun)
    gone.cancel()
    page.may.set()
    assert await stays == 20
    with pytest.raises(asyncio.CancelledError):
        await gone
    await together.close()
    assert page.writes == [[1, 2]]
