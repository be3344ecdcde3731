"""The SDK's side of disclosures: followed through a gateway's end, removals acknowledged."""

import asyncio
import time
from contextlib import AsyncExitStack, aclosing

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from sdk.disclosures import LICENSED, Disclosures
from tests.conformance.test_watch import furnish, open_site
from tests.installation import Installation, eventually

_PUBLISHED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED


async def test_events_are_followed_from_one_gateway_to_the_next_and_removals_acknowledged(
    embedded: Installation,
) -> None:
    furnish(embedded)
    async with AsyncExitStack() as stack:
        async with embedded.running() as gateway, open_site(gateway) as site:
            own = Disclosures(site.alpha)
            first, second = await site.served(), await site.served()
            one, two = await site.repair(first), await site.withdraw(second)
            async with asyncio.timeout(20), aclosing(own.follow()) as events:
                assert (await anext(events)).event.event_sequence == one.event_sequence
            owed = await own.acknowledge([one.event_sequence], int(time.time()))
            assert (owed.acknowledged_removals, owed.outstanding_removals) == (1, 1)
        gateway = await stack.enter_async_context(embedded.running())
        site = await stack.enter_async_context(open_site(gateway))
        own = Disclosures(site.alpha)
        async with asyncio.timeout(20), aclosing(own.follow(one.event_sequence)) as events:
            event = (await anext(events)).event
        assert (event.event_sequence, event.record) == (two.event_sequence, second)
        owed = await own.acknowledge([two.event_sequence] * 2, int(time.time()))
        assert (owed.acknowledged_removals, owed.outstanding_removals) == (1, 0)
        async with asyncio.timeout(20), aclosing(own.follow(0, LICENSED)) as events:
            kinds = [(await anext(events)).event.kind for _ in range(2)]
        assert kinds == [_PUBLISHED, _PUBLISHED]


async def test_a_quiet_time_hands_out_where_to_begin_the_next_time(embedded: Installation) -> None:
    furnish(embedded)
    async with embedded.running() as gateway, open_site(gateway) as site:
        reached = list[int]()
        # Of records that alpha was not served: nothing it is told of.
        for _ in range(3):
            await site.published()
        own = Disclosures(site.alpha, heartbeat_seconds=1)
        async with aclosing(own.follow(rested=reached.append)) as events:
            following = asyncio.create_task(anext(events))

            async def rested() -> bool:
                return bool(reached)

            await eventually(rested)
            served = await site.served()
            repaired = await site.repair(served)
            assert (await following).event.event_sequence == repaired.event_sequence
        assert 0 < reached[0] < repaired.event_sequence
        assert reached == sorted(set(reached))
