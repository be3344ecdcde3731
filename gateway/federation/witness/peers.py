"""Peers as a witness calls them: one exchange at a time with each, by the region's own client."""

from typing import Protocol

from creditgate.v1 import federation_service_pb2 as pb
from gateway.federation.trust.book import Region


class PeerLost(Exception):
    """A peer did not answer; the message says why, without its words."""


class Peers(Protocol):
    """Calls regions that stand."""

    async def exchange(
        self, region: Region, request: pb.ExchangeCheckpointsRequest
    ) -> pb.ExchangeCheckpointsResponse:
        """Return what a region says to the checkpoints shown. Raises PeerLost."""
        ...
