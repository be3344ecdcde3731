"""Workers forked from one process that has the gateway's code: to import it takes a second.

``python -m tests.forking FD`` is that process. For each byte it receives on its socket FD, with
the standard input, output and error of a worker, it forks one and sends its process id, 4 bytes.
The byte tells which: a gateway's own worker, or one whose clock is stepped (`tests.stepping`).
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from threading import Lock

import psutil

from gateway.server import worker
from tests import stepping

OWN = b"o"
STEPPED = b"s"
_MAINS = {OWN: worker.main, STEPPED: stepping.main}
_PID_BYTES = 4
_ERRORS = 2
_SECONDS = 30


class Forked:
    """A worker; it drains when this is let go of, as when a supervisor ends."""

    def __init__(self, pid: int, told: int) -> None:
        self.pid = pid
        self._process = psutil.Process(pid)
        self._told = os.fdopen(told, "wb", buffering=0)

    def tell(self, settings: bytes) -> None:
        """Write a line to its standard input."""
        self._told.write(settings)

    def kill(self) -> None:
        """Kill it with SIGKILL, unless it ended."""
        with suppress(psutil.NoSuchProcess):
            self._process.kill()

    async def wait(self) -> None:
        """Wait until it has ended."""
        await asyncio.to_thread(self._process.wait, _SECONDS)
        self._told.close()


class Nursery:
    """The process workers are forked from; it ends with the process that made it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )

    async def worker(self, settings: bytes, kind: bytes = OWN) -> tuple[Forked, bytes]:
        """Fork a worker, tell it its settings and return it with the line it says."""
        theirs_in, told = os.pipe()
        said, theirs_out = os.pipe()
        pid = await asyncio.to_thread(self._forked, kind, theirs_in, theirs_out)
        os.close(theirs_in)
        os.close(theirs_out)
        forked = Forked(pid, told)
        forked.tell(settings)
        with os.fdopen(said, "rb") as output:
            line = await asyncio.wait_for(asyncio.to_thread(output.readline), _SECONDS)
        return forked, line

    def _forked(self, kind: bytes, *streams: int) -> int:
        with self._lock:
            socket.send_fds(self._socket, [kind], [*streams, _ERRORS])
            pid = self._socket.recv(_PID_BYTES, socket.MSG_WAITALL)
        assert pid, "the process that forks has ended"
        return int.from_bytes(pid, "big")


@cache
def nursery() -> Nursery:
    """Return the one of this process."""
    return Nursery()


def _main(asked: socket.socket) -> None:
    # What it forked is nobody's to wait for: the system forgets it at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, streams, _, _ = socket.recv_fds(asked, 1, 3)
        if not request:
            return
        pid = os.fork()
        if not pid:
            break
        for stream in streams:
            os.close(stream)
        asked.sendall(pid.to_bytes(_PID_BYTES, "big"))
    asked.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _MAINS[request]()


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[1])))
