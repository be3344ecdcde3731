"""Deliveries: metered before they are sent, no further than the window, settled at the last
record acknowledged."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.transparency.verify import verify_answer
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.usage_service_pb2 import DeliveryState
from gateway.meter.deliveries import Told
from gateway.meter.delivery import DeliveryKey
from gateway.meter.model import ANSWER, REVERSAL, unpack_entries
from gateway.respond.under_way import UNDER_WAY_SECONDS
from gateway.selfcheck.derived import check_derived
from gateway.storage.engines import Engines
from operators.log import Draft
from operators.model import OPERATOR
from tests.braking import brake, drafted
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import DAY, NOW, quota_used
from tests.respond.delivering import GRACE, WINDOW, Call, settler
from tests.respond.world import (
    CONSENT,
    DELIVERY_LIMITS,
    LIMITS,
    PRICE,
    World,
    caller,
    names,
    operator,
    reason,
    record,
)

pytestmark = rarely_on_postgresql

KEY = DeliveryKey("alpha", "same")
EVERYONE = range(1, 9)
EACH = 2
CHUNK = 4
"""Records of a chunk of two subjects."""
ALL = EACH * len(EVERYONE)


@pytest.fixture(autouse=True)
def ids(world: World) -> list[str]:
    """Publish two records of each of eight invented companies; their ids in order."""
    made = [f"{number}-{i}" for number in EVERYONE for i in range(EACH)]
    world.publish(*(record(name, int(name[0])) for name in made))
    return made


def told(world: World) -> Told:
    """Return how the delivery stands."""
    found = world.deliveries.told(KEY)
    assert found is not None
    return found


def state(world: World) -> str:
    """Return the delivery's state, for short."""
    name = DeliveryState.Name(DeliveryState.ValueType(told(world).state))
    return name.removeprefix("DELIVERY_STATE_")


def credited(world: World) -> list[Any]:
    """Return the rows that credit, in order."""
    return [row for row in world.answers() if row.kind == REVERSAL]


def net(world: World) -> list[int]:
    """Return the revisions charged and not credited, in order of charging."""
    found = [
        each
        for row in world.answers()
        if row.kind == ANSWER
        for each in unpack_entries(row.entries)
    ]
    for row in credited(world):
        for each in unpack_entries(row.entries):
            found.remove(each)
    return found


def used(world: World) -> int:
    """Return what counts against alpha's quota of the day."""
    return quota_used(world.engine).get(("alpha", NOW // DAY), 0)


def wait_out(world: World, per_day: int = 1_000) -> None:
    """Let the grace pass, and settle what is due, twice."""
    world.clock.at += GRACE + 1
    settler(world, per_day).step()
    settler(world, per_day).step()


async def broken(world: World, said: int, **fields: Any) -> Call:
    """Deliver up to the window, acknowledge so many records, and break."""
    call = Call(world, EVERYONE, **fields)
    await call.has(WINDOW)
    if said:
        call.say(said)
    await call.cut()
    return call


async def refused(call: Call) -> str:
    """Return the reason a call is refused with."""
    with pytest.raises(Refused) as refusal:
        await call.over()
    return reason(refusal)


async def test_a_chunk_not_taken_in_time_is_delivered_to_a_retry_without_charge(
    world: World,
) -> None:
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    world.clock.at += UNDER_WAY_SECONDS
    call.say(WINDOW)
    with pytest.raises(Refused) as refusal:
        await call.over()
    assert reason(refusal) == "TEMPORARILY_UNAVAILABLE"
    again = Call(world, EVERYONE, eager=True)
    await again.over()
    assert again.records == len(net(world)) == ALL


async def test_everything_is_delivered_once_and_charged_once(world: World, ids: list[str]) -> None:
    call = Call(world, EVERYONE, eager=True)
    await call.over()
    assert call.names == ids
    assert sum(each.receipt.charged_micro_yuan for each in call.got) == PRICE * ALL
    assert (world.charged(), state(world)) == (ALL, "ENDED")
    wait_out(world)
    assert credited(world) == []
    assert (told(world).charged, told(world).acknowledged) == (ALL, ALL)


async def test_no_more_than_the_window_is_sent_unacknowledged(world: World, ids: list[str]) -> None:
    call = Call(world, EVERYONE)
    for said in range(ALL):
        if said:
            call.say(said)
        await call.has(min(said + WINDOW, ALL))
    call.say(ALL)
    await call.over()
    assert call.names == ids


@pytest.mark.parametrize("said", range(WINDOW + 1))
async def test_what_lies_behind_the_last_record_acknowledged_is_credited_once(
    world: World, engines: Engines, said: int
) -> None:
    await broken(world, said)
    charged = world.charged()
    assert (told(world).charged, told(world).acknowledged) == (charged, said)
    world.clock.at += GRACE
    settler(world).step()
    assert credited(world) == []
    world.clock.at += 1
    settler(world).step()
    settler(world).step()
    everything = sorted(
        net(world) + [each for row in credited(world) for each in unpack_entries(row.entries)]
    )
    assert net(world) == everything[:said]
    assert used(world) == said
    assert told(world) == Told(
        DeliveryState.DELIVERY_STATE_SETTLED,
        NOW,
        world.clock.at,
        charged,
        said,
        charged - said,
        0,
        (charged - said) * PRICE,
    )
    rows = world.answers()
    assert [row.usage_index for row in rows] == [*range(len(rows))]
    by_place = {row.usage_index: row for row in rows}
    for row in credited(world):
        answer = by_place[row.reversed_index]
        assert (answer.request_id, answer.chunk) == (row.request_id, row.chunk)
        assert row.decision_id != answer.decision_id
    assert check_derived(engines) == []


async def test_delivery_taken_up_in_time_is_charged_once_and_credited_nothing(
    world: World, ids: list[str]
) -> None:
    first = await broken(world, 3)
    world.clock.at += GRACE - 1
    again = Call(world, EVERYONE, eager=True)
    await again.over()
    wait_out(world)
    assert again.names == ids
    assert first.names == ids[: first.records]
    assert (credited(world), used(world), state(world)) == ([], ALL, "ENDED")


async def test_delivery_is_taken_up_behind_whole_chunks(world: World, ids: list[str]) -> None:
    await broken(world, CHUNK)
    again = Call(world, EVERYONE, resume_from=2, eager=True)
    await again.over()
    assert again.names == ids[CHUNK:]
    assert [each.receipt.replayed for each in again.got][:2] == [True, True]
    assert (credited(world), used(world)) == ([], ALL)


async def test_later_acknowledgement_covers_what_a_break_left_open(
    world: World,
) -> None:
    """Its acknowledgements of the first chunk were lost; it goes on behind it."""
    await broken(world, 0)
    again = Call(world, EVERYONE, resume_from=2)
    await again.has(WINDOW)
    again.say(1)
    await again.cut()
    assert told(world).acknowledged == CHUNK + 1


async def test_settled_delivery_is_not_taken_up_again_by_delivery_nor_batch(
    world: World,
) -> None:
    """What was credited is not given for nothing."""
    await broken(world, 1)
    wait_out(world)
    assert await refused(Call(world, EVERYONE)) == "REQUEST_ID_REUSED"
    with pytest.raises(Refused) as refusal:
        await world.batch(EVERYONE, request_id="same")
    assert reason(refusal) == "REQUEST_ID_REUSED"
    assert len(net(world)) == 1


async def test_batch_is_no_retry_of_a_delivery_nor_a_delivery_of_a_batch(
    world: World, engines: Engines
) -> None:
    """Though both are asked in the same words, and in chunks of one size."""
    alike = World(engines, replace(LIMITS, chunk_subjects=DELIVERY_LIMITS.chunk_subjects))
    await alike.feed.refresh()
    await Call(alike, EVERYONE, eager=True).over()
    with pytest.raises(Refused) as refusal:
        await alike.batch(EVERYONE, request_id="same")
    assert reason(refusal) == "REQUEST_ID_REUSED"
    await alike.batch(EVERYONE, request_id="batched")
    other = Call(alike, EVERYONE, request_id="batched")
    assert await refused(other) == "REQUEST_ID_REUSED"
    assert world.charged() == 2 * ALL
    alike.turns.close()
    alike.committer.close()
    alike.lookup.close()
    await alike.feed.stop()


async def test_request_id_of_another_payload_is_refused_before_anything_is_charged(
    world: World,
) -> None:
    await broken(world, 1)
    charged = world.charged()
    assert await refused(Call(world, range(1, 5))) == "REQUEST_ID_REUSED"
    assert world.charged() == charged


async def test_what_a_day_credits_is_bounded_and_the_rest_stays_charged_and_is_told(
    world: World,
) -> None:
    await broken(world, 1)
    charged = world.charged()
    wait_out(world, per_day=3)
    assert sum(row.entry_count for row in credited(world)) == 3
    assert (told(world).credited, told(world).standing) == (3, charged - 1 - 3)
    assert (state(world), used(world)) == ("SETTLED", charged - 3)
    # What is credited is what came last.
    assert net(world) == sorted(net(world))[: charged - 3]
    await broken(world, 0, request_id="other")
    wait_out(world, per_day=3)
    found = world.deliveries.told(DeliveryKey("alpha", "other"))
    assert found is not None
    assert (found.credited, found.standing) == (0, found.charged)
    # Nothing was credited, so what is paid for can still be had.
    again = Call(world, EVERYONE, request_id="other", eager=True)
    await again.over()
    assert again.records == ALL
    # The next day has a bound of its own.
    world.clock.at += DAY
    await broken(world, 0, request_id="next")
    wait_out(world, per_day=3)
    found = world.deliveries.told(DeliveryKey("alpha", "next"))
    assert found is not None
    assert found.credited == 3


@always_on_postgresql
async def test_delivery_that_the_bound_would_cut_is_had_again_for_nothing(
    world: World, ids: list[str]
) -> None:
    cut = await _cut_by_the_bound(world)
    assert (cut.state, cut.credited) == (DeliveryState.DELIVERY_STATE_OPEN, 0)
    again = Call(world, EVERYONE, request_id="cut", eager=True)
    await again.over()
    assert again.names == ids
    world.clock.at += DAY
    wait_out(world, per_day=10)
    assert len(net(world)) == ALL + 1


async def test_delivery_that_the_bound_would_cut_is_credited_whole_the_next_day(
    world: World,
) -> None:
    cut = await _cut_by_the_bound(world)
    world.clock.at += DAY
    wait_out(world, per_day=10)
    found = world.deliveries.told(DeliveryKey("alpha", "cut"))
    assert found is not None
    assert (found.credited, found.standing) == (cut.charged, 0)


async def test_delivery_is_put_off_once(world: World) -> None:
    cut = await _cut_by_the_bound(world)
    # It broke the day before, too late to be settled then, and uses up most of the next day's bound.
    world.clock.at += DAY - world.clock.at % DAY - 1
    await broken(world, 0, request_id="late")
    world.clock.at += 1
    wait_out(world, per_day=10)
    found = world.deliveries.told(DeliveryKey("alpha", "cut"))
    assert found is not None
    assert (found.credited, found.standing) == (2, cut.charged - 2)


async def _cut_by_the_bound(world: World) -> Told:
    """Break two deliveries, and settle them with a bound that has room for the first and a part of the
    second, "cut"; return how that stands."""
    await broken(world, 1)
    await broken(world, 0, request_id="cut")
    wait_out(world, per_day=10)
    assert told(world).credited == 7
    found = world.deliveries.told(DeliveryKey("alpha", "cut"))
    assert found is not None
    return found


async def test_bound_of_one_operator_is_not_anothers(world: World) -> None:
    await broken(world, 0)
    await broken(world, 0, asking=caller("beta"))
    wait_out(world, per_day=2)
    for key in (KEY, DeliveryKey("beta", "same")):
        found = world.deliveries.told(key)
        assert found is not None
        assert found.credited == 2


async def test_request_id_that_nothing_was_charged_by_is_free_again(world: World) -> None:
    await world.put(drafted(brake("b-1", "EVERYTHING")))
    assert await refused(Call(world, EVERYONE)) == "EMERGENCY_BRAKE"
    wait_out(world)
    assert world.deliveries.told(KEY) is None
    await world.put(drafted(brake("b-1", "EVERYTHING", released_at=9), 1))
    await Call(world, range(1, 3), eager=True).over()
    assert world.charged() == CHUNK


@pytest.mark.parametrize(("reach", "target"), [("EVERYTHING", ""), ("OPERATOR", "alpha")])
async def test_brake_pulled_in_the_middle_ends_it_though_the_rest_is_charged(
    world: World, reach: Any, target: str
) -> None:
    """The second chunk is charged when the brake is pulled, and half of it sent."""
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    await world.put(drafted(brake("b-1", reach, target)))
    call.say(WINDOW)
    assert await refused(call) == "EMERGENCY_BRAKE"
    assert call.records == WINDOW
    wait_out(world)
    assert len(net(world)) == used(world) == WINDOW


async def test_what_is_acknowledged_while_a_delivery_is_refused_counts(world: World) -> None:
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    await world.put(drafted(brake("b-1", "EVERYTHING")))
    call.say(2)
    for said in range(3, WINDOW + 1):
        await asyncio.sleep(0.05)
        call.say(said)
    assert await refused(call) == "EMERGENCY_BRAKE"
    assert told(world).acknowledged == WINDOW


async def test_operator_suspended_in_the_middle_gets_nothing_more(world: World) -> None:
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    state = OperatorState.OPERATOR_STATE_SUSPENDED
    suspended = {**operator("alpha")[0].document, "state": state}
    await world.put(Draft(OPERATOR, "alpha", 1, suspended))
    call.say(WINDOW)
    assert await refused(call) == "OPERATOR_SUSPENDED"
    assert call.records == WINDOW


@always_on_postgresql
async def test_record_repaired_while_it_waits_for_the_window_is_not_sent_and_not_paid(
    world: World, ids: list[str]
) -> None:
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    world.disclosure.repair("4-1")
    world.clock.at += 2
    call.say(WINDOW)
    assert await refused(call) == "DISCLOSURE_CHANGING"
    again = Call(world, EVERYONE, resume_from=2, eager=True)
    await again.over()
    assert again.names == [each for each in ids[CHUNK:] if each != "4-1"]
    settler(world).step()
    assert [row.entry_count for row in credited(world)] == [1]
    assert (used(world), state(world)) == (ALL - 1, "SETTLED")


async def test_record_acknowledged_before_it_was_repaired_is_not_credited(world: World) -> None:
    await broken(world, 2)
    world.disclosure.repair("1-0")
    again = Call(world, EVERYONE, eager=True)
    await again.over()
    wait_out(world)
    assert (credited(world), state(world)) == ([], "ENDED")


@always_on_postgresql
async def test_later_call_takes_the_delivery_from_an_earlier_one(world: World) -> None:
    first = Call(world, EVERYONE)
    await first.has(WINDOW)
    second = Call(world, EVERYONE)
    await second.has(WINDOW)
    first.say(WINDOW)
    assert await refused(first) == "REQUEST_ID_REUSED"
    # What was charged by then it still gave.
    assert first.records == 2 * CHUNK
    second.say(WINDOW)
    await second.has(2 * WINDOW)
    await second.cut()
    assert told(world).acknowledged == WINDOW


async def test_delivery_settled_under_a_live_call_ends_it(world: World) -> None:
    """As where a clock is stepped: whoever is first decides, and both keep to it."""
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    world.clock.at += GRACE + 1
    settler(world).step()
    assert state(world) == "SETTLED"
    call.say(WINDOW)
    assert await refused(call) == "REQUEST_ID_REUSED"
    assert (net(world), used(world)) == ([], 0)


@pytest.mark.parametrize("said", [-1, WINDOW + 1])
async def test_acknowledgement_of_what_was_not_sent_is_refused(world: World, said: int) -> None:
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    call.say(said)
    assert await refused(call) == "INVALID_REQUEST"


async def test_acknowledgement_taken_back_is_refused(world: World) -> None:
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    call.say(3)
    call.say(2)
    assert await refused(call) == "INVALID_REQUEST"
    assert told(world).acknowledged == 3


async def test_client_that_ends_its_side_too_early_is_told_so_and_may_go_on(world: World) -> None:
    call = Call(world, EVERYONE)
    await call.has(WINDOW)
    call.end()
    assert await refused(call) == "INVALID_REQUEST"
    await Call(world, EVERYONE, eager=True).over()
    assert (world.charged(), state(world)) == (ALL, "ENDED")


async def test_subjects_without_records_need_no_acknowledgement(world: World) -> None:
    call = Call(world, range(50, 60))
    await call.over()
    assert [each.subject_count for each in call.got] == [2] * 5
    assert (call.records, state(world)) == (0, "ENDED")


@always_on_postgresql
async def test_what_is_credited_under_a_consent_stays_a_use_of_it(
    world: World, engines: Engines
) -> None:
    world.publish(record("tax", 1, CONSENT))
    consent = world.give(1)
    call = Call(world, [1], items=[CONSENT], consent=consent.name)
    await call.has(1)
    await call.cut()
    wait_out(world)
    assert net(world) == []
    use = world.consents.uses([consent.consent_id])[consent.consent_id]
    assert (use.answered, use.last_at) == (1, NOW)
    assert check_derived(engines) == []


async def test_malformed_deliveries_are_refused_before_anything_is_charged(world: World) -> None:
    malformed: list[dict[str, Any]] = [{"request_id": ""}, {"resume_from": 1}]
    for fields in malformed:
        assert await refused(Call(world, EVERYONE, **fields)) == "INVALID_REQUEST"
    assert await refused(Call(world, [1, 1])) == "INVALID_REQUEST"
    assert world.answers() == []


@always_on_postgresql
async def test_calls_cut_off_at_any_moment_cost_nothing_more_than_what_came(
    world: World, ids: list[str]
) -> None:
    """Cut after each turn of the loop it takes; what was acknowledged stays, the rest goes."""
    for turns in range(0, 60, 3):
        request_id = f"cut-{turns}"
        call = Call(world, EVERYONE, request_id=request_id, eager=True)
        for _ in range(turns):
            await asyncio.sleep(0.001)
        await call.cut()
        wait_out(world, per_day=10**6)
        found = world.deliveries.told(DeliveryKey("alpha", request_id))
        if found is None:
            assert call.records == 0
        else:
            assert found.acknowledged + found.credited == found.charged
            assert found.acknowledged <= call.records <= len(ids)
    assert used(world) == len(net(world))


async def test_chunks_in_parts_are_proved_though_the_window_holds_them_up(
    world: World, ids: list[str]
) -> None:
    """The second chunk is decided anew half-way; its proof is that of its first half."""
    world.logged()
    call = Call(world, EVERYONE, proof=ProofKind.PROOF_KIND_COMPLETE)
    await call.has(WINDOW)
    world.clock.at += 2
    call.say(WINDOW)
    await call.has(2 * WINDOW)
    call.say(2 * WINDOW)
    await call.has(ALL)
    call.say(ALL)
    await call.over()
    proved: list[str] = []
    parts: list[bytes] = []
    for message, part in zip(call.bytes, call.got, strict=True):
        parts.append(message)
        if part.chunk_complete:
            proved += names(verify_answer(call.sent, parts, world.log_key.verifier))
            parts = []
    assert proved == ids
