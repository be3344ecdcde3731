"""A consent granted here opens records of other regions within its regions, and no longer; what it
opened is owed, told and ended here, and told to the regions that gave it."""

import asyncio
from functools import partial
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from consent.changing import Act
from consent.model import Actor, ConsentItem
from consent.overdue import SqlOverdue
from consent.sql import SqlConsents
from creditgate.federated_query import consent_elsewhere
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.audit_service_pb2 import TraceConsentRequest, TraceRecordRequest
from creditgate.v1.conformance_service_pb2 import (
    AcknowledgeRemovalsRequest,
    RemovalAcknowledgement,
)
from creditgate.v1.federation_service_pb2 import ConsentTakenBack, TellTakenBackRequest
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from creditgate.v1.usage_service_pb2 import ListUsageRequest
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.model import CATALOGUE_ITEM, ContentField, ContentFieldType
from gateway.federation.home.calling import SCOPE
from sdk.refusals import explain
from tests.conformance.attesting import attest, copy_of, reconcile
from tests.consents.counter import DAY, Counter
from tests.federating import DISTRICTS
from tests.federation.asking.consented.consenting import take_back
from tests.federation.asking.lost import metered
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import (
    World,
    closing,
    company,
    ended,
    names,
    not_asked,
    placed,
)
from tests.installation import CONSENT_ITEM, PUBLIC_ITEM, PUBLISHER, eventually, item
from tests.server.calls import draft, publish

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_consent_opens_records_of_every_region_it_holds_in(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    kept = await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    assert names(answer, world.two) == kept
    # Under a consent that leaves out divisions it cannot prove that it has nothing.
    assert (ended(answer, world.three), closing(answer, world.three).complete) == (
        "ANSWERED",
        False,
    )
    assert names(answer, world.three) == []


async def test_a_region_outside_the_consent_is_not_asked(world: World, counter: Counter) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject, counter.terms(regions=["000003"]))
    answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    assert not_asked(answer, world.two) == "OUTSIDE_LICENCE"
    assert names(answer, world.two) == []
    # Under a consent that leaves out divisions it cannot prove that it has nothing.
    assert (ended(answer, world.three), closing(answer, world.three).complete) == (
        "ANSWERED",
        False,
    )
    assert names(answer, world.three) == []


async def test_a_consent_taken_back_opens_nothing_any_more(world: World, counter: Counter) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    counter.revoke(consent)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    assert explain(error.value).reason == "CONSENT_REVOKED"


async def test_what_another_region_gave_under_a_consent_is_told_owed_and_ended(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    (name,) = await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    copies = [copy_of(each) for _, each in answer.regions[world.two.entity_id].records]

    listed = await counter.operator.ListAccesses(pb.ListAccessesRequest(consent=consent.name))
    (access,) = listed.accesses
    assert (access.record, access.home_region) == (name, world.two.entity_id)
    assert (access.item, access.consent, access.usage) == (CONSENT_ITEM, consent.name, "")
    steps = (await counter.audit.TraceConsent(TraceConsentRequest(consent=consent.name))).steps
    assert [step.WhichOneof("step") for step in steps][-2:] == ["decision", "usage"]
    used = steps[-1].usage
    assert (used.record, used.home_region, used.revision) == (name, world.two.entity_id, 1)

    # From the operator's entry to the consent, and from the record to the entry.
    used_by = (
        await UsageServiceStub(counter.alpha).ListUsage(ListUsageRequest(page_size=1_000))
    ).entries
    (entry,) = [each for each in used_by if each.record == name]
    assert (entry.consent, entry.home_region) == (consent.name, world.two.entity_id)
    record = TraceRecordRequest(record=name, home_region=world.two.entity_id)
    traced = (await counter.audit.TraceRecord(record)).steps
    assert [step.WhichOneof("step") for step in traced] == ["decision", "usage"]
    assert traced[-1].usage == entry
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        record.home_region = world.three.entity_id
        await counter.audit.TraceRecord(record)
    assert explain(unknown.value).reason == "RESOURCE_NOT_FOUND"

    counter.revoke(consent)
    owed = await counter.read(consent.name)
    assert owed.data_life_until.seconds == pytest.approx(counter.now + DAY, abs=5)
    async with world.one.gateway.channel("alpha-one") as channel:
        assert (await attest(channel, copies)).opened_findings == 0
        word = RemovalAcknowledgement(
            consent=consent.name, remove_time=Timestamp(seconds=counter.now)
        )
        acknowledged = await counter.conformance.AcknowledgeRemovals(
            AcknowledgeRemovalsRequest(removals=[word])
        )
        assert acknowledged.acknowledged_removals == 1
        found = await reconcile(channel, copies)
        assert found.opened_findings == 1


async def test_what_anybody_may_have_comes_along_and_is_not_of_the_consent(
    world: World, counter: Counter
) -> None:
    subject, unknown = company("two"), company("two")
    items = [CONSENT_ITEM, PUBLIC_ITEM]
    for code in items:
        await world.publish(world.two, subject, item=code)
    consent = await counter.given(subject)
    answer = await world.ask(subject, items=items, consent=consent.name)
    records = [record for _, record in answer.regions[world.two.entity_id].records]

    async def told(*, subject: str = "", consent: str = "") -> list[tuple[str, bool]]:
        which = pb.ListAccessesRequest(subject=subject, consent=consent)
        page = await counter.operator.ListAccesses(which)
        return sorted((each.item, bool(each.consent)) for each in page.accesses)

    assert await told(subject=subject) == sorted([(CONSENT_ITEM, True), (PUBLIC_ITEM, False)])
    assert await told(consent=consent.name) == [(CONSENT_ITEM, True)]
    counter.revoke(consent)
    word = RemovalAcknowledgement(consent=consent.name, remove_time=Timestamp(seconds=counter.now))
    await counter.conformance.AcknowledgeRemovals(AcknowledgeRemovalsRequest(removals=[word]))
    async with world.one.gateway.channel("alpha-one") as channel:
        public = [copy_of(each) for each in records if each.item == PUBLIC_ITEM]
        assert (await reconcile(channel, public)).opened_findings == 0

    # Nothing is found: what was looked for under the consent is told, and that alone.
    vain = await counter.given(unknown)
    await world.ask(unknown, items=items, consent=vain.name)
    assert await told(subject=unknown) == [(CONSENT_ITEM, True)]


async def test_a_region_is_told_by_name_when_its_copies_are_gone(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    counter.revoke(consent)
    there = SqlConsents(world.two.installation.engines.records)
    name = consent_elsewhere(world.one.entity_id, consent.name)
    consent_id = name.removeprefix("consents/")

    async def owed() -> bool:
        return consent_id in there.removals([consent_id])

    async def told() -> bool:
        return there.removals([consent_id])[consent_id].acknowledged_at is not None

    await eventually(owed, 10)
    # The subject is not told that a region is late: it hears from the one that keeps the consent.
    late = counter.now + 9 * DAY
    assert SqlOverdue(world.two.installation.engines.records).of_subject(subject, late, 5) == []
    ours = SqlOverdue(world.one.installation.engines.records).of_subject(subject, late, 5)
    assert [each.operator_id for each in ours] == ["alpha"]
    assert not await told()
    removed_at = counter.now
    word = RemovalAcknowledgement(consent=consent.name, remove_time=Timestamp(seconds=removed_at))
    await counter.conformance.AcknowledgeRemovals(AcknowledgeRemovalsRequest(removals=[word]))
    await eventually(told, 15)
    removal = there.removals([consent_id])[consent_id]
    assert removal.removed_at == pytest.approx(removed_at, abs=3)


async def test_what_its_subject_takes_back_in_the_region_that_gave_it_is_told_and_owed_here(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    copies = [copy_of(each) for _, each in answer.regions[world.two.entity_id].records]
    take_back(world, consent, counter.now)

    # Its operator is told on the stream, of that region's part alone; the consent goes on.
    told: list[pb.WatchConsentsResponse] = []
    async for each in counter.operator.WatchConsents(pb.WatchConsentsRequest(), timeout=30):
        if each.event.part_of == consent.name:
            told.append(each)
            break
    ((event, deadline),) = [(each.event, each.data_life_until.seconds) for each in told]
    assert (event.region, event.reason) == (world.two.entity_id, "")
    assert event.state == pb.ConsentState.CONSENT_STATE_REVOKED
    assert deadline == pytest.approx(counter.now + DAY, abs=30)
    assert (await counter.read(consent.name)).state == pb.ConsentState.CONSENT_STATE_GRANTED
    (part,) = (await counter.read(event.consent)).removals
    assert part.deadline.seconds == deadline

    # Its word is of those copies; held afterwards they are found, and that region is told.
    async with world.one.gateway.channel("alpha-one") as channel:
        assert (await attest(channel, copies)).opened_findings == 0
        word = RemovalAcknowledgement(
            consent=consent.name, remove_time=Timestamp(seconds=counter.now)
        )
        request = AcknowledgeRemovalsRequest(removals=[word])
        taken = await counter.conformance.AcknowledgeRemovals(request)
        assert taken.acknowledged_removals == 1
        assert (await reconcile(channel, copies)).opened_findings == 1

    there = SqlConsents(world.two.installation.engines.records)
    elsewhere = consent_elsewhere(world.one.entity_id, consent.name).removeprefix("consents/")

    async def passed_on() -> bool:
        return there.removals([elsewhere])[elsewhere].acknowledged_at is not None

    await eventually(passed_on, 45)


async def test_a_region_takes_back_no_more_than_what_it_gave(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    # Of this one nobody was asked under it.
    before = await counter.given(company("two"))

    async def changes() -> list[str]:
        own = SqlConsents(world.one.installation.engines.records)
        return [
            each.reason
            for about in (subject, before.subject)
            for each in own.changes(subject=about, limit=100)
            if each.state == pb.ConsentState.CONSENT_STATE_REVOKED
        ]

    for region, name in ((world.three, before.name), (world.two, consent.name)):
        token = await region.token_at(world.one, SCOPE)
        async with region.channel_to(world.one) as channel:
            stub = FederationServiceStub(channel)
            for _ in range(2):
                await stub.TellTakenBack(
                    TellTakenBackRequest(consents=[ConsentTakenBack(consent=name)]),
                    metadata=(("authorization", f"Bearer {token}"),),
                )
    assert await changes() == [f"{world.two.entity_id} {consent.name}"]
    assert (await counter.read(before.name)).state == pb.ConsentState.CONSENT_STATE_GRANTED


async def test_nothing_is_passed_on_under_a_consent_taken_back_while_the_region_answers(
    world: World, counter: Counter, relay: Relay
) -> None:
    subject, request_id = company("two"), uuid4().hex
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    # By now the region's log with the record is witnessed, which the relay would hold up.
    assert ended(await world.ask(subject), world.two) == "EMPTY"
    consent = await counter.given(subject)
    relay.flowing.clear()
    try:
        asking = asyncio.create_task(
            world.ask(subject, items=[CONSENT_ITEM], consent=consent.name, request_id=request_id)
        )
        await eventually(partial(metered, world, request_id), 15)
        # By another process: what this one remembers of the consent is old.
        counter.revoke(consent)
    finally:
        relay.flowing.set()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await asking
    assert explain(error.value).reason == "CONSENT_REVOKED"

    async def kept() -> bool:
        return bool(given())

    def given() -> list[tuple[bool, bool | None]]:
        every = world.uses.answers(world.two.entity_id, counter.now - 60, counter.now + 60)
        its = (each for each in every if each.request_id == request_id)
        return [(use.passed_on, use.withheld) for each in its for use in world.uses.uses(each)]

    # The region charged it: it is kept as owed to it, and given to nobody.
    await eventually(kept, 15)
    assert given() == [(False, True)]
    revoked = await counter.read(consent.name)
    assert not revoked.HasField("removal")
    there = SqlConsents(world.two.installation.engines.records)
    consent_id = consent_elsewhere(world.one.entity_id, consent.name).removeprefix("consents/")

    async def told() -> bool:
        removal = there.removals([consent_id]).get(consent_id)
        return removal is not None and removal.acknowledged_at is not None

    # The region that served it waits for a word all the same.
    await eventually(told, 15)


async def test_a_consent_for_one_use_that_other_regions_answered_is_taken_back(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    once = counter.terms(access_mode=pb.CONSENT_ACCESS_MODE_ONCE)
    consent = await counter.given(subject, once)
    await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)

    async def used_up() -> bool:
        return (await counter.read(consent.name)).state == pb.CONSENT_STATE_EXHAUSTED

    await eventually(used_up, 10)
    assert (await counter.read(consent.name)).HasField("removal")
    counter.revoke(consent)
    assert (await counter.read(consent.name)).state == pb.CONSENT_STATE_REVOKED


async def test_a_consent_of_another_subject_opens_nothing(world: World, counter: Counter) -> None:
    consent = await counter.given(company("two"))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.ask(company("two"), items=[CONSENT_ITEM], consent=consent.name)
    assert explain(error.value).reason == "CONSENT_EXCEEDED"


async def test_a_consent_that_leaves_out_divisions_lets_nobody_say_that_there_is_nothing(
    world: World, counter: Counter
) -> None:
    subject = company("three")
    async with world.three.gateway.channel(PUBLISHER) as channel:
        await publish(channel, [placed(draft(f"c-{subject}", subject, CONSENT_ITEM), "000001")])
    consent = await counter.given(subject, counter.terms(regions=["000003"]))

    answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)

    closed = closing(answer, world.three)
    assert (ended(answer, world.three), closed.records, closed.complete) == ("ANSWERED", 0, False)
    assert world.three.entity_id in answer.unanswered
    with pytest.raises(ProofInvalid, match="not that these are all"):
        answer.regions[world.three.entity_id].verify([subject], world.key(world.three))


async def test_fields_that_were_not_consented_to_are_not_passed_on(
    world: World, counter: Counter, request: pytest.FixtureRequest
) -> None:
    two, subject = world.two.installation, company("two")
    declared = tuple(
        ContentField(
            name=name,
            type=ContentFieldType.CONTENT_FIELD_TYPE_STRING,
            required=name == "finding",
            max_length=200,
        )
        for name in ("finding", "secret")
    )
    known = item(CONSENT_ITEM, Openness.OPENNESS_CONSENT)
    more = known.model_copy(update={"content_fields": declared})
    request.addfinalizer(partial(two.keep, CATALOGUE_ITEM, CONSENT_ITEM, known))
    two.keep(CATALOGUE_ITEM, CONSENT_ITEM, more)
    made = placed(draft(f"two-{subject}", subject, CONSENT_ITEM), DISTRICTS["two"])
    made.content = b'{"finding":"A","secret":"B"}'

    async def published() -> bool:
        async with world.two.gateway.channel(PUBLISHER) as channel:
            try:
                await publish(channel, [made])
            except AssertionError:
                # The catalogue is not known there yet.
                return False
        return True

    await eventually(published, 10)
    consent = await counter.given(subject)

    async def given(consent: pb.Consent) -> tuple[str, list[bytes]]:
        answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
        records = answer.regions[world.two.entity_id].records
        return ended(answer, world.two), [record.content for _, record in records]

    assert await given(consent) == ("ANSWERED", [b'{"finding":"A"}'])
    # A home that opens more than the receipt says: it wrote another consent down before.
    there, other = SqlConsents(two.engines.records), await counter.given(subject)
    known_as, to_be_known_as = (
        consent_elsewhere(world.one.entity_id, each.name).removeprefix("consents/")
        for each in (consent, other)
    )
    kept = there.get(known_as)
    assert kept is not None
    both = ConsentItem(item=CONSENT_ITEM, fields=frozenset({"finding", "secret"}))
    changed = {
        "consent_id": to_be_known_as,
        "request_id": f"region:{to_be_known_as}",
        "terms": kept.terms.model_copy(update={"items": (both,)}),
    }
    act = Act(Actor.GATEWAY, kept.client_id, "", counter.now)
    there.add(kept.model_copy(update=changed), act)
    assert await given(other) == ("UNVERIFIED", [])
    uses = await counter.operator.ListAccesses(pb.ListAccessesRequest(consent=other.name))
    assert [each.record for each in uses.accesses] == [""]
