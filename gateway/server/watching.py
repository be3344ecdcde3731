"""What watches the disclosure, composed: streams of events, and the removals they demand."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from consent.sql import SqlConsents
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.conformance.acknowledgement import RemovalService, RemovalsOwed
from gateway.conformance.event_pages import Keepers
from gateway.conformance.news import DisclosureNews
from gateway.conformance.owing import Deadlines
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.uptime import Awake
from gateway.conformance.watch import DisclosureWatch
from gateway.federation.asking.removals import RegionRemovals
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns


@dataclass(frozen=True, slots=True)
class Watching:
    """What the other parts of a process need of it.

    ``watch`` and ``removals`` serve methods of ConformanceService; ``owed`` tells what
    operators owe for events and consents together.
    """

    watch: DisclosureWatch
    removals: RemovalService
    duties: RemovalDuties
    owed: RemovalsOwed
    news: DisclosureNews


@asynccontextmanager
async def watching(
    config: GatewayConfig,
    engines: Engines,
    signs: StoreSigns,
    feed: AuthorityFeed,
    clock: Clock,
    consents: SqlConsents,
    keepers: Keepers,
    deadlines: Deadlines,
    elsewhere: RegionRemovals,
    awake: Awake,
) -> AsyncGenerator[Watching]:
    """Give what watches the disclosure while the context lasts.

    Raises what the stores raise when they cannot be read.
    """
    duties = RemovalDuties(engines, keepers, deadlines)
    news = DisclosureNews(
        engines.records, keepers, config.authority_poll_ms / 1_000, signs.disclosure
    )
    async with AsyncExitStack() as stack:
        shares = Shares("watching")
        stack.callback(shares.close)
        await news.start()
        stack.push_async_callback(news.stop)
        yield Watching(
            DisclosureWatch(news, duties, deadlines, shares, feed.current, clock, awake),
            RemovalService(duties, consents, elsewhere, shares, clock, awake),
            duties,
            RemovalsOwed(duties, consents, elsewhere),
            news,
        )
