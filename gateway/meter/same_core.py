"""Where a thread runs that takes the interpreter lock from the event loop and gives it back.

Each hand-over of the lock between two cores wakes the other one and takes along what both work
on; on one core it is a change of threads. So the thread goes to the core where the loop was when it
was last told, and the loop, which is not bound, goes where the system puts it.

Beside other processes that serve it is only put there, and may be put elsewhere from then on: who holds
the lock they wait for must not wait for one core where there is another.
"""

import os
from contextlib import suppress
from threading import get_native_id
from typing import Final

_MOST_STAT_BYTES: Final = 1_024
# proc(5), /proc/pid/stat: field 39, the processor last run on, counted from behind the command.
_PROCESSOR: Final = 36


class SameCore:
    """Has one thread follow another, where the system tells and binds threads (Linux); elsewhere
    it does nothing. Made by the thread that is followed; the other one is bound to the core where it
    ``stays``, and else put there."""

    def __init__(self, *, stays: bool = True) -> None:
        self._stays = stays
        self._leader = get_native_id()
        self._stat: int | None = None
        self._led = self._bound = -1
        if hasattr(os, "sched_setaffinity"):
            with suppress(OSError):
                self._stat = os.open("/proc/thread-self/stat", os.O_RDONLY | os.O_CLOEXEC)

    def lead(self) -> None:
        """Note where the calling thread, which made this, runs."""
        if self._stat is not None:
            # Where it cannot be told any more: that changes nothing but time.
            with suppress(OSError, ValueError, IndexError):
                stat = os.pread(self._stat, _MOST_STAT_BYTES, 0)
                self._led = int(stat.rpartition(b")")[2].split()[_PROCESSOR])

    def follow(self) -> None:
        """Bring the calling thread, always the same one, to the core noted last."""
        core = self._led
        if core != self._bound:
            # A core that was taken away meanwhile: where the thread runs changes nothing but time.
            with suppress(OSError, ValueError):
                os.sched_setaffinity(0, {core})
                if not self._stays:
                    os.sched_setaffinity(0, os.sched_getaffinity(self._leader))
            if self._stays:
                self._bound = core

    def close(self) -> None:
        """Stop noting."""
        stat, self._stat = self._stat, None
        if stat is not None:
            os.close(stat)
