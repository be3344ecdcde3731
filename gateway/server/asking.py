"""Asking other regions, composed: FederatedRecordService, and the directory for peers."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from consent.regions import SqlConsentRegions
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.administration.item_mappings import ItemMappingService
from gateway.disclose.store import DisclosureStore
from gateway.federation.asking.believing import Believing
from gateway.federation.asking.calls import RegionCalls
from gateway.federation.asking.charging import Charging
from gateway.federation.asking.counted import RegionsCounted
from gateway.federation.asking.deciding import Deciding
from gateway.federation.asking.directories import Directories
from gateway.federation.asking.directory_service import RegionDirectoryService
from gateway.federation.asking.directory_store import DirectoryStore
from gateway.federation.asking.hiding import Hiding
from gateway.federation.asking.keeping import Keeping
from gateway.federation.asking.lines import NumberedLines
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.log_sizes import LogSizes
from gateway.federation.asking.ordering import Orderer
from gateway.federation.asking.orders import Orders
from gateway.federation.asking.owed import OwedShare
from gateway.federation.asking.own_directory import OwnDirectory
from gateway.federation.asking.planning import Planning
from gateway.federation.asking.ports import Credentials, Witnesses
from gateway.federation.asking.region import RegionAsker
from gateway.federation.asking.replays import RegionReplays
from gateway.federation.asking.sending import Sending
from gateway.federation.asking.sent import SentPlans
from gateway.federation.asking.service import FederatedRecordService, doubted
from gateway.federation.asking.tokens import RegionTokens
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.witness.sizes import witnessed_sizes
from gateway.meter.quota_holds import QuotaHolds
from gateway.meter.receipts import ReceiptSigner
from gateway.server.grounds import Grounds
from gateway.server.records import RecordPath
from gateway.server.transparency import Transparency
from gateway.server.trust import Trust
from gateway.shares import Shares
from gateway.usage.charged import first_charged, is_charged
from gateway.usage.earlier import EarlierReceipts
from operators.sql import SqlAuthorityLog


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to other regions: channels and tokens, shared by all who call them."""

    links: RegionLinks
    tokens: RegionTokens


@asynccontextmanager
async def ways_of(trust: Trust) -> AsyncGenerator[Ways]:
    """Give the ways to other regions while the context lasts."""
    ways = Ways(RegionLinks(trust.own), RegionTokens(trust.own))
    try:
        yield ways
    finally:
        await ways.tokens.close()
        await ways.links.close()


@asynccontextmanager
async def asking_of(
    grounds: Grounds,
    trust: Trust,
    ways: Ways,
    credentials: Credentials,
    witnesses: Witnesses,
    records: RecordPath,
    transparency: Transparency,
    receipts: ReceiptSigner,
) -> AsyncGenerator[Mapping[str, object]]:
    """Give what serves each service of asking, by its name, while the context lasts."""
    clock, engine, feed = grounds.clock, grounds.engines.records, grounds.feed

    def public_items() -> frozenset[str]:
        return frozenset(
            item.code
            for item in feed.current().catalogue.values()
            if item.openness == Openness.OPENNESS_PUBLIC
        )

    sent = SentPlans(engine)
    sending = Sending(sent, clock)
    believing = Believing(witnesses, clock.now, trust.anew.region)
    calls = RegionCalls(ways.links, ways.tokens, believing, sending)
    evidence = grounds.engines.evidence
    notes = DirectoryStore(engine)
    sizes = LogSizes(partial(witnessed_sizes, evidence), clock.now)
    directories = Directories(trust.regions, ways.links, ways.tokens, clock.now, notes, sizes)
    own = OwnDirectory(
        trust.own.entity_id, engine, transparency.salts, transparency.key, public_items, clock.now
    )
    async with AsyncExitStack() as stack:
        shares = Shares("directory")
        stack.callback(shares.close)
        directories.start()
        stack.push_async_callback(directories.stop)
        stack.push_async_callback(sending.close)
        keeping = Keeping(
            RegionUses(engine), RegionReplays(engine), SqlConsentRegions(engine), clock
        )
        stack.push_async_callback(keeping.close)
        orders = Orders()
        # What was asked of regions is charged before the ledger ends.
        stack.push_async_callback(orders.close)
        deciding = Deciding(
            feed,
            records.consents,
            records.committer,
            records.decisions,
            clock,
            records.limits.replay_seconds,
            records.unsigned,
        )
        charging = Charging(
            records.committer,
            records.decisions,
            NumberedLines(DisclosureStore(engine)),
            QuotaHolds(engine),
            partial(is_charged, engine),
            clock,
            records.limits.replay_seconds,
        )
        hiding = Hiding(trust.regions, trust.anew.region, directories, notes, evidence, clock)
        owed = OwedShare(engine, evidence, grounds.policies.alerts.owed_not_given, clock)
        orderer = Orderer(
            trust.regions, deciding, charging, witnesses, calls, keeping, orders, hiding, owed
        )
        asker = RegionAsker(
            trust.own,
            trust.regions,
            credentials,
            witnesses,
            orderer,
            orders,
            EarlierReceipts(engine, receipts).of,
            grounds.issuer,
            clock,
        )
        planning = Planning(
            trust.regions,
            directories,
            sent,
            RegionsCounted(engine),
            partial(first_charged, engine),
            clock,
            trust.own.entity_id,
            doubted,
        )
        yield {
            "FederatedRecordService": FederatedRecordService(
                deciding,
                trust.regions,
                planning,
                asker,
                records.throttle,
            ),
            "RegionDirectoryService": RegionDirectoryService(own, shares),
            "ItemMappingService": ItemMappingService(
                SqlAuthorityLog(grounds.engines.authority), feed, clock
            ),
        }
