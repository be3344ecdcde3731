"""What an attacker would have the server fetch, and a count of who came for it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Lure:
    """A listener on loopback; ``visits`` counts connections."""

    url: str = ""
    visits: int = 0


@asynccontextmanager
async def laid() -> AsyncGenerator[Lure]:
    """Lay a lure."""
    lure = Lure()

    async def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lure.visits += 1
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    lure.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield lure
