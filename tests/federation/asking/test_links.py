"""A region that was away is tried again soon, however long it was away."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.federation.asking.links import RegionLinks
from gateway.oauth.connection import bound_socket
from tests.federating import made_anchor

_AWAY_SECONDS = 29
_SOON_SECONDS = 4


@pytest.mark.soak
async def test_a_region_that_was_away_for_long_is_reached_soon_after_it_is_back(
    tmp_path: Path,
) -> None:
    pki: Any = made_anchor(tmp_path, 1).home
    own: Any = SimpleNamespace(key=pki.certificate_key, certificate=pki.certificate)
    with bound_socket("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
    region: Any = SimpleNamespace(
        entity_id="https://south.invalid", grpc=(f"127.0.0.1:{port}",), roots=pki.ca.read_bytes()
    )
    reached = asyncio.Event()

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        writer.close()

    links = RegionLinks(own)
    channel, *_ = await links.channels(region)

    async def keep_trying() -> None:
        while True:
            channel.get_state(try_to_connect=True)
            await asyncio.sleep(0.1)

    trying = asyncio.create_task(keep_trying())
    await asyncio.sleep(_AWAY_SECONDS)
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    async with server, asyncio.timeout(_SOON_SECONDS):
        await reached.wait()
    trying.cancel()
    await links.close()
