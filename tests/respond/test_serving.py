"""What is served: the stored bytes (G1), within their period (G2), metered (G5)."""

from base64 import b64decode

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.rating.prices import PRICE_PLAN
from creditgate.refusal import Refused
from creditgate.transparency.strict import strictly
from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.meter.model import unpack_entries
from gateway.respond.refusals import CHARGED
from operators.log import Draft
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import NOW, company
from tests.receipts import verified
from tests.respond.world import (
    ALPHA,
    OPEN,
    OTHER,
    PRICE,
    PURPOSE,
    World,
    caller,
    names,
    plan,
    reason,
    record,
)

pytestmark = rarely_on_postgresql


@always_on_postgresql
async def test_answer_carries_the_disclosed_records_and_a_receipt(world: World) -> None:
    sequences = world.publish(
        record("a", disclosed_until=NOW + 100), record("b", item_code=OTHER), record("c", 2)
    )
    answer = await world.ask(1)
    assert names(answer) == ["a", "b"]
    assert list(answer.records) == [
        world.disclosure.store.record(name).record for name in ("a", "b")
    ]
    receipt = answer.receipt
    (row,) = world.answers()
    assert verified(receipt.usage).decision_id == row.decision_id
    receipt.ClearField("usage")
    assert receipt == pb.Receipt(
        decision_id=row.decision_id,
        serve_time=Timestamp(seconds=NOW),
        usable_until=Timestamp(seconds=NOW + 100),
        disclosure_sequence=sequences[-1],
        charged_entries=2,
        charged_micro_yuan=2 * PRICE,
    )
    assert list(unpack_entries(row.entries)) == sequences[:2]
    assert (row.operator_id, row.client_id, row.licence) == (
        "alpha",
        "alpha-client",
        "licence-alpha",
    )
    assert (row.purpose, row.served_at, row.fee) == (PURPOSE, NOW, 2 * PRICE)


async def test_answer_is_the_stored_bytes_themselves(world: World) -> None:
    """Byte for byte, also where another encoder would write the message otherwise."""
    world.publish(record("a", content=b'{"about":"\xe4\xbf\xa1\xe7\x94\xa8"}'))
    request = pb.GetSubjectRecordsRequest(
        subject=company(1), purpose=PURPOSE, request_id=world.fresh()
    )
    found = await world.lookup.of_subject(company(1))
    answer = await world.service.get_subject_records(request, ALPHA)
    assert answer.startswith(found.revisions[0][5] + b"\x12")


async def test_record_is_served_within_its_period_only(world: World) -> None:
    """G2: half-open, at both boundaries, by every method."""
    world.publish(record("a", disclosed_from=NOW, disclosed_until=NOW + 10))
    for at, served in ((NOW - 1, []), (NOW, ["a"]), (NOW + 9, ["a"]), (NOW + 10, [])):
        world.clock.at = at
        assert names(await world.ask(1)) == served
        assert [names(message) for message in await world.batch([1])] == [served]
        if served:
            assert names(await world.get("a")) == served
        else:
            with pytest.raises(Refused) as refusal:
                await world.get("a")
            assert reason(refusal) == "RECORD_NOT_DISCLOSED"


@always_on_postgresql
async def test_record_that_ends_while_it_waits_to_be_metered_is_not_served(world: World) -> None:
    world.publish(record("a", disclosed_until=NOW + 1), record("b"))

    def wait() -> None:
        world.clock.at = NOW + 1

    world.lookup.then.append(wait)
    answer = await world.ask(1)
    assert names(answer) == ["b"]
    assert answer.receipt.serve_time.seconds == NOW + 1
    assert world.charged() == 1


async def test_answer_that_waited_long_is_decided_anew(world: World) -> None:
    """A slow store does not stretch authority: it is looked at again (G4)."""
    world.publish(record("a"))

    def wait() -> None:
        world.clock.at += 2

    world.lookup.then.append(wait)
    assert (await world.ask(1)).receipt.serve_time.seconds == NOW + 2
    assert world.lookup.readings == 2
    world.lookup.then += [wait] * 8
    with pytest.raises(Refused) as refusal:
        await world.ask(1)
    assert reason(refusal) == "DISCLOSURE_CHANGING"
    assert refusal.value.retry_after == 1
    assert world.charged() == 1


async def test_price_is_that_of_the_instant_of_serving(world: World) -> None:
    world.publish(record("a"))
    await world.put(Draft(PRICE_PLAN, "plan-2", 0, plan("plan-2", NOW + 1, 3).model_dump()))
    assert (await world.ask(1)).receipt.charged_micro_yuan == PRICE
    world.clock.at = NOW + 1
    assert (await world.ask(1)).receipt.charged_micro_yuan == 3


async def test_records_of_a_source_and_region_never_seen_before_are_served(world: World) -> None:
    world.publish(record("a", region="110101"), record("b", source="another", item_code=OTHER))
    assert names(await world.ask(1)) == ["a", "b"]
    world.publish(record("c", region="110102"))
    assert names(await world.get("c")) == ["c"]


async def test_items_narrow_the_answer(world: World) -> None:
    world.publish(record("a"), record("b", item_code=OTHER), record("c", region="440000"))
    assert names(await world.ask(1, items=[OTHER])) == ["b"]
    assert names(await world.ask(1, items=[OPEN, OTHER])) == ["a", "b"]


async def test_retry_is_served_again_and_charged_nothing(world: World) -> None:
    world.publish(record("a"), record("b"))
    first = await world.ask(1, request_id="same")
    again = await world.ask(1, request_id="same")
    assert again.records == first.records
    assert (again.receipt.charged_entries, again.receipt.charged_micro_yuan) == (0, 0)
    assert again.receipt.replayed
    assert again.receipt.decision_id == first.receipt.decision_id
    assert world.charged() == 2
    # What ended meanwhile is not served again; what came meanwhile was not paid for.
    world.disclosure.repair("a")
    assert names(await world.ask(1, request_id="same")) == ["b"]
    world.publish(record("c"))
    with pytest.raises(Refused) as refusal:
        await world.ask(1, request_id="same")
    assert reason(refusal) == "REQUEST_SUPERSEDED"
    assert world.charged() == 2


async def test_a_retry_tells_nothing_of_what_was_not_paid_for_but_that_there_is_something(
    world: World,
) -> None:
    """One record or many, new or corrected, of whatever item: the refusal is the same."""
    world.publish(record("a"), record("d", 2), record("e", 3))
    for number in (1, 2, 3):
        await world.ask(number, request_id=f"same-{number}")
    world.publish(record("b"))
    world.publish(*(record(f"many-{each}", 2, item_code=OTHER) for each in range(5)))
    world.disclosure.correct(record("e", 3, content=b'{"about":"other"}'), 1)
    told: list[tuple[object, ...]] = []
    for number in (1, 2, 3):
        with pytest.raises(Refused) as refusal:
            await world.ask(number, request_id=f"same-{number}")
        refused = refusal.value
        told.append((refused.reason, refused.message, refused.violations, refused.retry_after))
        assert reason(refusal) == "REQUEST_SUPERSEDED"
        # What may be in it is what was charged before, never what came.
        assert refused.metadata.keys() == {CHARGED}
        receipt = strictly(UsageReceipt, b64decode(refused.metadata[CHARGED], validate=True))
        leaf = verified(receipt)
        assert (leaf.request_id, leaf.fee_micro_yuan) == (f"same-{number}", PRICE)
    assert len(set(told)) == 1
    assert world.charged() == 3


async def test_request_id_belongs_to_client_method_and_payload(world: World) -> None:
    world.publish(record("a"))
    await world.ask(1, request_id="used")
    for call in (
        world.ask(2, request_id="used"),
        world.ask(1, request_id="used", items=[OPEN]),
        world.ask(1, request_id="used", consent=world.give().name),
        world.get("a", request_id="used"),
        world.batch([1], request_id="used"),
    ):
        with pytest.raises(Refused) as refusal:
            await call
        assert reason(refusal) == "REQUEST_ID_REUSED"
    assert (await world.ask(1, request_id="used", asking=caller("beta"))).receipt.charged_entries
    world.clock.at += 3_600
    with pytest.raises(Refused) as late:
        await world.ask(1, request_id="used")
    assert reason(late) == "REQUEST_ID_REUSED"
