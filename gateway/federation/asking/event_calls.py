"""Calling WatchDisclosures in another region, as the operator that this region is there."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from google.protobuf.duration_pb2 import Duration

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.tokens import RegionTokens
from gateway.federation.streams import read_of
from gateway.federation.trust.book import Region

SCOPE: Final = "credit.conformance:watch"


class EventCalls:
    """`gateway.federation.asking.event_follower.Ways` over gRPC; one event loop's own."""

    def __init__(self, links: RegionLinks, tokens: RegionTokens) -> None:
        self._links = links
        self._tokens = tokens

    @asynccontextmanager
    async def watch(
        self, region: Region, after: int, heartbeat_seconds: int
    ) -> AsyncGenerator[AsyncIterator[pb.WatchDisclosuresResponse]]:
        """Open the stream of what became of records that a region served; cancel it at the end.

        Raises NoToken, OSError, and what gRPC raises.
        """
        token = await self._tokens.own(region, SCOPE)
        channel, *_ = await self._links.channels(region)
        request = pb.WatchDisclosuresRequest(
            coverage=pb.WatchCoverage.WATCH_COVERAGE_SERVED,
            after_sequence=after,
            heartbeat_interval=Duration(seconds=heartbeat_seconds),
        )
        call = ConformanceServiceStub(channel).WatchDisclosures(
            request, metadata=(("authorization", f"Bearer {token}"),)
        )
        async with read_of(call, partial(self._tokens.forget, token)) as responses:
            yield responses
