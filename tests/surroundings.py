"""What makes a run quick wherever it is started: files in memory, code compiled once."""

import os
import sys
import tempfile
from pathlib import Path

import psutil

_MEMORY = Path("/dev/shm")
_LEAST_FREE = 2 << 30
_LEAST_AVAILABLE = 4 << 30
"""Bytes. A run keeps some 400 MB of files at most."""


def keep_files_in_memory() -> None:
    """Have temporary files made in memory where there is room, by started processes too.

    On a disk each commit waits milliseconds for it, and no test shows what a power failure
    leaves. A TMPDIR that is set stands.
    """
    if "TMPDIR" not in os.environ and _has_room():
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def _has_room() -> bool:
    if not os.access(_MEMORY, os.W_OK | os.X_OK):
        return False
    memory = os.statvfs(_MEMORY)
    return (
        not memory.f_flag & os.ST_NOEXEC
        and memory.f_bavail * memory.f_frsize >= _LEAST_FREE
        and psutil.virtual_memory().available >= _LEAST_AVAILABLE
    )


def keep_compiled_code() -> None:
    """Have compiled code kept, also by started processes.

    Where images of containers forbid it, each gateway a test starts would compile all of it.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
