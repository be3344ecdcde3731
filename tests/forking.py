"""Workers forked from one process that has the gateway's code: to import it takes a second.

``python -m tests.forking FD`` is that process. For each byte it receives on its socket FD, with
the standard input, output and error of a worker, it forks one and sends its process id, 4 bytes.
The byte tells which: a gateway's own worker, one whose clock is stepped (`tests.stepping`), a
supervised gateway (`tests.server.supervisor_program`), or any command (`tests.cli.forked_command`).
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from threading import Lock

import psutil

from gateway.server import worker
from gateway.server.memory import keep_loaded
from tests import stepping
from tests.cli import forked_command
from tests.server import supervisor_program

OWN = b"o"
STEPPED = b"s"
SUPERVISED = b"v"
COMMAND = b"c"
IN_ORDER = b"ended in order\n"
"""What a worker says last, unless it failed or was killed."""
_LATE = ("anyio._backends._asyncio", "anyio.streams.tls", "httpcore", "uvicorn.lifespan.off")
_MAINS = {
    OWN: worker.main,
    STEPPED: stepping.main,
    SUPERVISED: supervisor_program.main,
    COMMAND: forked_command.main,
}
_PID_BYTES = 4
_ERRORS = 2
_SECONDS = 30


class Forked:
    """A worker; it drains when this is let go of, as when a supervisor ends."""

    def __init__(self, pid: int, told: int, said: int) -> None:
        self.pid = pid
        self._process = psutil.Process(pid)
        self._told = os.fdopen(told, "wb", buffering=0)
        self._said = os.fdopen(said, "rb")
        self._last = b""

    def tell(self, settings: bytes) -> None:
        """Write a line to its standard input."""
        self._told.write(settings)

    def let_go(self) -> None:
        """Have its standard input end."""
        self._told.close()

    async def hear(self) -> bytes:
        """Return the line it says next, b"" where it ended before."""
        return await asyncio.wait_for(asyncio.to_thread(self.line), _SECONDS)

    def line(self) -> bytes:
        """Do as `hear` does, however long it takes."""
        return self._said.readline()

    def send(self, number: int) -> None:
        """Send it a signal, unless it ended."""
        with suppress(psutil.NoSuchProcess):
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it with SIGKILL, unless it ended."""
        self.send(signal.SIGKILL)

    async def wait(self) -> bytes:
        """Wait until it has ended, and return what it said that was not heard."""
        return await asyncio.to_thread(self.rest, _SECONDS)

    async def ended_in_order(self) -> bool:
        """Wait until it has ended, and tell whether it did as one that was told to."""
        return (await self.wait()).endswith(IN_ORDER)

    def rest(self, seconds: float) -> bytes:
        """Do as `wait` does, for ``seconds`` at most."""
        self._process.wait(seconds)
        if not self._said.closed:
            self._last = self._said.read()
            self._said.close()
        self._told.close()
        return self._last


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
        forked = await asyncio.to_thread(self.begun, settings, kind)
        return forked, await forked.hear()

    def begun(self, settings: bytes, kind: bytes, errors: int = _ERRORS) -> Forked:
        """Fork a worker and tell it its settings; what it says of errors goes to ``errors``."""
        theirs_in, told = os.pipe()
        said, theirs_out = os.pipe()
        pid = self._forked(kind, theirs_in, theirs_out, errors)
        os.close(theirs_in)
        os.close(theirs_out)
        forked = Forked(pid, told, said)
        forked.tell(settings)
        return forked

    def _forked(self, kind: bytes, *streams: int) -> int:
        with self._lock:
            socket.send_fds(self._socket, [kind], streams)
            pid = self._socket.recv(_PID_BYTES, socket.MSG_WAITALL)
        assert pid, "the process that forks has ended"
        return int.from_bytes(pid, "big")


@cache
def nursery() -> Nursery:
    """Return the one of this process."""
    return Nursery()


def _ready() -> None:
    """Do once what every worker would do as it starts: import what is imported when it is needed
    first, and look through all that was loaded, which takes the collector longest."""
    for name in _LATE:
        import_module(name)
    keep_loaded()


def _main(asked: socket.socket) -> None:
    _ready()
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
    with suppress(BrokenPipeError):
        os.write(1, IN_ORDER)


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[1])))
