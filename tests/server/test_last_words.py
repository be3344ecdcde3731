"""Whoever streams requests hears why it is refused, whenever the refusal comes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import repeat

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor

from creditgate.scopes import services
from gateway.server import last_words
from sdk.refusals import explain
from tests.contract.status import documented_status
from tests.installation import ADMINISTRATOR, Gateway, furnished
from tests.server.calls import call_raw
from tests.stores import SqliteStores

PUBLISH = "/creditgate.v1.DisclosureService/PublishRecords"
MESSAGES = [bytes(20_000)] * 3
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(sqlite_stores: SqliteStores) -> AsyncIterator[Gateway]:
    """One gateway, which none of these tests changes."""
    with furnished(sqlite_stores) as installation:
        async with installation.running() as gateway:
            yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(standing: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    """A connection of a client that brings no token."""
    own = standing.credentials()
    tls = grpc.ssl_channel_credentials(
        own.ca.read_bytes(), own.key.read_bytes(), own.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(own.grpc, tls) as channel:
        yield channel


def streaming(*, served: bool) -> list[MethodDescriptor]:
    """Return the methods that take a stream, of those that are served or of the others."""
    states = documented_status()
    return [
        method
        for service in services()
        for method in service.methods
        if method.client_streaming and states[f"{service.name}/{method.name}"] == served
    ]


async def answers(
    channel: grpc.aio.Channel, method: MethodDescriptor, messages: Sequence[bytes]
) -> set[tuple[grpc.StatusCode, str]]:
    """Return what comes of thirty calls."""
    found: set[tuple[grpc.StatusCode, str]] = set()
    for _ in range(30):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, method, several=messages)
        found.add((caught.value.code(), explain(caught.value).reason))
    return found


@pytest.mark.parametrize("method", streaming(served=True), ids=lambda each: each.name)
async def test_a_stranger_hears_that_it_is_one(
    stranger: grpc.aio.Channel, method: MethodDescriptor
) -> None:
    told = await answers(stranger, method, MESSAGES)
    assert told == {(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")}


@pytest.mark.parametrize("method", streaming(served=False), ids=lambda each: each.name)
async def test_who_calls_what_is_not_served_hears_that(
    standing: Gateway, method: MethodDescriptor
) -> None:
    async with standing.channel(ADMINISTRATOR) as channel:
        told = await answers(channel, method, MESSAGES)
    assert told == {(grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_SERVED")}


async def test_a_stranger_is_not_listened_to_for_long(
    stranger: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_words, "_STRANGERS_BYTES", 1_000_000)
    sent = 0

    async def without_end() -> AsyncIterator[bytes]:
        nonlocal sent
        for message in repeat(bytes(20_000)):
            yield message
            sent += len(message)

    call = stranger.stream_unary(PUBLISH)(without_end(), timeout=20)
    assert await call.code() != grpc.StatusCode.DEADLINE_EXCEEDED
    # What the windows of the connection hold besides.
    assert sent < 10_000_000


async def test_no_more_than_a_few_strangers_are_listened_to(
    stranger: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_words, "_STRANGERS_AT_ONCE", 0)
    monkeypatch.setattr(last_words, "_PAUSE_SECONDS", 10)
    done = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        yield b""
        await done.wait()

    call = stranger.stream_unary(PUBLISH)(silent(), timeout=5)
    assert await call.code() != grpc.StatusCode.DEADLINE_EXCEEDED
    done.set()
