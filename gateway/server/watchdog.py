"""The pulse of the first process, told to the service manager that started it.

It watches over its children, and nobody over it but who started it: by this it is known to be
ready, and to hang where its event loop turns no more.
Source: sd_notify(3); systemd.service(5), Type=notify and WatchdogSec.
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Final

from gateway.server.pulse import at_work

_ADDRESS: Final = "NOTIFY_SOCKET"
_BEAT_SECONDS: Final = 1.0


class Watchdog:
    """Tells whoever listens at an address how this process is, "" where nobody does."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        # Linux writes a name that is in no file system with a NUL, and shows it with "@".
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._socket.setblocking(False)

    def ready(self) -> None:
        """Tell that all that was to be started is up."""
        self._tell("READY=1")

    async def beat(self) -> None:
        """Tell the pulse until cancelled."""
        while self._address:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(_BEAT_SECONDS)

    def stopping(self) -> None:
        """Tell that this process ends."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if self._address:
            # Where it is gone, or busy, it cannot be told; it hears the next beat.
            with suppress(OSError):
                self._socket.sendto(state.encode(), self._address)


@asynccontextmanager
async def watched() -> AsyncGenerator[Watchdog]:
    """Give the watchdog of this process's environment; the pulse is told while the context
    lasts."""
    with ExitStack() as stack:
        watchdog = Watchdog(os.environ.get(_ADDRESS, ""), stack)
        async with at_work(watchdog.beat()):
            yield watchdog
