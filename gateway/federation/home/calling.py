"""Calling FollowConsents in another region, as this region."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol

import grpc

from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from gateway.federation.home.following import Requests, Responses
from gateway.federation.streams import read_of
from gateway.federation.trust.book import Region, RegionBook

SCOPE: Final = "federation.consents:follow"


class Channels(Protocol):
    """Channels to other regions; see `gateway.federation.asking.links.RegionLinks`."""

    async def channels(self, region: Region) -> tuple[grpc.aio.Channel, ...]:
        """Return channels to a region."""
        ...


class Tokens(Protocol):
    """Tokens of other regions; see `gateway.federation.asking.tokens.RegionTokens`."""

    async def own(self, region: Region, scope: str) -> str:
        """Return a token by which ``region`` answers this region itself."""
        ...

    def forget(self, token: str) -> None:
        """Ask for another one next time."""
        ...


class FollowCalls:
    """Opens the streams of `gateway.federation.home.following.Links`."""

    def __init__(self, book: RegionBook, channels: Channels, tokens: Tokens) -> None:
        self._book = book
        self._channels = channels
        self._tokens = tokens

    @asynccontextmanager
    async def follow_consents(self, region: str, requests: Requests) -> AsyncGenerator[Responses]:
        """Open the stream at a region, by its entity identifier; cancel it at the end.

        Raises Refused where the region does not stand, and what the way there raises.
        """
        there = self._book.region(region)
        token = await self._tokens.own(there, SCOPE)
        channel, *_ = await self._channels.channels(there)
        call = FederationServiceStub(channel).FollowConsents(
            requests, metadata=(("authorization", f"Bearer {token}"),)
        )
        async with read_of(call, partial(self._tokens.forget, token)) as responses:
            yield responses
