"""The pulse of who works in the background: told over the line, each second that nothing hangs.

A process may live and do nothing: stopped by a signal, stuck in a call, its disk away. It holds
its turns meanwhile, so that nobody else works either. So its life is no sign; its pulse is.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol

from gateway.ending import end
from gateway.server.line import Line
from gateway.telemetry.counts import PulseCounts

_BEAT_SECONDS: Final = 1.0
STUCK_SECONDS: Final = 300.0
"""Whoever is at one step for so long is stuck: steps are cut to take seconds."""
LOST_SECONDS: Final = 10
"""A pulse that was not felt for so long is lost."""
_log = logging.getLogger(__name__)


class _Topic(NamedTuple):
    name: str


PULSE: Final = _Topic("pulse")


class Busy(Protocol):
    """Somebody who works step by step."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    def busy_seconds(self) -> float:
        """Return for how long it has been at the step it is at; 0 between steps."""
        ...


async def beat(line: Line, works: Sequence[Busy], stuck_seconds: float = STUCK_SECONDS) -> None:
    """Tell the pulse until cancelled, as long as none of ``works`` is stuck."""
    stuck: set[str] = set()
    while True:
        now_stuck = {work.name for work in works if work.busy_seconds() >= stuck_seconds}
        for name in now_stuck - stuck:
            _log.error("%s has been at one step for %g s", name, stuck_seconds)
        stuck = now_stuck
        if not stuck:
            line.tell(PULSE)
        await asyncio.sleep(_BEAT_SECONDS)


class Pulse:
    """The pulse of who is at the other end of ``line``; one event loop's own.

    Seconds are counted while this process runs: where all of a host was held up (a suspended
    machine, a frozen container), nobody is to blame.
    """

    def __init__(self, line: Line, counts: PulseCounts) -> None:
        self.counts = counts
        self._changed = asyncio.Event()
        line.listen(PULSE, self._felt)

    @property
    def is_lost(self) -> bool:
        """Whether it was not felt for too long."""
        return self.counts.silent_seconds >= LOST_SECONDS

    async def changed(self) -> None:
        """Return once it is lost, or felt again after it was."""
        self._changed.clear()
        await self._changed.wait()

    async def lost_anew(self) -> None:
        """Return once it is lost, counted from now: another one is to beat."""
        self._felt()
        while not self.is_lost:
            await self.changed()

    async def count(self) -> None:
        """Count until cancelled."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            self.counts.silent_seconds += 1
            if self.counts.silent_seconds == LOST_SECONDS:
                self.counts.losses += 1
                self._changed.set()

    def _felt(self) -> None:
        was_lost, self.counts.silent_seconds = self.is_lost, 0
        if was_lost:
            self._changed.set()


@asynccontextmanager
async def felt_pulse(line: Line, counts: PulseCounts | None = None) -> AsyncGenerator[Pulse]:
    """Give the pulse of who is at the other end of ``line``, felt, and counted in ``counts``,
    while the context lasts."""
    pulse = Pulse(line, counts or PulseCounts())
    async with at_work(pulse.count()):
        yield pulse


@asynccontextmanager
async def at_work(endless: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run what has no end while the context lasts."""
    task = asyncio.create_task(endless)
    try:
        yield
    finally:
        await end(task)
