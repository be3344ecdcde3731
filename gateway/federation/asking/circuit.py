"""A circuit breaker for a region: whoever does not answer is not asked for a while. Pure.

Closed, calls go through; after some failures in a row it opens, and calls are refused at once
instead of each waiting for its deadline. When its rest is over one call goes through on trial:
its success closes the circuit, its failure opens it for twice as long. Only silence counts as
a failure; a refusal is an answer.
"""

from dataclasses import dataclass, replace
from typing import Final

FAILURES_TO_OPEN: Final = 5
FIRST_REST_SECONDS: Final = 1.0
LONGEST_REST_SECONDS: Final = 30.0
TRIAL_SECONDS: Final = 60.0
"""For how long a trial keeps others back, should nothing be heard of how it ended."""
TRIAL_WAIT_SECONDS: Final = 1.0
"""After so long whoever is kept back by a trial asks again: it mostly ends sooner."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """The state of one region's circuit; times in seconds of a clock that never goes back.

    ``failures`` are those in a row; ``rests_until`` is None while it is closed, else when its
    rest is over; ``rest`` how long the next rest is; ``trial_until`` until when a trial
    keeps others back.
    """

    failures: int = 0
    rests_until: float | None = None
    rest: float = FIRST_REST_SECONDS
    trial_until: float | None = None

    def wait(self, now: float) -> float | None:
        """Return how many seconds to wait before a call may go through, None for none."""
        if self.rests_until is None:
            return None
        if self.trial_until is not None and now < self.trial_until:
            return max(self.rests_until - now, min(self.trial_until - now, TRIAL_WAIT_SECONDS))
        return self.rests_until - now if now < self.rests_until else None

    def begun(self, now: float) -> "Circuit":
        """Return the circuit after a call went through at ``now``."""
        if self.rests_until is None:
            return self
        return replace(self, trial_until=now + TRIAL_SECONDS)

    def succeeded(self) -> "Circuit":
        """Return the circuit after a call was answered."""
        return CLOSED

    def failed(self, now: float) -> "Circuit":
        """Return the circuit after a call was not answered."""
        failures = self.failures + 1
        if self.rests_until is None and failures < FAILURES_TO_OPEN:
            return replace(self, failures=failures)
        if self.rests_until is not None and self.trial_until is None:
            # A call from before it opened: it tells nothing new.
            return self
        return Circuit(failures, now + self.rest, min(self.rest * 2, LONGEST_REST_SECONDS))

    def undecided(self) -> "Circuit":
        """Return the circuit after a call ended without telling anything, as when it was
        cancelled: the next one may try."""
        return self if self.trial_until is None else replace(self, trial_until=None)


CLOSED: Final = Circuit()
