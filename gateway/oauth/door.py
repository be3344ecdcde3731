"""The door of an HTTPS server: connections come in through TLS, few at a time.

Who connects and begins no handshake is nobody yet, and pays nothing for the file this process
holds for it: so each has `HANDSHAKE_SECONDS`, and who is at it longest makes room for who comes.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Final

HANDSHAKE_SECONDS: Final = 10
"""How long a TLS handshake may take."""
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EXHAUSTED_PAUSE_SECONDS: Final = 1


class Door:
    """Lets connections of one listening socket in; one event loop's own.

    ``protocol`` makes the protocol of one; ``most`` may be at their handshake at once.
    """

    def __init__(
        self,
        listening: socket.socket,
        tls: ssl.SSLContext,
        protocol: Callable[[], asyncio.Protocol],
        most: int,
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._protocol = protocol
        self._most = most
        self._open: asyncio.Task[None] | None = None
        # In order of arrival.
        self._shaking: dict[asyncio.Task[None], None] = {}

    def open(self, backlog: int) -> None:
        """Listen; ``backlog`` connections may wait at the kernel."""
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        self._open = asyncio.create_task(self._let_in(), name="door")

    async def close(self) -> None:
        """Let nobody in any more. The socket is its owner's to close."""
        ending = [*self._shaking, *([] if self._open is None else [self._open])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _let_in(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                came, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                # Others are those of a connection that went before it was taken.
                if error.errno in _EXHAUSTED:
                    await asyncio.sleep(_EXHAUSTED_PAUSE_SECONDS)
                continue
            if len(self._shaking) >= self._most:
                longest = next(iter(self._shaking))
                del self._shaking[longest]
                longest.cancel()
            shaking = asyncio.create_task(self._shake(came))
            self._shaking[shaking] = None
            shaking.add_done_callback(lambda task: self._shaking.pop(task, None))

    async def _shake(self, came: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._protocol, came, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError:
            # It spoke no TLS, or went; the loop has closed what it took.
            came.close()
        except asyncio.CancelledError:
            came.close()
            raise
