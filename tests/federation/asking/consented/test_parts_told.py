"""What a subject takes back in the region that gave it reaches the firm as the guide tells it, and
nothing of it is passed on any more (guarantees G3, G9)."""

import asyncio
from contextlib import aclosing
from functools import partial
from uuid import uuid4

import pytest

from consent.part_names import part_id
from consent.sql import SqlConsents
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from sdk.consents import Consents, copies_of
from tests.conformance.attesting import attest, copy_of
from tests.consents.counter import Counter
from tests.federation.asking.consented.consenting import take_back
from tests.federation.asking.lost import metered
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import World, closing, company, ended, names
from tests.installation import CONSENT_ITEM, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def told_of_part(consents: Consents, whole: pb.Consent) -> pb.ConsentEvent:
    """Return the change by which a part of a consent is to be removed."""
    async with asyncio.timeout(30), aclosing(consents.follow()) as changes:
        async for change in changes:
            if change.HasField("data_life_until") and change.event.part_of == whole.name:
                return change.event
    raise AssertionError("it was never told")


async def test_who_removes_what_the_guide_names_holds_nothing_of_it(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    # As the guide has it: by the consent that the call named, and the region that gave it.
    kept = {
        (consent.name, region): [copy_of(each) for _, each in its.records]
        for region, its in answer.regions.items()
    }
    take_back(world, consent, counter.now)
    async with world.one.gateway.channel("alpha-one") as channel:
        consents = Consents(channel)
        event = await told_of_part(consents, consent)
        assert kept.pop(copies_of(event))
        word = await consents.acknowledge([event.consent], counter.now)
        assert word.acknowledged_removals == 1
        held = [copy for copies in kept.values() for copy in copies]
        assert (await attest(channel, held)).opened_findings == 0


async def test_what_is_taken_back_while_its_region_answers_is_not_passed_on(
    world: World, counter: Counter, relay: Relay
) -> None:
    subject, request_id = company("two"), uuid4().hex
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    # By now the region's log with the record is witnessed, which the relay would hold up.
    assert ended(await world.ask(subject), world.two) == "EMPTY"
    consent = await counter.given(subject)
    own = SqlConsents(world.one.installation.engines.records)
    part = part_id(consent.name.removeprefix("consents/"), world.two.entity_id)

    async def told() -> bool:
        return own.get(part) is not None

    relay.flowing.clear()
    try:
        asking = asyncio.create_task(
            world.ask(subject, items=[CONSENT_ITEM], consent=consent.name, request_id=request_id)
        )
        await eventually(partial(metered, world, request_id), 15)
        take_back(world, consent, counter.now)
        await eventually(told, 20)
    finally:
        relay.flowing.set()
    answer = await asking

    # For that region alone it is over: others answer, and the consent goes on.
    assert names(answer, world.two) == []
    refused = closing(answer, world.two).refusal
    assert refused == RefusalReason.REFUSAL_REASON_CONSENT_REVOKED
    assert ended(answer, world.three) == "ANSWERED"
    assert (await counter.read(consent.name)).state == pb.CONSENT_STATE_GRANTED
    # The region charged it: that is owed to it, and given to nobody.
    charged = world.uses.answers(world.two.entity_id, counter.now - 60, counter.now + 60)
    (kept,) = [each for each in charged if each.request_id == request_id]
    assert [use.passed_on for use in world.uses.uses(kept)] == [False]
