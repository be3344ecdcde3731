"""A relay of bytes before a gateway, which can hold them back or cut connections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_AT_ONCE = 65_536


@dataclass
class Relay:
    """Listens at ``address``; passes on to ``backend`` (host:port) once that is set.

    While ``flowing`` is clear nothing is passed back to clients; ``connections`` counts those
    made. With ``cut_after`` set, a connection ends once so many bytes went back on it.
    """

    address: str
    backend: str = ""
    connections: int = 0
    cut_after: int | None = None
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])

    def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if not self.backend:
            writer.close()
            return
        self._open.add(writer)
        host, _, port = self.backend.rpartition(":")
        onward, back = await asyncio.open_connection(host, int(port))
        self._open.add(back)
        with suppress(ConnectionError):
            await asyncio.gather(
                self._pass(reader, back, held=False), self._pass(onward, writer, held=True)
            )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool
    ) -> None:
        passed = 0
        with suppress(ConnectionError):
            while read := await reader.read(_AT_ONCE):
                if held:
                    await self.flowing.wait()
                    passed += len(read)
                    if self.cut_after is not None and passed > self.cut_after:
                        break
                writer.write(read)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        """Close every connection."""
        for writer in tuple(self._open):
            writer.close()
        self._open.clear()

    async def close(self) -> None:
        """End every connection, also one that is still being made: both its ends may stay."""
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def relaying() -> AsyncGenerator[Relay]:
    """Give a relay that passes everything on."""
    relays: list[Relay] = []

    def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relays[0].join(reader, writer)

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    relay = Relay(f"{host}:{port}")
    relay.flowing.set()
    relays.append(relay)
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
