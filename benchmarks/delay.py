"""A relay that holds every byte for a while, as a long way does."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_AT_ONCE = 65_536


@dataclass(slots=True)
class LongWay:
    """Listens at ``address`` and passes on to ``backend``, ``seconds`` later either way."""

    seconds: float
    address: str = ""
    backend: str = ""
    _joining: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a connection with one to the backend until either end closes."""
        joining = asyncio.create_task(self._join(reader, writer))
        self._joining.add(joining)
        joining.add_done_callback(self._joining.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.backend.rpartition(":")
        with suppress(OSError):
            onward, back = await asyncio.open_connection(host, int(port))
            await asyncio.gather(self._pass(reader, back), self._pass(onward, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while read := await reader.read(_AT_ONCE):
                loop.call_later(self.seconds, writer.write, read)
        loop.call_later(self.seconds, writer.close)

    async def close(self) -> None:
        """End every connection."""
        for joining in tuple(self._joining):
            joining.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)


@asynccontextmanager
async def long_way(seconds: float) -> AsyncGenerator[LongWay]:
    """Give a way on which every byte takes ``seconds``, while the context lasts."""
    way = LongWay(seconds)
    server = await asyncio.start_server(way.begin, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    way.address = f"{host}:{port}"
    try:
        yield way
    finally:
        server.close()
        await way.close()
