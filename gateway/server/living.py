"""How a child process of the gateway lives: told at first what it needs, until it is told to end."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop

from gateway.config import ConfigRefused
from gateway.server.told import Told
from gateway.telemetry.logs import log_to_stderr

_log = logging.getLogger(__name__)
_OWN_NAME: Final = Path("/proc/self/comm")
Life = Callable[[Told, asyncio.Event], Awaitable[None]]
"""Does what a process is for until the event is set."""


def live(name: str, life: Life) -> None:
    """Read what this process is told, and do what it is for until SIGTERM, SIGINT, or the end of
    its input, which comes with the end of its parent. ``name`` is what the system lists it as.
    Where the settings cannot be used it tells so in one line, and raises SystemExit.
    """
    # By its command it would be taken for its parent, where it was forked.
    with contextlib.suppress(OSError):
        _OWN_NAME.write_text(name)
    told = Told.read(sys.stdin.readline())
    log_to_stderr(told.config.log_level)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(_lived(told, life))
    except ConfigRefused as refused:
        _log.error("%s", " ".join(str(refused).split()))
        raise SystemExit(1) from None


async def _lived(told: Told, life: Life) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)

    def input_ended() -> None:
        loop.remove_reader(sys.stdin)
        over.set()

    loop.add_reader(sys.stdin, input_ended)
    await life(told, over)


def say(line: str, over: asyncio.Event) -> None:
    """Say a line to the parent; where that is gone, which the end of the input tells too, what this
    process is for is over."""
    try:
        # Unbuffered: what could not be said is not tried again as the process ends.
        os.write(sys.stdout.fileno(), f"{line}\n".encode())
    except BrokenPipeError:
        over.set()
