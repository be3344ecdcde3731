"""What a retry may open: no more than its question was counted for, and by the mapping in force."""

from functools import partial
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import delete

from creditgate.refusal import reason_name
from creditgate.v1 import consent_service_pb2 as pb
from gateway.federation.asking.tables import REGION_PLANS
from sdk.refusals import explain
from tests.consents.counter import Counter
from tests.federating import RegionGateway
from tests.federation.asking.consented.consenting import CHUNK
from tests.federation.asking.lost import given_up
from tests.federation.asking.rationed.firm import Firm
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import (
    MAPPED,
    World,
    closing,
    company,
    ended,
    map_items,
    names,
    not_asked,
)
from tests.installation import CONSENT_ITEM, PUBLIC_ITEM, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")


LIMITED: list[dict[str, Any]] = [
    {"access_mode": pb.CONSENT_ACCESS_MODE_ONCE},
    {"access_mode": pb.CONSENT_ACCESS_MODE_TIMES_PER_DAY, "times_per_day": 1},
]


@pytest.mark.parametrize("limited", LIMITED, ids=["once", "once-a-day"])
async def test_a_use_that_was_counted_opens_no_region_that_was_not_named_then(
    world: World, counter: Counter, limited: dict[str, Any]
) -> None:
    subject, two, three = company("two"), world.two, world.three
    given = await world.publish(two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject, counter.terms(**limited))
    under: dict[str, Any] = {"items": [CONSENT_ITEM], "consent": consent.name}
    ask = partial(world.ask, subject, request_id=uuid4().hex, **under)
    first = await ask(regions=[two.entity_id])
    assert names(first, two) == given
    await world.publish(three, subject, item=CONSENT_ITEM)
    other = await ask(regions=[three.entity_id])
    assert not_asked(other, three) == "CONSENT_USED"
    assert three.entity_id in other.unanswered
    every = await ask(regions=[])
    assert not_asked(every, three) == "CONSENT_USED"
    # What it was counted for is given again for nothing.
    assert names(every, two) == given
    assert closing(every, two).charged_micro_yuan == 0
    with pytest.raises(grpc.aio.AioRpcError) as another_use:
        await world.ask(subject, regions=[three.entity_id], **under)
    assert explain(another_use.value).reason == "CONSENT_EXHAUSTED"


@pytest.mark.parametrize("limited", LIMITED, ids=["once", "once-a-day"])
async def test_a_region_that_was_named_is_asked_by_a_retry_though_nothing_was_sent_to_it(
    world: World, counter: Counter, limited: dict[str, Any]
) -> None:
    subject, two, three = company("two"), world.two, world.three
    given = await world.publish(two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject, counter.terms(**limited))
    request_id = uuid4().hex
    ask = partial(
        world.ask, subject, request_id=request_id, items=[CONSENT_ITEM], consent=consent.name
    )
    await ask()
    with world.one.installation.engines.records.begin() as connection:
        # As where the process ended before anything was sent.
        connection.execute(delete(REGION_PLANS).where(REGION_PLANS.c.request_id == request_id))
    again = await ask(regions=[two.entity_id])
    assert names(again, two) == given
    assert not_asked(again, three) == "NOT_NAMED"


async def test_a_consent_without_a_count_opens_further_regions_until_it_is_taken_back(
    world: World, counter: Counter
) -> None:
    subject, two, three = company("two"), world.two, world.three
    given = await world.publish(three, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    ask = partial(
        world.ask, subject, request_id=uuid4().hex, items=[CONSENT_ITEM], consent=consent.name
    )
    await ask(regions=[two.entity_id])
    assert names(await ask(regions=[three.entity_id]), three) == given
    counter.revoke(consent)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(regions=[three.entity_id])
    assert explain(refused.value).reason == "CONSENT_REVOKED"


async def _unmapped(world: World, home: RegionGateway) -> None:
    """Take a region's mapping of the public item away, until that is known."""
    map_items(world.one, home, {CONSENT_ITEM: CONSENT_ITEM})

    async def known() -> bool:
        answer = await world.ask(company(), regions=[home.entity_id])
        return not_asked(answer, home) == "ITEMS_UNMAPPED"

    await eventually(known, 10)


async def _mapped(world: World, home: RegionGateway) -> None:
    map_items(world.one, home, MAPPED)

    async def known() -> bool:
        return ended(await world.ask(company(), regions=[home.entity_id]), home) == "EMPTY"

    await eventually(known, 20)


async def test_a_mapping_taken_away_asks_nothing_for_a_retry_that_nothing_was_charged_of(
    world: World, relay: Relay
) -> None:
    subject, two = company("two"), world.two
    await world.publish(two, subject)
    ask = partial(world.ask, subject, request_id=uuid4().hex, regions=[two.entity_id])
    backend, relay.backend = relay.backend, ""
    relay.cut()
    with given_up():
        first = await ask(region_deadline=Duration(seconds=1))
    assert ended(first, two) in {"LATE", "UNREACHABLE"}
    relay.backend = backend
    await _unmapped(world, two)
    try:
        assert not_asked(await ask(), two) == "ITEMS_UNMAPPED"
    finally:
        await _mapped(world, two)
    assert ended(await ask(), two) == "ANSWERED"


async def test_what_was_charged_is_given_again_whatever_mappings_say_and_nothing_behind_it(
    world: World,
) -> None:
    two = world.two
    subjects = [company("two") for _ in range(2 * CHUNK)]
    published = [name for each in subjects for name in await world.publish(two, each)]
    firm = await Firm(world, CHUNK).known()
    ask = partial(firm.ask, subjects, request_id=uuid4().hex)
    first = await ask()
    assert names(first, two) == published[:CHUNK]
    assert reason_name(closing(first, two).refusal) == "QUOTA_EXHAUSTED"
    await _unmapped(world, two)
    try:
        again = await ask()
    finally:
        await _mapped(world, two)
    assert names(again, two) == published[:CHUNK]
    assert closing(again, two).charged_micro_yuan == 0
    assert reason_name(closing(again, two).refusal) == "ITEM_NOT_MAPPED"
    assert [item for item, _ in again.regions[two.entity_id].records] == [PUBLIC_ITEM] * CHUNK
