"""How much of the time a thread has something to do."""

import os
from contextlib import suppress
from time import monotonic_ns, thread_time_ns
from typing import Final

# Nanoseconds: by less than that it would be chance.
_LOOK: Final = 50_000_000
_MOST_STAT_BYTES: Final = 128


class Busy:
    """Tells whether the calling thread, always the same one, was busy lately: ran for more than so many
    ``tenths`` of the time, or would have, had others not had the cores."""

    def __init__(self, tenths: int) -> None:
        self._tenths = tenths
        self._busy = False
        # proc(5), /proc/pid/schedstat: nanoseconds on a core, and waiting for one.
        self._stat: int | None = None
        with suppress(OSError):
            self._stat = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._looked_at, self._wanted = monotonic_ns(), self._wants()

    def __call__(self) -> bool:
        """Tell it, as it was looked at last: that is done from time to time."""
        now = monotonic_ns()
        if (passed := now - self._looked_at) >= _LOOK:
            wanted = self._wants()
            self._busy = 10 * (wanted - self._wanted) > self._tenths * passed
            self._looked_at, self._wanted = now, wanted
        return self._busy

    def close(self) -> None:
        """Look no more."""
        stat, self._stat = self._stat, None
        if stat is not None:
            os.close(stat)

    def _wants(self) -> int:
        if self._stat is not None:
            with suppress(OSError, ValueError):
                ran, waited, *_ = os.pread(self._stat, _MOST_STAT_BYTES, 0).split()
                return int(ran) + int(waited)
        return thread_time_ns()
