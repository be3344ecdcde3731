"""Writes that wait at a moment are made in one, and each is told of its own."""

import asyncio
from collections.abc import Sequence
from threading import Event

import pytest
from sqlalchemy.exc import OperationalError

from gateway.storage.together import Together
from tests.installation import eventually


class Page:
    """What was written, by the write; the first waits until it is let go."""

    def __init__(self) -> None:
        self.writes: list[list[int]] = []
        self.may = Event()
        self.fails: Exception = ValueError()

    def write(self, items: Sequence[int]) -> list[int]:
        """Write numbers, and tell of each what it is ten times; zero cannot be written."""
        self.writes.append(list(items))
        assert self.may.wait(5), "nobody lets it go"
        if 0 in items or isinstance(self.fails, OperationalError):
            raise self.fails
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


async def test_what_cannot_be_written_keeps_nothing_else_from_it() -> None:
    page = Page()
    page.may.set()
    together = Together("page", page.write)
    told = await asyncio.gather(*map(together.written, (1, 0, 2)), return_exceptions=True)
    assert (told[0], type(told[1]), told[2]) == (10, ValueError, 20)
    assert await together.written(3) == 30
    await together.close()


async def test_where_the_store_fails_all_hear_of_it_and_none_is_tried_by_itself() -> None:
    page = Page()
    page.may.set()
    page.fails = OperationalError("write", {}, ValueError())
    together = Together("page", page.write)
    told = await asyncio.gather(*map(together.written, (1, 2)), return_exceptions=True)
    assert told == [page.fails, page.fails]
    assert page.writes == [[1, 2]]
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
