"""Files that are written beside their place and put there when they are whole.

Who writes one holds a lock on it, which ends with the process, whatever ends that: so what a
killed process left is told from what another one writes.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO


class UnfinishedFile:
    """Text for the file ``path``: written to ``file``, then put there or thrown away.

    What killed processes left for the same place is removed first. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _remove_left(path)
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        self.file = _locked(self._beside)

    def put(self) -> None:
        """Put the file in its place once it is on the disk. Raises OSError."""
        with self.file:
            self.file.flush()
            os.fsync(self.file.fileno())
            # Before the lock ends: what is not locked is removed as left.
            self._beside.replace(self._path)

    def throw_away(self) -> None:
        """Leave nothing but what was in its place before. Raises OSError."""
        with self.file:
            self._beside.unlink()


def _locked(beside: Path) -> TextIO:
    while True:
        file = beside.open("w", encoding="utf-8", newline="")
        # Where files cannot be locked, nobody takes one for left either.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have removed it before it was locked.
        if _is_at(beside, file):
            return file
        file.close()


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _remove_left(path: Path) -> None:
    for beside in path.parent.glob(".*.part"):
        begins, _, number = beside.stem.rpartition(".")
        if begins != f".{path.name}" or not number.isdigit():
            continue
        with suppress(OSError), beside.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            beside.unlink()
