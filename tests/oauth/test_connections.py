"""Connections to the authorisation server: those that ask for nothing keep nobody out."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.oauth import connection
from tests.oauth.world import World

_PATIENCE = 5


async def _open(
    world: World, issuer: str, *, shown: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(issuer)
    return await asyncio.open_connection(
        parts.hostname, parts.port, ssl=world.trust(world.identity.certificate if shown else None)
    )


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await reader.read() == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: "])
async def test_connection_that_begins_no_request_is_closed(
    world: World, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    async with world.serving() as issuer:
        reader, writer = await _open(world, issuer)
        writer.write(sent)
        assert await _ends(reader)
        writer.close()


UNFINISHED = (
    b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\na"
)


async def test_connection_that_never_ends_its_request_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    async with world.serving() as issuer:
        reader, writer = await _open(world, issuer, shown=True)
        writer.write(UNFINISHED)
        # Byte by byte starts no time anew.
        for _ in range(4):
            await asyncio.sleep(0.1)
            writer.write(b"a")
        assert await _ends(reader)
        writer.close()


@pytest.mark.parametrize("sent", [b"", UNFINISHED])
async def test_silent_connections_make_room_for_those_who_ask(
    world: World, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "_MOST_CONNECTIONS", 4)
    async with world.serving() as issuer, AsyncExitStack() as stack:
        # The token endpoint reads on for those with a certificate alone.
        silent = [await _open(world, issuer, shown=bool(sent)) for _ in range(8)]
        for _, writer in silent:
            stack.callback(writer.close)
            writer.write(sent)
        async with httpx.AsyncClient(verify=world.trust(None)) as http:
            answer = await http.get(f"{issuer}/healthz")
        assert answer.status_code == 200
        # Those that were silent longest went, and no more than had to.
        assert await _ends(silent[0][0])
        assert sum(not reader.at_eof() for reader, _ in silent[4:]) == 3


async def test_connection_is_kept_from_one_request_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 1)
    async with (
        world.serving() as issuer,
        httpx.AsyncClient(verify=world.trust(None)) as http,
    ):
        ports: set[object] = set()
        for _ in range(4):
            answer = await http.get(f"{issuer}/healthz")
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            await asyncio.sleep(0.4)
    assert len(ports) == 1
