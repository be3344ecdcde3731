"""What becomes of other regions' records, composed: who follows it, and who is told."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from consent.regions import SqlConsentRegions
from gateway.authority.restoration import number_of
from gateway.federation.asking.event_calls import EventCalls
from gateway.federation.asking.event_follower import RegionEventFollower
from gateway.federation.asking.event_news import RegionEventNews
from gateway.federation.asking.event_watch import RegionRecordWatch
from gateway.federation.asking.region_events import SqlRegionEvents
from gateway.federation.asking.removal_telling import PastChanges, PastConsents, RemovalTeller
from gateway.federation.asking.removals import RegionRemovals
from gateway.federation.home.taken_back import PastTakenBack
from gateway.server.asking import Ways
from gateway.server.grounds import Grounds
from gateway.server.pulse import Busy
from gateway.server.trust import Trust
from gateway.shares import Shares


@dataclass(frozen=True, slots=True)
class RegionEventsServed:
    """``watch`` serves WatchRegionRecords, ``news`` wakes its streams."""

    watch: RegionRecordWatch
    news: RegionEventNews


@asynccontextmanager
async def region_events_served(
    grounds: Grounds, trust: Trust
) -> AsyncGenerator[RegionEventsServed]:
    """Give what tells operators of events while the context lasts."""
    events = _events(grounds)
    async with AsyncExitStack() as stack:
        shares = Shares("region-events-read")
        stack.callback(shares.close)
        news = RegionEventNews(events, grounds.signs.records)
        news.start()
        stack.push_async_callback(news.stop)
        watch = RegionRecordWatch(
            events,
            news,
            trust.regions,
            shares,
            grounds.feed.current,
            grounds.clock,
            grounds.config.federation_lease_seconds,
            trust.own.entity_id,
            RegionRemovals(grounds.engines, grounds.policies.conformance),
            grounds.policies.conformance,
        )
        yield RegionEventsServed(watch, news)


def _events(grounds: Grounds) -> SqlRegionEvents:
    return SqlRegionEvents(
        grounds.engines.records, lambda: number_of(0, grounds.feed.current().restored_at)
    )


@asynccontextmanager
async def region_events_kept(
    grounds: Grounds, trust: Trust, ways: Ways
) -> AsyncGenerator[Sequence[Busy]]:
    """Follow what becomes of other regions' records, and tell these what is gone, while the
    context lasts; give who does."""
    engines, calls = grounds.engines, EventCalls(ways.links, ways.tokens, trust.own.entity_id)
    follower = RegionEventFollower(
        engines.records,
        _events(grounds),
        calls,
        trust.regions,
        grounds.clock,
        grounds.config.federation_lease_seconds,
    )
    removals = RegionRemovals(engines, grounds.policies.conformance)
    tellers = (
        RemovalTeller(
            "removal-telling",
            PastChanges(engines.records, removals),
            calls.acknowledge,
            trust.regions,
            grounds.clock,
        ),
        RemovalTeller(
            "consent-removal-telling",
            PastConsents(SqlConsentRegions(engines.records)),
            calls.acknowledge_under,
            trust.regions,
            grounds.clock,
        ),
        RemovalTeller(
            "taken-back-telling",
            PastTakenBack(engines.records, trust.regions),
            calls.taken_back,
            trust.regions,
            grounds.clock,
        ),
    )
    async with AsyncExitStack() as stack:
        for each in (follower, *tellers):
            await each.start()
            stack.push_async_callback(each.stop)
        yield follower, *tellers
