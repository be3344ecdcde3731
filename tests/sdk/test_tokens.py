"""How a client gets its tokens."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.oauth.connection import bound_socket
from sdk.tokens import AsyncTokenSource, TokenSource
from tests.installation import Gateway, Installation, eventually


class Relay:
    """Passes bytes on to the gateway and counts connections, those that are open too."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.made = 0
        self.open = 0
        self.closes_next = False

    async def passed_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Pass one connection on, both ways, until either end closes it."""
        self.made += 1
        if self.closes_next:
            self.closes_next = False
            writer.close()
            return
        self.open += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        ways = [
            asyncio.ensure_future(_passed_on(*each)) for each in ((reader, back), (there, writer))
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for each in (writer, back):
            each.close()
        self.open -= 1


async def _passed_on(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):
        while some := await reader.read(65_536):
            writer.write(some)
            await writer.drain()


@asynccontextmanager
async def relayed(installation: Installation) -> AsyncGenerator[tuple[Gateway, Relay]]:
    """Run a gateway whose issuer is reached through a relay."""
    with bound_socket("127.0.0.1", 0) as held:
        behind = held.getsockname()[1]
    relay = Relay(behind)
    server = await asyncio.start_server(relay.passed_on, "127.0.0.1", 0)
    issuer = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, installation.running(issuer=issuer, https_port=behind) as gateway:
        yield gateway, relay


@pytest.fixture
async def relay(embedded: Installation) -> AsyncGenerator[tuple[Gateway, Relay]]:
    async with relayed(embedded) as running:
        yield running


async def test_metadata_and_token_come_over_one_connection(relay: tuple[Gateway, Relay]) -> None:
    gateway, counting = relay
    source = AsyncTokenSource(gateway.credentials())
    try:
        await source.token()
        assert counting.made == 1
    finally:
        await source.close()


async def test_a_connection_that_an_ending_process_closes_is_made_again(
    relay: tuple[Gateway, Relay],
) -> None:
    gateway, counting = relay
    source, blocking = AsyncTokenSource(gateway.credentials()), TokenSource(gateway.credentials())
    counting.closes_next = True
    assert await source.token()
    counting.closes_next = True
    assert await asyncio.to_thread(blocking.token)
    assert counting.made == 4
    await source.close()
    blocking.close()


async def test_no_connection_stays_open_once_there_is_a_token(
    relay: tuple[Gateway, Relay],
) -> None:
    gateway, counting = relay
    source = AsyncTokenSource(gateway.credentials())

    async def no_connection() -> bool:
        return not counting.open

    try:
        await source.token()
        await eventually(no_connection, 2)
    finally:
        await source.close()
