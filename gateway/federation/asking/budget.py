"""The time that a region has for its part of an answer, and what is read of it meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gateway.federation.asking.endings import LATE, Ended

OVERTIME_SECONDS: Final = 30.0
"""How long an answer is read on that is late, or that nobody waits for any more: its region may
have metered it, and then it is charged here too."""
_Value = TypeVar("_Value")


class Budget:
    """The seconds a region has left; spent only by waiting for it.

    When they are over the operator is told that the region is late (``late``). What was asked by
    then is waited for on, for `OVERTIME_SECONDS` at most; nothing more is asked. The same holds
    once nobody waits any more (``leave``).
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.late = asyncio.Event()
        self.left = False
        self.read = 0
        """Bytes read of the answer under way."""
        self.when_late: Callable[[], None] = _nothing
        self.when_read_on: Callable[[], None] = _nothing
        self._monotonic = monotonic

    @property
    def over(self) -> bool:
        """Whether nothing more may be asked."""
        return self.left or self.seconds <= 0

    def leave(self) -> None:
        """Take note that nobody waits for the answer any more."""
        self.left = True

    def require(self) -> None:
        """Raise Ended LATE where nothing more may be asked."""
        if self.over:
            raise Ended(LATE)

    def take(self, size: int) -> None:
        """Count bytes read. Raises what ``when_read_on`` does where nobody waits for them: Ended
        where they are too many."""
        self.read += size
        if self.left:
            self.when_read_on()

    async def spent(self, waiting: Awaitable[_Value], *, asked: bool = False) -> _Value:
        """Return what is waited for; with ``asked`` it is waited for when it is late too.

        Raises Ended LATE when the time is over.
        """
        task = asyncio.ensure_future(waiting)
        started = self._monotonic()
        try:
            await asyncio.wait({task}, timeout=max(0.0, self.seconds))
            if not task.done():
                self._be_late()
                over = self._monotonic() - started - self.seconds
                if asked:
                    await asyncio.wait({task}, timeout=max(0.0, OVERTIME_SECONDS - over))
            if not task.done():
                raise Ended(LATE)
            return task.result()
        finally:
            self.seconds -= self._monotonic() - started
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _be_late(self) -> None:
        if not self.late.is_set():
            self.late.set()
            self.when_late()


def _nothing() -> None:
    """Do nothing."""
