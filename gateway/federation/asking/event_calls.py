"""Calling WatchDisclosures and AcknowledgeRemovals in another region, as the operator that this
region is there."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from consent.regions import GoneUnder
from creditgate.federated_query import consent_elsewhere
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.federation_service_pb2 import ConsentTakenBack, TellTakenBackRequest
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking.event_places import sequence_in, told_by
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.removal_telling import Gone, NotTaken
from gateway.federation.asking.tokens import RegionTokens
from gateway.federation.home.calling import SCOPE as CONSENTS_SCOPE
from gateway.federation.home.taken_back import TakenBack
from gateway.federation.streams import read_of
from gateway.federation.trust.book import Region
from sdk.refusals import explain

SCOPE: Final = "credit.conformance:watch"
ACKNOWLEDGE_SCOPE: Final = "credit.conformance:acknowledge"
_ACKNOWLEDGE_SECONDS: Final = 30.0
_NOT_OWED: Final = RefusalReason.Name(RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND)
_INVALID: Final = RefusalReason.Name(RefusalReason.REFUSAL_REASON_INVALID_REQUEST)
_REMOVAL: Final = re.compile(r"removals\[([0-9]{1,4})\]")


class EventCalls:
    """`gateway.federation.asking.event_follower.Ways`, and those of `removal_telling`, over gRPC;
    one event loop's own. ``own`` is the entity identifier of this region."""

    def __init__(self, links: RegionLinks, tokens: RegionTokens, own: str) -> None:
        self._links = links
        self._tokens = tokens
        self._own = own

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

    async def acknowledge(self, region: Region, gone: Sequence[Gone]) -> None:
        """Tell a region that copies of what it served are gone; one that was told before may be
        among them. What its log had before it began anew is told to nobody: the same positions
        are those of other events now.

        Raises NotTaken for the first that the region does not take, NoToken, OSError, and what
        gRPC raises.
        """
        places = told_by(region, [each.event_sequence for each in gone])
        if not places:
            return
        try:
            await self._acknowledge(
                region,
                [
                    pb.RemovalAcknowledgement(
                        event_sequence=sequence_in(gone[at].event_sequence),
                        remove_time=Timestamp(seconds=gone[at].removed_at),
                    )
                    for at in places
                ],
                wrong_times=False,
            )
        except NotTaken as refused:
            raise NotTaken(places[refused.place], others_stand=refused.others_stand) from None

    async def acknowledge_under(self, region: Region, gone: Sequence[GoneUnder]) -> None:
        """Tell a region that copies of what it served under consents kept here are gone; raises as
        `acknowledge`, and NotTaken also where it does not take the time of one."""
        await self._acknowledge(
            region,
            [
                pb.RemovalAcknowledgement(
                    consent=consent_elsewhere(self._own, each.consent),
                    remove_time=Timestamp(seconds=each.removed_at),
                )
                for each in gone
            ],
            wrong_times=True,
        )

    async def taken_back(self, region: Region, consents: Sequence[TakenBack]) -> None:
        """Tell the region that keeps consents that their subjects have taken them back here.

        Raises NoToken, OSError, and what gRPC raises.
        """
        token = await self._tokens.own(region, CONSENTS_SCOPE)
        channel, *_ = await self._links.channels(region)
        try:
            await FederationServiceStub(channel).TellTakenBack(
                TellTakenBackRequest(
                    consents=[
                        ConsentTakenBack(
                            consent=each.consent, take_back_time=Timestamp(seconds=each.at)
                        )
                        for each in consents
                    ]
                ),
                metadata=(("authorization", f"Bearer {token}"),),
                timeout=_ACKNOWLEDGE_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                self._tokens.forget(token)
            raise

    async def _acknowledge(
        self,
        region: Region,
        removals: Sequence[pb.RemovalAcknowledgement],
        *,
        wrong_times: bool,
    ) -> None:
        token = await self._tokens.own(region, ACKNOWLEDGE_SCOPE)
        channel, *_ = await self._links.channels(region)
        try:
            await ConformanceServiceStub(channel).AcknowledgeRemovals(
                pb.AcknowledgeRemovalsRequest(removals=removals),
                metadata=(("authorization", f"Bearer {token}"),),
                timeout=_ACKNOWLEDGE_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                self._tokens.forget(token)
            refusal = explain(error)
            place, others_stand = refusal.metadata.get("removal", ""), True
            if wrong_times and refusal.reason == _INVALID:
                fields = (_REMOVAL.match(each.field) for each in refusal.violations)
                place = next((found[1] for found in fields if found is not None), "")
                others_stand = False
            elif refusal.reason != _NOT_OWED:
                raise
            if place.isdecimal() and int(place) < len(removals):
                raise NotTaken(int(place), others_stand=others_stand) from None
            raise
