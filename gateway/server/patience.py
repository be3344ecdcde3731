"""How long a role may have nobody who stays up, and when who ended is started again."""

from collections.abc import Hashable
from typing import Final

LEAST_LIFE_SECONDS: Final = 10.0
"""Who stays up so long stands."""
GIVE_UP_SECONDS: Final = 120.0
"""A role in which nobody has stood for so long is given up."""
_FIRST_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 15.0


class WorkerFailed(Exception):
    """No process of a role stays up; the log of its processes says why."""


class Patience:
    """What is known of all processes of one role, named ``role``. Pure; times are seconds of one
    clock that never goes back."""

    def __init__(
        self,
        role: str,
        now: float,
        least_life: float = LEAST_LIFE_SECONDS,
        give_up: float = GIVE_UP_SECONDS,
    ) -> None:
        self._role = role
        self._stood_at = now
        self._least_life = least_life
        self._give_up = give_up
        self._up: dict[Hashable, float] = {}
        self._tries: dict[Hashable, int] = {}

    def came_up(self, who: Hashable, now: float) -> None:
        """Note that ``who`` came up."""
        self._up[who] = now

    def ended(self, who: Hashable, now: float) -> float:
        """Note that ``who`` ended, or did not come up; return how many seconds to wait before it
        is started again: none after a life, and each time in a row twice as long, up to a bound.

        Raises WorkerFailed where nobody of the role has stood for too long.
        """
        began = self._up.pop(who, now)
        lived = now - began >= self._least_life
        if lived or any(now - other >= self._least_life for other in self._up.values()):
            self._stood_at = now
        if now - self._stood_at >= self._give_up:
            raise WorkerFailed(
                f"No {self._role} has stayed up for {self._least_life:g} s in the last"
                f" {self._give_up:g} s; the log above says how each ended."
            )
        tries = self._tries[who] = 0 if lived else self._tries.get(who, 0) + 1
        # The exponent is bounded too: a peer may stand for years beside one that does not.
        return min(_FIRST_SECONDS * 2.0 ** min(tries - 2, 10), _MOST_SECONDS) if tries > 1 else 0.0
