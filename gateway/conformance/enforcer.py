"""The enforcer: what follows from findings and deadlines, in the background.

Of all processes on a store one works at a time; each step takes up where the last one, of
whatever process, left off.
"""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Final

from sqlalchemy import Engine

from gateway.clock import Clock
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.signs import Sign, any_of
from gateway.storage.turn import ENFORCEMENT

TICK_SECONDS: Final = 1.0
_SHARE: Final = 0.25
"""Share of the time that enforcing may take."""
_LATE_SECONDS: Final = 5
"""What time alone brings about is seen so late at most; what is due is due by days."""

Step = Callable[[int], object]
"""Does what there is to do at an instant (seconds, UTC). Blocks; what it raises is told, and
it is called again with the next tick."""


def enforcer(
    engine: Engine,
    steps: Sequence[Step],
    clock: Clock,
    sign: Sign | None = None,
    tick_seconds: float = TICK_SECONDS,
) -> BackgroundWork:
    """Return what takes ``steps``, one after the other and each by itself.

    ``sign`` shows news of what they are about, but for the time.
    """
    return BackgroundWork(
        engine,
        ENFORCEMENT,
        *(_at(step, clock) for step in steps),
        pace=Pace(tick_seconds, apart_seconds=tick_seconds, share=_SHARE),
        sign=any_of(sign, lambda: clock.now() // _LATE_SECONDS),
    )


def _at(step: Step, clock: Clock) -> Callable[[], object]:
    def now() -> object:
        return step(clock.now())

    return update_wrapper(now, step)
