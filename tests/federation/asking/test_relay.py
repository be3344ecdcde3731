"""A relay ends with its context, whatever is under way on it."""

import asyncio

import pytest

from tests.federation.asking.relay import relaying


@pytest.mark.parametrize("steps", range(8))
async def test_a_relay_that_ends_waits_for_no_connection_that_is_being_made(steps: int) -> None:
    over = asyncio.Event()

    async def stay(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    backend = await asyncio.start_server(stay, "127.0.0.1", 0)
    async with asyncio.timeout(10), backend:
        async with relaying() as relay:
            relay.backend = f"127.0.0.1:{backend.sockets[0].getsockname()[1]}"
            host, _, port = relay.address.rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            for _ in range(steps):
                await asyncio.sleep(0)
        writer.close()
        over.set()
