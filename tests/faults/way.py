"""A way between two parts, on which a network's faults happen: a proxy of TCP connections.

TCP hides from both ends what a network drops, doubles or reorders; what they see of it is delay,
silence, and connections that break. Real packets are lost on `tests.faults.packets`.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url

_AT_ONCE = 16_384
_UNDER_WAY = 64
_POSTGRESQL_PORT = 5432
_Due = tuple[float, bytes]


def _flowing() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Way:
    """Listens at ``address``, and passes on to ``backend``: host:port, or the path of a socket.

    ``delay`` is how long each byte takes (seconds), ``rate`` how many pass in a second. While
    ``there`` or ``back`` is clear, that direction is silent and both connections stay open: what
    was sent meanwhile comes late. While ``refusing`` no connection is taken.
    """

    address: str
    backend: str = ""
    delay: float = 0.0
    rate: int | None = None
    refusing: bool = False
    there: asyncio.Event = field(default_factory=_flowing)
    back: asyncio.Event = field(default_factory=_flowing)
    passed_back: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])

    def fall_silent(self) -> None:
        """Pass nothing more in either direction; both ends believe that they are connected."""
        self.there.clear()
        self.back.clear()

    def cut(self) -> None:
        """Reset every connection; what was under way is lost."""
        for writer in tuple(self._open):
            writer.transport.abort()

    def part(self) -> None:
        """Reset every connection and take none."""
        self.refusing = True
        self.cut()

    def heal(self) -> None:
        """Be a good network again; what was held comes late."""
        self.delay, self.rate, self.refusing = 0.0, None, False
        self.there.set()
        self.back.set()

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a connection with one to the backend until either end closes."""
        task = asyncio.create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            onward, back = await self._opened()
        except OSError:
            # Nobody listens there: as a host says that lives without its server.
            writer.transport.abort()
            self._open.discard(writer)
            return
        self._open.add(back)
        try:
            await asyncio.gather(
                self._pass(reader, back, self.there), self._pass(onward, writer, self.back)
            )
        finally:
            for end in (writer, back):
                end.transport.abort()
                self._open.discard(end)

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.backend.startswith("/"):
            return await asyncio.open_unix_connection(self.backend)
        host, _, port = self.backend.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        under_way: asyncio.Queue[_Due] = asyncio.Queue(_UNDER_WAY)
        arriving = asyncio.create_task(self._arrive(under_way, writer, gate))
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):
                while read := await reader.read(_AT_ONCE):
                    await under_way.put((loop.time() + self.delay, read))
            await under_way.put((loop.time() + self.delay, b""))
            await arriving
        finally:
            arriving.cancel()

    async def _arrive(
        self, under_way: "asyncio.Queue[_Due]", writer: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, read = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if self.rate is not None:
                await asyncio.sleep(len(read) / self.rate)
            await gate.wait()
            if writer.is_closing() or not read:
                writer.close()
            else:
                self.passed_back += len(read) if gate is self.back else 0
                with suppress(OSError):
                    writer.write(read)
                    await writer.drain()
            if not read:
                return

    async def close(self) -> None:
        """End every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def by_way(database: str, way: Way) -> str:
    """Have ``way`` lead to a PostgreSQL that listens on a socket file, and return the setting of
    ``database`` by it."""
    url = make_url(database)
    way.backend = f"{url.query['host']}/.s.PGSQL.{url.port or _POSTGRESQL_PORT}"
    host, _, port = way.address.rpartition(":")
    by = url.set(host=host, port=int(port), query={})
    return by.render_as_string(hide_password=False)


@asynccontextmanager
async def open_way(backend: str = "", host: str = "127.0.0.1") -> AsyncGenerator[Way]:
    """Give a way without faults while the context lasts; it listens on ``host``."""
    ways: list[Way] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways[0].begin(reader, writer)

    server = await asyncio.start_server(begin, host, 0)
    ways.append(Way(f"{host}:{server.sockets[0].getsockname()[1]}", backend))
    try:
        yield ways[0]
    finally:
        server.close()
        await ways[0].close()
