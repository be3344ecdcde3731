"""What is over is forgotten now and then, by the calls that write anyway."""

from threading import Lock


class Sweeping:
    """When a store sweeps: with the first call that writes, then every so many seconds.

    Each process keeps its own time: what one has swept costs the next a query that finds
    nothing. Any thread may ask.
    """

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._due_at = 0
        self._asking = Lock()

    def due(self, now: int) -> bool:
        """Tell whether the caller is to sweep at ``now``, in seconds, UTC; no other is then."""
        with self._asking:
            if now < self._due_at:
                return False
            self._due_at = now + self._seconds
            return True
