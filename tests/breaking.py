"""A line between a client and a gateway that breaks in the middle of answers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class BreakingLine:
    """Passes bytes on to an address, and breaks each of the first ``breaks`` connections
    once it has carried ``after`` bytes of answers."""

    address: str
    breaks: int
    after: int
    broken: int = 0

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.address.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        limit = self.after if self.broken < self.breaks else None
        ways = {
            asyncio.create_task(self._carry(reader, far_writer, None)),
            asyncio.create_task(self._carry(far_reader, writer, limit)),
        }
        ended, open_ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        self.broken += any(way.result() for way in ended)
        for way in open_:
            way.cancel()
        for side in (writer, far_writer):
            side.transport.abort()

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None
    ) -> bool:
        """Carry until the end, or past ``limit`` bytes; tell whether it was the limit."""
        carried = 0
        while data := await source.read(4_096):
            carried += len(data)
            if limit is not None and carried > limit:
                return True
            sink.write(data)
            await sink.drain()
        return False

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[str]:
        """Give the line's own address."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        async with server:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
