"""The instant most tests play at, and a clock that stands there."""

from dataclasses import dataclass

NOW = 1_775_000_000
"""2026-03-31T23:33:20Z."""


@dataclass
class StandingClock:
    """A clock that moves only when set."""

    at: int = NOW

    def now(self) -> int:
        """Give the time it is set to."""
        return self.at
