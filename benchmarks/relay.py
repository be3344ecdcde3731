"""A relay of bytes between a client and a server, which counts them: what is on the wire."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_AT_ONCE = 65_536


@dataclass(slots=True)
class Relay:
    """Where it listens, and how many bytes went through it, either way."""

    address: str = ""
    passed: int = 0
    _joining: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    def begin(
        self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Join a connection with one to the server until either end closes."""
        joining = asyncio.create_task(self._join(host, port, reader, writer))
        self._joining.add(joining)
        joining.add_done_callback(self._joining.discard)

    async def _join(
        self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        onward, back = await asyncio.open_connection(host, port)
        self._open |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(onward, writer))

    async def close(self) -> None:
        """Close every connection, and wait until all have ended."""
        for writer in tuple(self._open):
            writer.close()
        await asyncio.gather(*self._joining)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while read := await reader.read(_AT_ONCE):
                self.passed += len(read)
                writer.write(read)
                await writer.drain()
        self._open.discard(writer)
        writer.close()


@asynccontextmanager
async def relaying(address: str) -> AsyncGenerator[Relay]:
    """Relay to the server at ``address`` (host:port) while the context lasts."""
    host, _, port = address.rpartition(":")
    relay = Relay()

    def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay.begin(host, int(port), reader, writer)

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    relay.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
