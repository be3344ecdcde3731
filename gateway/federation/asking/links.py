"""Channels to other regions: mutual TLS by the roots of their trust chains, and nothing else."""

import json
from typing import Any, Final, NamedTuple

import grpc

from gateway.federation.asking.ports import OwnRegion
from gateway.federation.trust.book import Region
from sdk.proxies import channel_options

MOST_MESSAGE_BYTES: Final = 64 << 20
_KEEPALIVE_MILLISECONDS: Final = 30_000
_GRACE_SECONDS: Final = 60
# gRPC's own retries: what no server has begun to answer is tried again. Not questions for records:
# whoever sends one again has to know that the region may have charged it before
# (`gateway.federation.asking.calls`).
_SERVICE_CONFIG: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "creditgate.v1.FederationService"}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
                },
            },
            # The more exact name counts.
            {"name": [{"service": "creditgate.v1.FederationService", "method": "QueryRecords"}]},
        ]
    }
)
# A region that is back is heard of within the rest of a circuit that found it away: left to gRPC,
# two minutes may pass between two tries.
_FIRST_AGAIN_MILLISECONDS: Final = 250
_MOST_APART_MILLISECONDS: Final = 2_000
_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MILLISECONDS),
    ("grpc.initial_reconnect_backoff_ms", _FIRST_AGAIN_MILLISECONDS),
    ("grpc.max_reconnect_backoff_ms", _MOST_APART_MILLISECONDS),
    ("grpc.enable_retries", 1),
    ("grpc.service_config", _SERVICE_CONFIG),
    # Each channel a connection of its own: a hedge does not wait behind what it hedges.
    ("grpc.use_local_subchannel_pool", 1),
)
CHANNELS: Final = 2
"""Connections to a region: one, and one for hedges."""


class _Place(NamedTuple):
    addresses: tuple[str, ...]
    roots: bytes


class RegionLinks:
    """The channels of one process, made when first asked for; one event loop's own."""

    def __init__(self, own: OwnRegion) -> None:
        self._own = own
        self._channels: dict[str, tuple[_Place, tuple[grpc.aio.Channel, ...]]] = {}

    async def channels(self, region: Region) -> tuple[grpc.aio.Channel, ...]:
        """Return `CHANNELS` channels to ``region``, by different addresses where it has some.

        Where its chain now says other addresses or roots, those from before are closed once
        what they carry has ended. Raises OSError where this region's own key cannot be read.
        """
        place = _Place(region.grpc, region.roots)
        known = self._channels.get(region.entity_id)
        if known is not None and known[0] == place:
            return known[1]
        credentials = grpc.ssl_channel_credentials(
            region.roots, self._own.key.read_bytes(), self._own.certificate.read_bytes()
        )
        addresses = [place.addresses[each % len(place.addresses)] for each in range(CHANNELS)]
        channels = tuple(
            grpc.aio.secure_channel(
                address, credentials, options=(*_OPTIONS, *channel_options(address))
            )
            for address in addresses
        )
        self._channels[region.entity_id] = (place, channels)
        if known is not None:
            for channel in known[1]:
                await channel.close(_GRACE_SECONDS)
        return channels

    async def close(self) -> None:
        """Close every channel."""
        for _, channels in self._channels.values():
            for channel in channels:
                await channel.close()
