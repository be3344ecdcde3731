"""Waiting for one's turn among the processes of a host, for who writes to SQLite again and again.

At SQLite's own lock one can only ask anew and anew: each time is a transaction begun in vain, and takes
the interpreter lock, which a busy thread gives up late. Here the system wakes who waited.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

_MODE: Final = 0o600


class HostQueue:
    """The turn at ``file``, of one at a time among all that have it open; one thread's own.

    A turn ends with the process, whatever ends that. Who hangs in its turn holds up the others until
    it is killed, as the supervisor does with a process that hangs (`gateway.server.pulse`).
    """

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)

    def wait(self) -> None:
        """Return once it is this one's turn. Raises OSError."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def entered_at_once(self) -> bool:
        """Tell whether it is this one's turn at once, and wait for nobody. Raises OSError."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def leave(self) -> None:
        """Give the turn to the next."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave the turn, if it is this one's, and wait no more."""
        os.close(self._descriptor)
