"""The home side of federation, composed: what other regions ask here, and their consents."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from consent.parts import SqlConsentParts
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.federation.home.calling import FollowCalls
from gateway.federation.home.consents import ForeignConsents
from gateway.federation.home.exchange import TOKEN_TYPE, LicenceExchange
from gateway.federation.home.following import ConsentFollower
from gateway.federation.home.licence import Licences
from gateway.federation.home.metered import MeteredAnswers
from gateway.federation.home.service import SCOPE, FederatedRecords
from gateway.federation.home.taking_back import TakingBack
from gateway.federation.home.telling import ConsentTelling
from gateway.federation.witness.quorum import CosignedCheckpoints
from gateway.meter.receipts import ReceiptSigner
from gateway.meter.region_asks import SqlRegionAsks
from gateway.oauth.rfc8693 import SubjectExchange
from gateway.server.asking import Ways
from gateway.server.consents import Consenting
from gateway.server.grounds import Grounds
from gateway.server.records import RecordPath
from gateway.server.trust import Trust
from gateway.shares import Shares


@dataclass(frozen=True, slots=True)
class HomeSide:
    """What other parts need of it: what serves methods of FederationService, and what decides
    token exchanges, by the type of the subject token."""

    services: Sequence[object]
    exchanges: Mapping[str, SubjectExchange]


@asynccontextmanager
async def home_of(
    grounds: Grounds,
    trust: Trust,
    ways: Ways,
    licences: Licences,
    consents: Consenting,
    records: RecordPath,
    witnessed: CosignedCheckpoints,
    receipts: ReceiptSigner,
) -> AsyncGenerator[HomeSide]:
    """Give what the home side takes while the context lasts."""
    clock, feed, config = grounds.clock, grounds.feed, grounds.config

    def counterparts(region: str) -> Mapping[str, str]:
        return feed.current().authority.item_mappings.counterparts(region)

    def declared(item: str) -> frozenset[str]:
        return feed.current().catalogue.ever_declared(item)

    def is_public(item: str) -> bool:
        known = feed.current().catalogue.get(item)
        return known is not None and known.openness == Openness.OPENNESS_PUBLIC

    def own_codes() -> frozenset[str]:
        return frozenset(trust.regions.own().codes)

    async with AsyncExitStack() as stack:
        foreign = ForeignConsents(
            consents.consents, counterparts, declared, own_codes, clock, is_public
        )
        stack.callback(foreign.close)
        follower = ConsentFollower(
            FollowCalls(trust.regions, ways.links, ways.tokens),
            foreign.told,
            time.monotonic,
            config.federation_lease_seconds,
        )
        stack.push_async_callback(follower.stop)
        telling = ConsentTelling(
            consents.consents,
            consents.news,
            lambda caller: frozenset(trust.regions.require_client(caller.client_id).codes),
            clock,
        )
        stack.callback(telling.close)
        shares = Shares("taken-back")
        stack.callback(shares.close)
        taking_back = TakingBack(
            consents.consents,
            SqlConsentParts(grounds.engines.records),
            trust.regions.require_client,
            shares,
            clock,
        )
        served = FederatedRecords(
            book=trust.regions,
            licences=licences,
            consents=foreign,
            follower=follower,
            asks=SqlRegionAsks(grounds.engines.records),
            batches=records.service(scope=SCOPE),
            counterparts=counterparts,
            chunk_subjects=config.chunk_subjects,
            clock=clock,
            witnessed=witnessed,
            metered=MeteredAnswers(grounds.engines.records, receipts),
        )
        stack.callback(served.close)
        exchange = LicenceExchange(
            trust.regions.require_client,
            licences,
            counterparts,
            clock,
            config.audience,
            config.token_seconds,
        )
        yield HomeSide((served, telling, taking_back), {TOKEN_TYPE: exchange})
