"""Disclosures from an operator's side: follow what becomes of records, say what was removed.

Over a channel of `sdk.connection.connect`.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1.conformance_service_pb2 import (
    AcknowledgeRemovalsRequest,
    AcknowledgeRemovalsResponse,
    RemovalAcknowledgement,
    WatchCoverage,
    WatchDisclosuresRequest,
    WatchDisclosuresResponse,
)
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from sdk.following import Following

SERVED: Final = WatchCoverage.WATCH_COVERAGE_SERVED
LICENSED: Final = WatchCoverage.WATCH_COVERAGE_LICENSED
_DEADLINE_SECONDS: Final = 30
_MOST_REMOVALS: Final = 1_000


class Disclosures:
    """The disclosure as it concerns the operator that the channel acts for.

    The gateway gives a sign of life every ``heartbeat_seconds`` (1 to 60); a followed stream
    that misses three counts as broken. ``pause_seconds`` lie before the first attempt to
    take it up again, twice as many before each further one, up to half a minute.
    """

    def __init__(
        self, channel: grpc.aio.Channel, *, heartbeat_seconds: int = 15, pause_seconds: float = 1
    ) -> None:
        self._conformance = ConformanceServiceStub(channel)
        self._heartbeat_seconds = heartbeat_seconds
        self._pause_seconds = pause_seconds

    def follow(
        self,
        after: int = 0,
        coverage: WatchCoverage.ValueType = SERVED,
        *,
        rested: Callable[[int], None] = lambda _: None,
    ) -> AsyncGenerator[WatchDisclosuresResponse]:
        """Yield each event behind position ``after``, in order, for ever.

        Keep ``event.event_sequence`` once an event is dealt with, and begin there the next
        time: none is then missed. ``rested`` is told, in between, a position up to which nothing
        else concerns the operator, once the events before it were taken: keep it too, or after a
        quiet year all that the year held is gone through again. Where ``removal_deadline`` is set, the copy must be gone,
        or replaced, and the removal acknowledged by then. A connection that breaks or falls
        silent is made anew. Leave it by ``contextlib.aclosing``. Raises grpc.RpcError for a
        refusal that waiting does not mend.
        """
        interval = Duration(seconds=self._heartbeat_seconds)

        return Following[WatchDisclosuresResponse](
            name="disclosures",
            watch=lambda position: self._conformance.WatchDisclosures(
                WatchDisclosuresRequest(
                    coverage=coverage, after_sequence=position, heartbeat_interval=interval
                )
            ),
            position=_position,
            silence_seconds=3 * self._heartbeat_seconds,
            pause_seconds=self._pause_seconds,
            rests_at=_rests_at,
            rested=rested,
        ).after(after)

    async def acknowledge(
        self, sequences: Iterable[int], removed_at: int
    ) -> AcknowledgeRemovalsResponse:
        """Report that copies are gone, or replaced, as the events of these positions demanded.

        ``removed_at`` is when the last copy was gone (seconds, UTC). Up to 1,000 at once; doing
        so again changes nothing. Raises grpc.RpcError, and ValueError for more.
        """
        gone = Timestamp(seconds=removed_at)
        return await self._acknowledged(
            [RemovalAcknowledgement(event_sequence=each, remove_time=gone) for each in sequences]
        )

    async def acknowledge_elsewhere(
        self, numbers: Iterable[int], removed_at: int
    ) -> AcknowledgeRemovalsResponse:
        """Report the same of copies that other regions gave, for the events of these numbers
        (`sdk.federated.follow_region_records`); as `acknowledge`."""
        gone = Timestamp(seconds=removed_at)
        return await self._acknowledged(
            [RemovalAcknowledgement(region_event=each, remove_time=gone) for each in numbers]
        )

    async def _acknowledged(
        self, removals: Sequence[RemovalAcknowledgement]
    ) -> AcknowledgeRemovalsResponse:
        if len(removals) > _MOST_REMOVALS:
            raise ValueError(f"acknowledge at most {_MOST_REMOVALS} removals at once")
        return await self._conformance.AcknowledgeRemovals(
            AcknowledgeRemovalsRequest(removals=removals), timeout=_DEADLINE_SECONDS
        )


def _rests_at(answer: WatchDisclosuresResponse) -> int:
    return 0 if answer.HasField("event") else answer.disclosure_sequence


def _position(answer: WatchDisclosuresResponse) -> int:
    return answer.event.event_sequence
