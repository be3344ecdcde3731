"""Questions that wait for news leave places to others, and end when the server does."""

import asyncio
import time
from typing import Any

import pytest
from starlette.requests import Request

from gateway.federation.trust.waiting import Waiting

TYPE = "application/test+jwt"


class Source:
    """News that a test makes."""

    def __init__(self) -> None:
        self.number = 1
        self.waiting = Waiting(lambda: self.number, lambda: f"news {self.number}", TYPE)

    async def ask(self, host: str = "192.0.2.1", **query: int) -> Any:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        scope = {
            "type": "http",
            "query_string": text.encode(),
            "headers": [],
            "client": (host, 1),
        }
        return await self.waiting.answer(Request(scope))


@pytest.fixture
def source() -> Source:
    return Source()


async def test_news_that_is_there_is_told_at_once_and_never_cached(source: Source) -> None:
    for after, wait in ((-1, 0), (0, 30), (2, 30)):
        answer = await source.ask(after=after, wait=wait)
        assert answer.body == b"news 1"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.media_type == TYPE


async def test_nobody_holds_so_many_places_that_others_do_not_wait(source: Source) -> None:
    held = [asyncio.create_task(source.ask(after=1, wait=30)) for _ in range(16)]
    await asyncio.sleep(0)
    began = time.monotonic()
    # The seventeenth of one address is told what there is.
    await source.ask(after=1, wait=30)
    assert time.monotonic() - began < 1
    other = asyncio.create_task(source.ask("192.0.2.2", after=1, wait=30))
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in (*held, other))
    source.number = 2
    answers = await asyncio.wait_for(asyncio.gather(*held, other), 2)
    assert {answer.body for answer in answers} == {b"news 2"}
    # Their places are free again.
    again = asyncio.create_task(source.ask(after=2, wait=30))
    await asyncio.sleep(0.1)
    assert not again.done()
    source.waiting.end()
    assert (await asyncio.wait_for(again, 2)).body == b"news 2"
