"""Work in the background, done again and again: at what pace, by whom, and when there is news.

`Rounds` are what every process does for itself, `BackgroundWork` what one of all processes on
a store does at a time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic
from typing import Final, NamedTuple, Protocol

from sqlalchemy import Engine

from creditgate.refusal import Refused
from gateway.ending import end
from gateway.failure_kind import failure_kind
from gateway.storage.signs import Sign
from gateway.storage.turn import Work, open_turn

_WARN_EVERY: Final = 100
_PATIENT_SECONDS: Final = 2.0
"""The longest from the begin of a short round to the next, whatever its share of the time."""
_LEAST_OFTEN_SECONDS: Final = 30
"""So often a round is done though no sign shows news."""
_STANDBY_SECONDS: Final = 0.5
"""So often a process that has not the turn asks for it."""
_log = logging.getLogger(__name__)

Step = Callable[[], object]
"""Does some of what there is to do; True tells that there is more to do at once. Blocks."""


class Pace(NamedTuple):
    """How often and how much is worked.

    News is looked for every ``tick_seconds``. A round begins no sooner than ``apart_seconds``
    after the one before, and rounds take at most ``share`` of the time, however much there is
    to do and whoever nudges; but where nothing was left to do none is put off for longer than twice
    the one before, or 2 s.
    """

    tick_seconds: float
    apart_seconds: float = 0.0
    share: float = 1.0


class Bell(Protocol):
    """Tells that there may be news, sooner than the next tick."""

    async def wait(self, seconds: float) -> bool:
        """Return when rung, or after ``seconds``; tell whether it was rung."""
        ...


class NotNow(Exception):
    """A round cannot be done now and is tried again with the next tick: no fault."""


class Failures:
    """Tells of failures, the first of many alone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def tell(self, what: str, error: Exception) -> None:
        """Tell that ``what`` failed, unless it only had to wait (Refused, NotNow)."""
        if isinstance(error, Refused | NotNow):
            return
        if self._count % _WARN_EVERY == 0:
            # By type: a message could hold a row, and so subject data.
            _log.error("%s: %s failed: %s", self._name, what, failure_kind(error))
        self._count += 1


class Rounds:
    """Does ``once`` again and again from `start` to `stop`; one event loop's own.

    ``once`` tells whether there is more to do at once. While ``sign`` shows no news, and
    nobody nudges, no round is done; without a sign one is with every tick. ``bell`` rings
    sooner. A round that fails is done again with the next tick.
    """

    def __init__(
        self,
        name: str,
        once: Callable[[], Awaitable[bool]],
        pace: Pace,
        *,
        sign: Sign | None = None,
        bell: Bell | None = None,
    ) -> None:
        self._name = name
        self._once = once
        self._pace = pace
        self._sign = sign
        self._nudged = False
        self._bell = bell
        self._ticking: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failures = Failures(name)
        self._seen: object = None
        self._done_at = float("-inf")
        self._next_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; on the event loop."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Begin no more rounds; what a round does in a thread goes on to its end."""
        if self._task is not None:
            await end(self._task)

    def nudge(self) -> None:
        """Tell that there may be something to do; on the event loop."""
        self._nudged = True
        self._end_ticking()

    async def _run(self) -> None:
        more = False
        while True:
            pause = self._next_at - monotonic()
            if more or pause > 0:
                # Past the pause whatever was left to do: others get their turn.
                await asyncio.sleep(max(pause, 0))
            more = await self._round()
            if more:
                continue
            if self._bell is None:
                await self._news()
            elif await self._bell.wait(self._pace.tick_seconds):
                self._nudged = True

    async def _news(self) -> None:
        """Return when nudged, or with the next tick at which there may be something to do.

        Ticks at which there is nothing wake no task: they are many, and mostly so.
        """
        if self._nudged:
            return
        self._ticking = ticking = asyncio.get_running_loop().create_future()
        self._tick()
        try:
            await ticking
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._pace.tick_seconds, self._look)

    def _look(self) -> None:
        if self._is_idle():
            self._tick()
        else:
            self._end_ticking()

    def _end_ticking(self) -> None:
        if self._ticking is not None and not self._ticking.done():
            self._ticking.set_result(None)

    def _is_idle(self) -> bool:
        """Tell whether the sign shows that there is nothing to do."""
        if self._sign is None or self._seen is None:
            return False
        try:
            return self._sign() == self._seen and not self._is_due()
        except Exception:
            # The round meets it too, and tells of it.
            return False

    def _is_due(self) -> bool:
        """Tell whether a round is to be done though no sign shows news."""
        return monotonic() >= self._done_at + _LEAST_OFTEN_SECONDS

    async def _round(self) -> bool:
        """Do a round where there is news; tell whether there is more to do."""
        nudged, self._nudged = self._nudged, False
        began = monotonic()
        try:
            # Asked before the round: what is committed meanwhile shows next time.
            sign = None if self._sign is None else self._sign()
            if sign is not None and sign == self._seen and not (nudged or self._is_due()):
                return False
            self._seen = None
            more = await self._once()
            self._done_at = began
        except Exception as error:
            # Tried again with the next tick: a store may come back.
            self._failures.tell("a round", error)
            more, sign = False, None
        worked = monotonic() - began
        pause = worked / self._pace.share
        if not more:
            # Slow once, on a busy machine or for the first time, and nothing is left to be done.
            pause = max(self._pace.apart_seconds, min(pause, max(_PATIENT_SECONDS, 2 * worked)))
        self._next_at = began + pause
        if not more:
            self._seen = sign
        return more


def nobody() -> None:
    """Tell nobody."""


class BackgroundWork:
    """Takes ``steps`` one after the other in a thread of its own, where it is this process's
    turn, from `start` to `stop`; one event loop's own.

    Each step is taken by itself: what one cannot do keeps none of the others. ``stepped`` is
    called after each round, on the event loop.
    """

    def __init__(
        self,
        engine: Engine,
        work: Work,
        *steps: Step,
        pace: Pace,
        sign: Sign | None = None,
        stepped: Callable[[], object] = nobody,
    ) -> None:
        self.name = work.name
        self._turn = open_turn(engine, work)
        self._steps = steps
        self._stepped = stepped
        self._ask_at = float("-inf")
        self._failures = Failures(work.name)
        self._stopping = Event()
        self._step_at: float | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=work.name)
        self._rounds = Rounds(work.name, self._once, pace, sign=sign)

    @property
    def stopping(self) -> bool:
        """Whether a long step is to leave what it is at to the next time; any thread."""
        return self._stopping.is_set()

    def busy_seconds(self) -> float:
        """Return for how long it has been at the step it is at; 0 between steps."""
        began = self._step_at
        return 0.0 if began is None else monotonic() - began

    async def start(self) -> None:
        """Begin to work."""
        self._rounds.start()

    async def stop(self) -> None:
        """Finish what is under way and leave the turn to others."""
        self._stopping.set()
        await self._rounds.stop()
        # Behind what the thread is at: no session is closed under it.
        await asyncio.get_running_loop().run_in_executor(self._thread, self._turn.give_up)
        self._thread.shutdown(wait=False)

    def nudge(self) -> None:
        """Tell that there may be something to do; on the event loop."""
        self._rounds.nudge()

    async def _once(self) -> bool:
        if monotonic() < self._ask_at:
            raise NotNow
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work)
        finally:
            self._stepped()

    def _work(self) -> bool:
        """Take every step; tell whether one has more to do. Raises NotNow where one failed,
        or it is another process's turn, and what the store of turns raises."""
        self._step_at = monotonic()
        try:
            return self._all_steps()
        finally:
            self._step_at = None

    def _all_steps(self) -> bool:
        if self.stopping or not self._turn.taken():
            self._ask_at = monotonic() + _STANDBY_SECONDS
            raise NotNow
        more = failed = False
        for step in self._steps:
            if self.stopping:
                raise NotNow
            self._step_at = monotonic()
            try:
                more |= step() is True
            except Exception as error:
                self._failures.tell(getattr(step, "__qualname__", "a step"), error)
                failed = True
        if failed:
            raise NotNow
        return more
