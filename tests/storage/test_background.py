"""Work in the background: done when there is news, by one process, and never against others."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

import pytest

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.storage.background import BackgroundWork, Pace, Rounds
from gateway.storage.engines import Engines
from gateway.storage.turn import HOLDINGS, open_turn
from tests.installation import eventually

TICK = 0.01
OFTEN = Pace(TICK)
UNKNOWN = Refused(RefusalReason.REFUSAL_REASON_AUTHORITY_UNKNOWN, "not known", retry_after=1)


@dataclass
class Diary:
    """What is worked on, and when it was."""

    news: object = 0
    failing: Exception | None = None
    more: int = 0
    takes: float = 0.0
    at: list[float] = field(default_factory=list[float])

    async def once(self) -> bool:
        """Do a round."""
        self.at.append(monotonic())
        failing = self.failing
        await asyncio.sleep(self.takes)
        if failing is not None:
            raise failing
        self.more -= 1
        return self.more >= 0

    async def come_to(self, count: int) -> None:
        """Wait for so many rounds, and see that no more follow."""

        async def done() -> bool:
            return len(self.at) >= count

        await eventually(done)
        await asyncio.sleep(10 * TICK)
        assert len(self.at) == count


@asynccontextmanager
async def rounds(
    diary: Diary, pace: Pace = OFTEN, sign: Callable[[], object] | None = None
) -> AsyncGenerator[Rounds]:
    """Let rounds be done while the context lasts."""
    running = Rounds("rounds", diary.once, pace, sign=sign)
    running.start()
    yield running
    await running.stop()


async def test_a_round_is_done_for_news_and_for_a_nudge_and_not_without() -> None:
    diary = Diary()
    async with rounds(diary, sign=lambda: diary.news) as running:
        await diary.come_to(1)
        diary.news = 1
        await diary.come_to(2)
        running.nudge()
        await diary.come_to(3)


async def test_without_a_sign_a_round_is_done_with_every_tick() -> None:
    diary = Diary()
    async with rounds(diary):
        await asyncio.sleep(20 * TICK)
        assert len(diary.at) >= 5


async def test_what_is_committed_during_a_round_is_seen_by_another() -> None:
    diary = Diary(takes=5 * TICK)
    async with rounds(diary, sign=lambda: diary.news):
        await asyncio.sleep(2 * TICK)
        diary.news = 1
        await diary.come_to(2)


async def test_what_is_left_to_do_is_done_at_once() -> None:
    diary = Diary(more=20)
    async with rounds(diary, Pace(60), sign=lambda: diary.news):
        await diary.come_to(21)


async def test_rounds_take_no_more_than_their_share_whatever_there_is_to_do() -> None:
    diary = Diary(more=1_000, takes=2 * TICK)
    async with rounds(diary, Pace(TICK, share=0.25)) as running:
        for _ in range(40):
            running.nudge()
            await asyncio.sleep(TICK)
    gaps = [later - before for before, later in zip(diary.at, diary.at[1:], strict=False)]
    assert gaps
    assert min(gaps) >= 8 * TICK


async def test_a_slow_round_does_not_put_off_the_next_for_long() -> None:
    diary = Diary(takes=0.5)
    async with rounds(diary, Pace(TICK, share=0.02)):
        # By its share alone it would come 25 s later.
        async with asyncio.timeout(5):
            await diary.come_to(2)


async def test_nudged_rounds_are_apart() -> None:
    diary = Diary()
    async with rounds(diary, Pace(60, apart_seconds=5 * TICK)) as running:
        for _ in range(30):
            running.nudge()
            await asyncio.sleep(TICK)
    gaps = [later - before for before, later in zip(diary.at, diary.at[1:], strict=False)]
    assert gaps
    assert min(gaps) >= 5 * TICK


@pytest.mark.parametrize(("failing", "told"), [(RuntimeError("secret"), 1), (UNKNOWN, 0)])
async def test_what_failed_is_done_again_and_what_only_has_to_wait_is_no_error(
    failing: Exception, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    diary = Diary(failing=failing)
    async with rounds(diary, sign=lambda: diary.news):
        await asyncio.sleep(10 * TICK)
        assert len(diary.at) > 2
        diary.failing = None
        await diary.come_to(len(diary.at) + 1)
    # Once for many, and by its type.
    assert len(caplog.records) == told
    assert "secret" not in caplog.text


async def test_a_step_that_fails_keeps_none_of_the_others_and_is_taken_again(
    engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[str] = []

    def failing() -> None:
        taken.append("failing")
        raise UNKNOWN if len(taken) > 5 else RuntimeError("secret")

    work = BackgroundWork(
        engines.evidence,
        HOLDINGS,
        failing,
        lambda: taken.append("other"),
        pace=Pace(TICK),
        sign=lambda: 0,
    )
    await work.start()

    async def twice() -> bool:
        return taken[:4] == ["failing", "other"] * 2

    await eventually(twice)
    await work.stop()
    assert len(caplog.records) == 1
    assert "failing failed: RuntimeError" in caplog.text


async def test_one_process_works_and_another_once_that_has_ended(engines: Engines) -> None:
    worked: list[int] = []
    other = open_turn(engines.evidence, HOLDINGS)
    assert await asyncio.to_thread(other.taken)
    work = BackgroundWork(
        engines.evidence, HOLDINGS, lambda: worked.append(1), pace=Pace(TICK), sign=lambda: 0
    )
    await work.start()
    await asyncio.sleep(10 * TICK)
    assert not worked
    await asyncio.to_thread(other.give_up)

    async def taken_over() -> bool:
        return bool(worked)

    await eventually(taken_over)
    await work.stop()
    # A session of PostgreSQL ends, and frees what it locked, a moment after it was closed.
    await eventually(partial(asyncio.to_thread, other.taken))
    await asyncio.to_thread(other.give_up)
