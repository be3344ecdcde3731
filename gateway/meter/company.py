"""Whether a group of claims waits for others before it is begun.

Groups form by themselves while the one before is made durable. To wait besides makes whoever is
there already later, and saves CPU, for a group costs much the same whatever it holds: so it is done
where the event loop has all it can do, and nowhere else. Then who was answered calls again, and a group
waits until as many came as late groups had, or as long as anybody comes. PostgreSQL's commit_delay
and commit_siblings do alike.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from gateway.meter.busy import Busy

# The rest goes to other threads of the interpreter.
_BUSY_TENTHS: Final = 6
_PAUSE_SECONDS: Final = timedelta(milliseconds=2).total_seconds()
_LATE_SECONDS: Final = timedelta(milliseconds=1).total_seconds()
_MOST_DELAY_SECONDS: Final = timedelta(milliseconds=16).total_seconds()
_SIBLINGS: Final = 4


class Company:
    """What one committer knows of who comes; one event loop's own. ``begin`` is called when the next
    group need not wait any more: once for each `wait`."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        # The size of late groups, large ones remembered for a while: a small one often comes
        # between two of them.
        self._usual = 0
        self._came = 0
        self._pause: asyncio.TimerHandle | None = None
        self._busy = Busy(_BUSY_TENTHS)

    def came(self) -> None:
        """Note that somebody came whose claim goes with the next group, or may."""
        self._came += 1
        if self._pause is not None and self._came >= self._usual:
            self._pause.cancel()
            self._pause = None
            self._loop.call_soon(self._begin)

    def begun(self) -> None:
        """Note that a group was begun: who comes from now on is of the next."""
        self._came = 0

    def wait(self, last: int) -> None:
        """Have the group begun behind one of the size ``last``, at once or when it has waited."""
        self._usual = max(last, self._usual * 4 // 5)
        if self._usual < _SIBLINGS or self._came >= self._usual or not self._busy():
            self._begin()
        else:
            now = self._loop.time()
            self._look_later(now, now + _MOST_DELAY_SECONDS)

    def close(self) -> None:
        """Give back what is held."""
        self._busy.close()

    def _look_later(self, now: float, give_up: float) -> None:
        pause = min(_PAUSE_SECONDS, give_up - now)
        self._pause = self._loop.call_later(pause, self._look, self._came, now + pause, give_up)

    def _look(self, came: int, due: float, give_up: float) -> None:
        """Have the group begun when nobody came any more though the loop had time for them, or when it
        is time to ``give_up``; look again later else."""
        self._pause = None
        now = self._loop.time()
        quiet = self._came == came and now - due < _LATE_SECONDS
        if quiet or now >= give_up:
            self._begin()
        else:
            self._look_later(now, give_up)
