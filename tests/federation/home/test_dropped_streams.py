"""A stream that a region drops is forgotten at once, not when memory is next tidied, and its
connection stays usable."""

import asyncio
import gc
from collections.abc import Iterator

import grpc
import pytest

from creditgate.v1 import federation_service_pb2 as pb
from gateway.federation.clearing.calling import RECONCILE_SCOPE
from gateway.federation.home.calling import SCOPE as CONSENTS_SCOPE
from sdk.refusals import explain
from tests.examples import rarely_on_postgresql
from tests.federation.home.pair import Pair
from tests.server.forgotten import forgotten

DROPPED = 300
"""Three times what one connection may have open."""
PAUSES = (0, 0.001, 0.002, 0.003)
pytestmark = [pytest.mark.asyncio(loop_scope="package"), rarely_on_postgresql]


@pytest.fixture
def untidied() -> Iterator[None]:
    """No cycle of objects is collected, but those of before."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def refused(channel: grpc.aio.Channel, path: str, metadata: tuple[tuple[str, str]]) -> str:
    """Return why a stream that begins with nothing is refused."""
    call = channel.stream_stream(path)(iter((b"",)), metadata=metadata, timeout=10)
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        return explain(error).reason
    raise AssertionError("it was answered")


@pytest.mark.usefixtures("untidied")
@pytest.mark.parametrize(
    ("method", "scope", "first"),
    [
        (
            "FollowConsents",
            CONSENTS_SCOPE,
            pb.FollowConsentsRequest(ask=1, consents=["consents/x"]),
        ),
        ("FollowConsents", CONSENTS_SCOPE, pb.FollowConsentsRequest()),
        ("ReconcileClearing", RECONCILE_SCOPE, pb.ReconcileClearingRequest()),
    ],
    ids=["consents", "malformed", "clearing"],
)
async def test_dropped_streams_are_forgotten_and_leave_their_connection_usable(
    pair: Pair, method: str, scope: str, first: pb.FollowConsentsRequest
) -> None:
    path = f"/creditgate.v1.FederationService/{method}"
    token = await pair.home.token_at(pair.asking, scope)
    metadata = (("authorization", f"Bearer {token}"),)
    async with pair.home.channel_to(pair.asking) as channel:
        for number in range(DROPPED):
            call = channel.stream_stream(path)(metadata=metadata)
            await call.write(first.SerializeToString())
            await asyncio.sleep(PAUSES[number % len(PAUSES)])
            call.cancel()
        assert await refused(channel, path, metadata) in {"INVALID_REQUEST", "STATE_CONFLICT"}
    assert await forgotten(DROPPED // 3)
