"""The line between who waits for background work and who does it."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from gateway.server.line import Between, line_within
from gateway.storage.turn import DECISIONS, LOGGING, USAGE
from tests.installation import eventually


@contextmanager
def between(servers: int) -> Generator[tuple[Between, list[Between]]]:
    """Give the keeper's end of a line, and that of each process that serves."""
    with ExitStack() as stack:
        pairs = [
            [stack.enter_context(end) for end in socket.socketpair(type=socket.SOCK_DGRAM)]
            for _ in range(servers)
        ]
        keeper, *serving = (
            Between(ends) for ends in ([end for end, _ in pairs], *([end] for _, end in pairs))
        )
        for line in (keeper, *serving):
            line.open()
            stack.callback(line.close)
        yield keeper, serving


def test_within_a_process_each_end_hears_at_once_what_the_other_says_and_no_more() -> None:
    waiting, working = line_within()
    heard: list[str] = []
    working.listen(LOGGING, lambda: heard.append("hurry"))
    waiting.listen(LOGGING, lambda: heard.append("stepped"))
    waiting.tell(LOGGING)
    waiting.tell(USAGE)
    assert heard == ["hurry"]
    working.tell(LOGGING)
    assert heard == ["hurry", "stepped"]


async def test_the_keeper_hears_every_process_and_every_process_hears_the_keeper() -> None:
    heard: list[str] = []
    with between(2) as (keeper, serving):
        for work in (LOGGING, USAGE):
            keeper.listen(work, lambda work=work: heard.append(work.name))
        for number, line in enumerate(serving):
            line.listen(LOGGING, lambda number=number: heard.append(f"{number} stepped"))
        serving[0].tell(LOGGING)
        serving[1].tell(USAGE)
        serving[1].tell(DECISIONS)

        async def both() -> bool:
            return len(heard) == 2

        await eventually(both)
        assert sorted(heard) == [LOGGING.name, USAGE.name]
        heard.clear()
        keeper.tell(LOGGING)
        await eventually(both)
        assert sorted(heard) == ["0 stepped", "1 stepped"]


async def test_a_line_nobody_reads_holds_up_nobody_and_is_heard_once_it_is_read() -> None:
    with between(1) as (keeper, [serving]):
        heard: list[str] = []
        keeper.listen(LOGGING, lambda: heard.append("hurry"))
        for _ in range(10_000):
            serving.tell(LOGGING)
        assert heard == []

        async def some() -> bool:
            return bool(heard)

        await eventually(some)
        await asyncio.sleep(0.1)
        # Said again and again before it was heard, it is one thing.
        assert len(heard) < 100
