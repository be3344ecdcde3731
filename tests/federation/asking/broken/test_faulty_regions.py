"""A region that is slow, breaks or cannot be reached holds up nobody and is named (G10)."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from creditgate.refusal import reason_name
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.federation.asking.circuit import FAILURES_TO_OPEN
from gateway.federation.asking.uses import RegionAnswer
from gateway.selfcheck.region_uses import check_region_uses
from operators.model import OPERATOR
from sdk.federated import FederatedAnswer
from sdk.refusals import explain
from tests.federation.asking.keys import TestLogKey
from tests.federation.asking.lost import correct, entries, given_up, lose, withdraw
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import (
    World,
    closing,
    company,
    ended,
    names,
)
from tests.installation import OPERATOR_ID, PRICE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
SOON = Duration(seconds=1, nanos=500_000_000)


async def whole(world: World) -> None:
    """Wait until the region behind the relay answers again, its circuit closed."""

    async def answers() -> bool:
        return ended(await world.ask(company("two")), world.two) == "EMPTY"

    await eventually(answers, 10)


def _kept(world: World) -> list[RegionAnswer]:
    """Return what was kept of late of region "two"."""
    at = world.one.installation.clock.now()
    return world.uses.answers(world.two.entity_id, at - 120, at + 120)


async def test_a_region_that_does_not_answer_in_time_is_late_and_holds_up_nobody(
    world: World, relay: Relay
) -> None:
    subject = company("three")
    kept = await world.publish(world.three, subject)
    # By now the log of region "three" with the record is witnessed.
    assert names(await world.ask(subject), world.three) == kept
    relay.flowing.clear()
    try:
        started = time.monotonic()
        answer = await world.ask(subject, region_deadline=SOON)
        assert time.monotonic() - started < 4
    finally:
        relay.flowing.set()
    assert ended(answer, world.two) == "LATE"
    assert closing(answer, world.two).elapsed.ToMilliseconds() >= 1_500
    assert names(answer, world.three) == kept
    assert closing(answer, world.three).elapsed.ToMilliseconds() < 1_500
    assert set(answer.unanswered) == {world.two.entity_id}
    await whole(world)


async def test_a_region_that_stays_silent_is_left_alone_for_a_while(
    world: World, relay: Relay
) -> None:
    relay.flowing.clear()
    try:
        # One failure may be left from before.
        answers = await asyncio.gather(
            *(
                world.ask(company(), region_deadline=Duration(seconds=3))
                for _ in range(FAILURES_TO_OPEN)
            )
        )
        assert "LATE" in {ended(answer, world.two) for answer in answers}
        started = time.monotonic()
        answer = await world.ask(company())
        assert time.monotonic() - started < 1
        assert ended(answer, world.two) == "UNREACHABLE"
        assert closing(answer, world.two).HasField("retry_delay")
    finally:
        relay.flowing.set()
    await whole(world)


async def test_whoever_does_not_want_to_wait_keeps_nobody_from_a_region(
    world: World, relay: Relay
) -> None:
    relay.flowing.clear()
    try:
        for _ in range(FAILURES_TO_OPEN):
            hurried = await world.ask(company(), region_deadline=Duration(nanos=100_000_000))
            assert ended(hurried, world.two) == "LATE"
    finally:
        relay.flowing.set()
    answer = await world.ask(company(), region_deadline=Duration(seconds=20))
    assert ended(answer, world.two) == "EMPTY"


async def test_an_answer_that_breaks_goes_on_behind_its_last_chunk_and_is_charged_once(
    world: World, relay: Relay
) -> None:
    subjects = [company("two") for _ in range(24)]
    kept = [name for subject in subjects for name in await world.publish(world.two, subject)]
    before = relay.connections
    # Enough for a handshake and a chunk or two.
    relay.cut_after = 14_000
    relay.cut()
    try:
        answer = await world.ask(*subjects, region_deadline=Duration(seconds=20))
    finally:
        relay.cut_after = None
    assert relay.connections >= before + 2
    assert ended(answer, world.two) == "ANSWERED"
    assert names(answer, world.two) == kept
    assert closing(answer, world.two).charged_micro_yuan == 24 * PRICE
    assert len(answer.regions[world.two.entity_id].verify(subjects, world.key(world.two))) == 24
    at = world.one.installation.clock.now()
    answers = world.uses.answers(world.two.entity_id, at - 60, at + 60)
    of_this = [each for each in answers if each.records and each.subject_count]
    assert sum(each.records for each in of_this) == 24
    assert sum(each.region_fee for each in of_this) == 24 * PRICE


async def test_both_ledgers_agree_where_a_record_is_withdrawn_between_a_lost_answer_and_its_retry(
    world: World, relay: Relay
) -> None:
    subject, request_id = company("two"), uuid4().hex
    gone, left = await world.publish(world.two, subject, 2)
    await lose(world, relay, subject, request_id)
    await withdraw(world, gone)
    await whole(world)
    for charged in (PRICE, 0):
        # Each retry gives what is left; its operator pays for that alone, and once.
        answer = await world.ask(subject, request_id=request_id)
        assert names(answer, world.two) == [left]
        assert closing(answer, world.two).charged_micro_yuan == charged
        here, there = entries(world, request_id)
        assert here == there
        assert {entry.fee for entry in there} == {PRICE}
        assert sorted(entry.record_id for entry in there) == sorted(
            name.removeprefix("records/") for name in (gone, left)
        )
    (kept,) = [each for each in _kept(world) if each.request_id == request_id]
    assert (kept.region_fee, kept.own_fee, kept.records) == (2 * PRICE, PRICE, 1)
    # Whom the record is about that was never passed on is nobody's to keep.
    assert sorted(use.subject for use in world.uses.uses(kept)) == ["", subject]
    assert check_region_uses(world.one.installation.engines) == []


async def test_both_ledgers_agree_where_a_record_is_corrected_between_a_lost_answer_and_its_retry(
    world: World, relay: Relay
) -> None:
    subject, request_id = company("two"), uuid4().hex
    (name,) = await world.publish(world.two, subject)
    await lose(world, relay, subject, request_id)
    await correct(world, name)
    await whole(world)
    for _ in range(2):
        answer = await world.ask(subject, request_id=request_id)
        assert reason_name(closing(answer, world.two).refusal) == "REQUEST_SUPERSEDED"
        assert closing(answer, world.two).charged_micro_yuan == 0
        here, there = entries(world, request_id)
        assert here == there
        assert [(entry.revision, entry.fee) for entry in there] == [(1, PRICE)]
    anew = uuid4().hex
    assert names(await world.ask(subject, request_id=anew), world.two) == [name]
    here, there = entries(world, anew)
    assert here == there
    assert [entry.revision for entry in there] == [2]
    assert check_region_uses(world.one.installation.engines) == []


async def test_a_region_that_cannot_be_reached_is_named(world: World, relay: Relay) -> None:
    backend, relay.backend = relay.backend, ""
    relay.cut()
    try:
        answer = await world.ask(company("three"), region_deadline=Duration(seconds=3))
        assert ended(answer, world.two) in {"UNREACHABLE", "LATE"}
        assert ended(answer, world.three) == "EMPTY"
    finally:
        relay.backend = backend
    await whole(world)


async def test_what_its_log_does_not_prove_is_not_passed_on_and_its_region_is_named(
    world: World,
) -> None:
    subject = company("two")
    await world.publish(world.two, subject)
    installation, client_id = world.one.installation, world.two.client_id
    known: Any = installation.log.history(kind="region", id=client_id, after=0, limit=100)[-1]
    forged = TestLogKey(world.key(world.two).name).verifier
    keys = {**known.document["log_keys"], "disclosure": str(forged)}
    installation.put("region", client_id, {**known.document, "log_keys": keys})
    request_id = uuid4().hex

    async def unverified() -> bool:
        answer = await world.ask(subject, request_id=request_id)
        return ended(answer, world.two) == "UNVERIFIED"

    try:
        await eventually(unverified)
        answer = await world.ask(subject)
        assert names(answer, world.two) == []
        assert reason_name(closing(answer, world.two).refusal) == "REGION_NOT_TRUSTED"
        assert closing(answer, world.two).charged_micro_yuan == 0
    finally:
        installation.put("region", client_id, dict(known.document))
    await whole(world)


async def test_an_operator_suspended_while_regions_are_asked_gets_nothing_more(
    world: World, relay: Relay
) -> None:
    subject = company("two")
    await world.publish(world.two, subject)
    # So that there is a connection by which the question comes.
    await whole(world)
    request_id = uuid4().hex
    relay.flowing.clear()
    asking = asyncio.create_task(
        world.ask(subject, request_id=request_id, region_deadline=Duration(seconds=30))
    )

    async def metered() -> bool:
        return len(entries(world, request_id)[1]) == 1

    await eventually(metered, 20)
    installation = world.one.installation
    installation.suspend()
    await asyncio.sleep(0.5)
    relay.flowing.set()
    try:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await asking
        assert explain(error.value).reason == "OPERATOR_SUSPENDED"

        async def owed() -> bool:
            here, there = entries(world, request_id)
            return here == there and len(there) == 1

        # Its region was asked, and has charged: that is owed, and its operator owes nothing.
        await eventually(owed, 20)
        kept = _kept(world)
        assert subject not in {use.subject for answer in kept for use in world.uses.uses(answer)}
    finally:
        document = installation.log.history(kind=OPERATOR, id=OPERATOR_ID, after=0, limit=100)[-1]
        active = OperatorState.OPERATOR_STATE_ACTIVE
        installation.put(OPERATOR, OPERATOR_ID, {**document.document, "state": active})

    async def reinstated() -> bool:
        try:
            await world.ask(company())
        except grpc.aio.AioRpcError as refused:
            assert explain(refused).reason == "OPERATOR_SUSPENDED"
            return False
        return True

    await eventually(reinstated, 20)


async def test_who_must_agree_with_its_use_gets_again_what_was_answered_and_nothing_new(
    world: World, relay: Relay
) -> None:
    installation = world.one.installation
    installation.license("beta", "L-BETA")
    installation.enrol("beta-one", ClientRole.CLIENT_ROLE_OPERATOR, "beta")
    subject, answered, lost = company("two"), uuid4().hex, uuid4().hex
    kept = await world.publish(world.two, subject)
    await whole(world)

    async def ask(request_id: str, **more: Any) -> FederatedAnswer:
        return await world.ask(subject, client_id="beta-one", request_id=request_id, **more)

    async def refused() -> bool:
        try:
            await ask(uuid4().hex)
        except grpc.aio.AioRpcError as error:
            return explain(error).reason == "USAGE_UNSIGNED"
        return False

    assert names(await ask(answered), world.two) == kept
    relay.flowing.clear()
    try:
        with given_up():
            late = await ask(lost, region_deadline=Duration(nanos=200_000_000))
        assert ended(late, world.two) == "LATE"
    finally:
        relay.flowing.set()
    await eventually(refused, 15)
    again = await ask(answered)
    assert names(again, world.two) == kept
    assert {ended(again, each) for each in (world.two, world.three)} == {"ANSWERED", "EMPTY"}
    assert closing(again, world.two).charged_micro_yuan == 0
    # What was never answered is charged to nobody before its operator agrees.
    late = await ask(lost)
    assert (ended(late, world.two), ended(late, world.three)) == ("REFUSED", "EMPTY")
    assert reason_name(closing(late, world.two).refusal) == "USAGE_UNSIGNED"
