"""The client's own end of the front channel: a page on loopback that browsers come back to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"<!doctype html><title>Back at the client</title>"
)


@dataclass
class Callback:
    """Where browsers come back to, and with what they came: targets and header fields."""

    url: str = ""
    targets: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def came_back_to(self) -> str:
        """The URL of the one browser that came back."""
        (target,) = [each for each in self.targets if each.startswith("/callback")]
        return self.url.removesuffix("/callback") + target


@asynccontextmanager
async def listening() -> AsyncGenerator[Callback]:
    """Listen for browsers."""
    callback = Callback()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        callback.targets.append(request.split(" ")[1])
        pairs = (line.partition(":") for line in fields if line)
        callback.headers.append({name.lower(): value.strip() for name, _, value in pairs})
        writer.write(_ANSWER)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    callback.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"
    async with server:
        yield callback
