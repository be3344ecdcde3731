"""The one place that reads the time of day; everything else is given a clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time; tests pass one that stands still."""

    def now(self) -> int:
        """Give whole seconds since the epoch, UTC."""
        ...


class SystemClock:
    """The time of this host; its operator keeps it right (NTP)."""

    def now(self) -> int:
        """Give whole seconds since the epoch, UTC, cut, never rounded up."""
        return int(time.time())
