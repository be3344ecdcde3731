"""How often somebody may ask: a generic cell rate algorithm (ITU-T I.371), in memory."""

from collections import OrderedDict
from typing import Final

_MOST_KEYS: Final = 10_000


class Rate:
    """Lets each key through ``burst`` times at once, then every ``seconds``; one event loop's own.

    ``monotonic`` gives seconds. Of more than 10,000 keys the ones longest not seen are
    forgotten, and start anew.
    """

    def __init__(self, seconds: float, burst: int) -> None:
        self._seconds = seconds
        self._ahead = seconds * (burst - 1)
        self._due: OrderedDict[str, float] = OrderedDict()

    def wait(self, key: str, at: float) -> int:
        """Return 0 where ``key`` may ask at ``at`` (seconds), else in how many seconds it may.

        Asking too early costs nothing more.
        """
        due = max(self._due.get(key, at), at)
        early = due - at - self._ahead
        if early > 0:
            return int(early) + 1
        self._due[key] = due + self._seconds
        self._due.move_to_end(key)
        if len(self._due) > _MOST_KEYS:
            self._due.popitem(last=False)
        return 0
