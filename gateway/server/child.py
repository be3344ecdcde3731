"""A child process: forked, or started by a command; told and heard over pipes.

Forked, it is up at once and shares the memory of what this process has loaded. Only a process
of one thread may be forked, before anything of gRPC was made.
"""

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn, Self

_FIRST_OWN: Final = 3
"""Descriptors below are standard input, output and error."""


class _Pipes(NamedTuple):
    """The ends of a child's input and output: first those of the child, then those here."""

    theirs_in: int
    theirs_out: int
    told: int
    said: int

    @classmethod
    def made(cls) -> "_Pipes":
        (theirs_in, told), (said, theirs_out) = os.pipe(), os.pipe()
        return cls(theirs_in, theirs_out, told, said)


class ChildProcess:
    """A child of this process's, with a session, standard input and output of its own."""

    def __init__(self, pid: int, pipes: "_Pipes", told: bytes) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        self._told = pipes.told
        self._said = pipes.said
        self._ended: asyncio.Future[int] | None = None
        os.close(pipes.theirs_in)
        os.close(pipes.theirs_out)
        if len(told) > fcntl.fcntl(self._told, fcntl.F_GETPIPE_SZ):
            # Else writing would wait for the child to read.
            fcntl.fcntl(self._told, fcntl.F_SETPIPE_SZ, len(told))
        with contextlib.suppress(BrokenPipeError):
            os.write(self._told, told)

    @classmethod
    def forked(cls, main: Callable[[], object], told: bytes, ends: Sequence[int]) -> Self:
        """Fork a child that runs ``main``, with ``told`` as its input so far; of this process's
        open descriptors it has ``ends`` alone."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # Else its collector would touch, and so copy, all that is shared.
        gc.freeze()
        pipes = _Pipes.made()
        pid = os.fork()
        if not pid:
            _become(main, pipes, ends)
        return cls(pid, pipes, told)

    @classmethod
    def spawned(cls, module: str, told: bytes, ends: Sequence[int]) -> Self:
        """Start ``python -m module`` in the same way; nothing that lies in the working folder is run."""
        pipes = _Pipes.made()
        kept = ((pipes.theirs_in, 0), (pipes.theirs_out, 1), *((end, end) for end in ends))
        pid = os.posix_spawn(
            sys.executable,
            (sys.executable, "-P", "-m", module),
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in kept],
            setsid=True,
        )
        return cls(pid, pipes, told)

    async def heard(self) -> bytes:
        """Return the line that it says, b"" where it ended before; asked once."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._said, "rb")
        )
        try:
            return await reader.readline()
        finally:
            transport.close()

    async def wait(self) -> int:
        """Return its status once it has ended: the signal's number below zero where one did."""
        if self._ended is None:
            loop = asyncio.get_running_loop()
            self._ended = loop.create_future()
            loop.add_reader(self._pidfd, self._reap, loop, self._ended)
        return await asyncio.shield(self._ended)

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended."""
        return self._ended is not None and self._ended.done()

    def _reap(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[int]) -> None:
        loop.remove_reader(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._pidfd)
        os.close(self._told)
        ended.set_result(os.waitstatus_to_exitcode(status))

    def send(self, number: int) -> None:
        """Send it a signal, unless it ended."""
        if not self.has_ended:
            signal.pidfd_send_signal(self._pidfd, number)


def _become(main: Callable[[], object], pipes: _Pipes, ends: Sequence[int]) -> NoReturn:
    """Be the child: nothing of what the parent was at is gone on with."""
    status = 1
    try:
        os.setsid()
        os.dup2(pipes.theirs_in, 0)
        os.dup2(pipes.theirs_out, 1)
        first = _FIRST_OWN
        for end in sorted(ends):
            os.closerange(first, end)
            first = end + 1
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))
        sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
        main()
        status = 0
    except SystemExit:
        # It has told why.
        status = 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
