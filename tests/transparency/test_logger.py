"""The logger in the background: who waits is told when the log covers what it waits for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from gateway.server.line import line_within
from gateway.storage.engines import Engines
from gateway.storage.turn import LOGGING, open_turn
from gateway.transparency.logger import DisclosureLogger
from gateway.transparency.progress import LogProgress
from tests.clock import NOW, StandingClock
from tests.installation import eventually
from tests.transparency.mapped import LICENCE, SUBJECTS, Mapped


@asynccontextmanager
async def logging(mapped: Mapped, clock: StandingClock) -> AsyncGenerator[LogProgress]:
    """Run a logger of its own on a store, and tell how far it has come."""
    waiting, working = line_within()
    progress = LogProgress(mapped.engines.evidence, partial(waiting.tell, LOGGING))
    waiting.listen(LOGGING, progress.stepped)
    logger = DisclosureLogger(
        mapped.writer, mapped.engines.evidence, clock, 0.05, stepped=partial(working.tell, LOGGING)
    )
    working.listen(LOGGING, logger.nudge)
    await logger.start()
    yield progress
    await progress.stop()
    await logger.stop()


def size_of(mapped: Mapped) -> int:
    """Return how many entries are signed."""
    latest = mapped.log.latest()
    return 0 if latest is None else latest.size


async def test_who_waits_for_an_event_is_told_once_a_checkpoint_covers_it(
    engines: Engines,
) -> None:
    mapped, clock = Mapped(engines), StandingClock()
    async with logging(mapped, clock) as progress:
        assert await progress.covers(0, 5)
        await asyncio.to_thread(mapped.publish, SUBJECTS[0], LICENCE)
        waited = await asyncio.gather(*(progress.covers(1, 5) for _ in range(3)))
        assert waited == [True] * 3
        assert not await progress.covers(2, 0.1)


async def test_what_another_process_writes_is_seen_and_what_nobody_writes_is_not(
    engines: Engines,
) -> None:
    mapped, clock = Mapped(engines), StandingClock()
    mapped.publish(SUBJECTS[0], LICENCE)
    other = open_turn(engines.evidence, LOGGING)
    assert other.taken()
    async with logging(mapped, clock) as progress:
        assert not await progress.covers(1, 0.2)
        waiting = asyncio.create_task(progress.covers(1, 5))
        await asyncio.to_thread(mapped.follow)
        assert await waiting
        other.give_up()


async def test_nothing_is_appended_until_an_event_or_time_changes_something(
    engines: Engines,
) -> None:
    mapped, clock = Mapped(engines), StandingClock()
    mapped.publish(SUBJECTS[0], LICENCE, until=NOW + 60)
    async with logging(mapped, clock) as progress:
        assert await progress.covers(1, 5)
        before = size_of(mapped)
        await asyncio.sleep(0.3)
        assert size_of(mapped) == before
        clock.at = mapped.now = NOW + 60

        async def expired() -> bool:
            return size_of(mapped) == before + 1

        await eventually(expired)
        await asyncio.sleep(0.2)
        assert size_of(mapped) == before + 1
        mapped.require_map_of_the_disclosure()
