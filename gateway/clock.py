"""The one place that reads the time of day; everything else is given a clock."""

import time
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

_MICROS: Final = 1_000_000
# Linux's clock that goes on while the host sleeps.
_HOST: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Tells the time; tests pass one that stands still."""

    def now(self) -> int:
        """Give whole seconds since the epoch, UTC."""
        ...


@runtime_checkable
class FineClock(Clock, Protocol):
    """A clock that tells microseconds too."""

    def micros(self) -> int:
        """Give whole microseconds since the epoch, UTC."""
        ...


class SystemClock:
    """The time of this host; its operator keeps it right (NTP)."""

    def now(self) -> int:
        """Give whole seconds since the epoch, UTC, cut, never rounded up."""
        return int(time.time())

    def micros(self) -> int:
        """Give whole microseconds since the epoch, UTC, cut, never rounded up."""
        return time.time_ns() // 1_000


def host_seconds() -> float:
    """Give seconds by which a lease is measured: setting the time changes nothing, and those that
    the host slept count, where the system tells them."""
    return time.clock_gettime(_HOST)


def host_nanoseconds() -> int:
    """Give nanoseconds of the clock of `host_seconds`."""
    return time.clock_gettime_ns(_HOST)


def micros_of(clock: Clock) -> Callable[[], int]:
    """Return what gives the microseconds of a clock: its whole seconds where it tells no more."""
    return clock.micros if isinstance(clock, FineClock) else lambda: clock.now() * _MICROS
