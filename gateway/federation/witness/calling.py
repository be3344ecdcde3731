"""Calling ExchangeCheckpoints in another region, as this region."""

from typing import Any, Final

import grpc

from creditgate.v1 import federation_service_pb2 as pb
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.tokens import NoToken, RegionTokens
from gateway.federation.trust.book import Region
from gateway.federation.witness.peers import PeerLost

SCOPE: Final = "federation.checkpoints:exchange"

_METHOD: Final = "/creditgate.v1.FederationService/ExchangeCheckpoints"
_SECONDS: Final = 5.0


class ExchangeCalls:
    """`gateway.federation.witness.peers.Peers` over gRPC; one event loop's own."""

    def __init__(self, links: RegionLinks, tokens: RegionTokens) -> None:
        self._links = links
        self._tokens = tokens

    async def exchange(
        self, region: Region, request: pb.ExchangeCheckpointsRequest
    ) -> pb.ExchangeCheckpointsResponse:
        """Return what a region says to the checkpoints shown. Raises PeerLost."""
        try:
            token = await self._tokens.own(region, SCOPE)
            channel, *_ = await self._links.channels(region)
        except NoToken as refused:
            raise PeerLost(f"it gave no token ({refused})") from None
        except OSError as error:
            raise PeerLost(f"it cannot be called ({type(error).__name__})") from None
        method: Any = channel.unary_unary(
            _METHOD,
            request_serializer=pb.ExchangeCheckpointsRequest.SerializeToString,
            response_deserializer=pb.ExchangeCheckpointsResponse.FromString,
        )
        try:
            answer: pb.ExchangeCheckpointsResponse = await method(
                request, metadata=(("authorization", f"Bearer {token}"),), timeout=_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                self._tokens.forget(token)
            raise PeerLost(error.code().name) from None
        return answer
