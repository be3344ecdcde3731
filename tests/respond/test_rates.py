"""Limits of rates: what comes too soon is refused, charged nothing, and told when."""

from contextvars import copy_context
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.meter.model import Left
from gateway.respond.left import tell_left, told_left
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.limiting import drafted, limit
from tests.respond.world import OPEN, OTHER, PURPOSE, World, caller, names, record

pytestmark = rarely_on_postgresql

BETA = caller("beta")
RECORDS = LimitUnit.LIMIT_UNIT_RECORDS


async def too_fast(call: Any) -> int | None:
    """Return the delay that a refusal for its rate tells."""
    with pytest.raises(Refused) as refusal:
        await call
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_RATE_EXCEEDED
    assert refusal.value.metadata == {"limit": "slow"}
    return refusal.value.retry_after


async def test_too_fast_is_refused_charged_nothing_and_served_after_the_delay(
    world: World,
) -> None:
    world.publish(record("a"))
    await world.put(drafted(limit()))
    for _ in range(2):
        assert names(await world.ask(1)) == ["a"]
    for _ in range(2):
        assert await too_fast(world.ask(1)) == 1_800
    assert names(await world.ask(1, asking=BETA)) == ["a"]
    assert world.charged() == 2
    world.clock.at += 1_799
    assert await too_fast(world.ask(1)) == 1
    world.clock.at += 1
    assert names(await world.ask(1)) == ["a"]


async def test_who_is_known_to_be_over_costs_no_lookup(world: World) -> None:
    await world.put(drafted(limit()))
    for _ in range(2):
        await world.ask(1)
    await too_fast(world.ask(1))
    before = world.lookup.readings
    await too_fast(world.ask(1))
    assert world.lookup.readings == before


@always_on_postgresql
@pytest.mark.parametrize("per", [LimitPer.LIMIT_PER_OPERATOR, LimitPer.LIMIT_PER_SUBJECT])
async def test_what_was_paid_for_is_given_again_while_a_limit_is_known_to_be_over(
    world: World, per: LimitPer.ValueType
) -> None:
    world.publish(record("a"))
    await world.put(drafted(limit(per=per)))
    first = await world.ask(1, request_id="paid")
    await world.ask(1)
    for _ in range(2):
        await too_fast(world.ask(1))
        again = await world.ask(1, request_id="paid")
        assert again.records == first.records
        assert again.receipt.charged_micro_yuan == 0
        assert again.receipt.usage.leaf == first.receipt.usage.leaf
    assert world.charged() == 2


async def test_chunks_that_were_paid_for_are_given_again_and_no_others(world: World) -> None:
    world.publish(*(record(f"a-{number}", number) for number in range(1, 9)))
    await world.put(drafted(limit(unit=RECORDS, count=4, burst=4)))
    for _ in range(3):
        answers = world.batched(range(1, 9), request_id="batch")
        assert len((await anext(answers)).records) == 4
        assert await too_fast(anext(answers))
    assert world.charged() == 4


async def test_who_owes_records_costs_no_lookup_either(world: World) -> None:
    world.publish(*(record(f"a-{each}") for each in range(20)))
    await world.put(drafted(limit(unit=RECORDS, count=4, burst=4)))
    await world.ask(1)
    delay = await too_fast(world.ask(1))
    before = world.lookup.readings
    assert await too_fast(world.ask(1)) == delay
    assert world.lookup.readings == before


@pytest.mark.parametrize("of", [{}, {"per": LimitPer.LIMIT_PER_ITEM, "item": OPEN}], ids=str)
async def test_a_limit_of_records_never_tells_how_many_a_subject_has(
    world: World, of: dict[str, Any]
) -> None:
    world.publish(*(record(f"a-{who}-{each}", who) for who in (1, 2) for each in range(who * 3)))
    await world.put(drafted(limit(unit=RECORDS, count=4, burst=4, **of)))
    assert len(names(await world.ask(1))) == 3
    # One is left, and all of an answer is given.
    assert len(names(await world.ask(2))) == 6
    assert len({await too_fast(world.ask(who)) for who in (1, 2, 3)}) == 1
    assert world.charged() == 9


async def test_a_limit_ends_when_it_is_retired(world: World) -> None:
    await world.put(drafted(limit()))
    for _ in range(2):
        await world.ask(1)
    await too_fast(world.ask(1))
    await world.put(drafted(limit(retired_at=9), 1))
    await world.ask(1)


@pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "fields",
    [
        {"operator_id": "beta"},
        {"per": LimitPer.LIMIT_PER_CLIENT, "client_id": "beta-client"},
        {"per": LimitPer.LIMIT_PER_ITEM, "item": OTHER},
        {"per": LimitPer.LIMIT_PER_PURPOSE, "purpose": Purpose.PURPOSE_RESEARCH},
    ],
    ids=str,
)
async def test_a_limit_holds_nobody_but_whom_it_names(world: World, fields: dict[str, Any]) -> None:
    await world.put(drafted(limit(**fields)))
    for _ in range(3):
        await world.ask(1, items=[OPEN])


@pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "fields",
    [
        {"operator_id": "alpha"},
        {"per": LimitPer.LIMIT_PER_CLIENT},
        {"per": LimitPer.LIMIT_PER_CLIENT, "client_id": "alpha-client"},
        {"per": LimitPer.LIMIT_PER_ITEM, "item": OPEN},
        {"per": LimitPer.LIMIT_PER_PURPOSE},
        {"per": LimitPer.LIMIT_PER_PURPOSE, "purpose": PURPOSE},
        {"per": LimitPer.LIMIT_PER_SUBJECT},
        {"unit": RECORDS},
        {"unit": RECORDS, "per": LimitPer.LIMIT_PER_ITEM, "item": OPEN},
    ],
    ids=str,
)
@pytest.mark.parametrize("has_records", [True, False])
async def test_a_limit_holds_whom_it_names_whatever_is_found(
    world: World, fields: dict[str, Any], has_records: bool
) -> None:
    """Were it counted only where records are, a refusal would tell who has some (G11)."""
    if has_records:
        world.publish(record("a"))
    await world.put(drafted(limit(**fields)))
    for _ in range(2):
        await world.ask(1)
    await too_fast(world.ask(1))


@always_on_postgresql
async def test_subjects_are_counted_each_by_itself_in_calls_and_batches(world: World) -> None:
    world.publish(record("a", 1))
    await world.put(drafted(limit(per=LimitPer.LIMIT_PER_SUBJECT)))
    await world.batch([1, 2, 3])
    await world.get("a")
    await world.ask(2)
    assert await too_fast(world.ask(1)) == 1_800
    assert await too_fast(world.batch([3, 2])) == 1_800
    await world.ask(3)
    await world.ask(4)


async def test_each_subject_of_a_batch_counts_and_its_chunks_are_charged_one_by_one(
    world: World,
) -> None:
    await world.put(drafted(limit(burst=6)))
    answers = world.batched(range(1, 9))
    assert (await anext(answers)).chunk_complete
    with pytest.raises(Refused) as refusal:
        await anext(answers)
    assert refusal.value.metadata == {"limit": "slow"}
    assert refusal.value.retry_after == 3_600
    assert len(world.answers()) == 1


async def test_more_than_a_limit_ever_gives_is_refused_without_a_delay(world: World) -> None:
    await world.put(drafted(limit()))
    assert await too_fast(world.batch([1, 2, 3])) is None


async def test_records_are_counted_as_they_are_served(world: World) -> None:
    world.publish(*(record(f"a-{number}") for number in range(3)), record("b", 2))
    await world.put(drafted(limit(unit=RECORDS, burst=4)))
    await world.ask(1)
    await world.ask(2)
    assert await too_fast(world.ask(2)) == 1_800
    assert world.charged() == 4


async def test_a_record_is_counted_for_its_subject_and_absent_ones_tell_no_more(
    world: World,
) -> None:
    world.publish(record("a"))
    await world.put(drafted(limit()))
    with pytest.raises(Refused) as refusal:
        await world.get("never-published")
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_RECORD_NOT_DISCLOSED
    for _ in range(2):
        await world.get("a")
    assert await too_fast(world.get("a")) == 1_800
    assert await too_fast(world.get("never-published")) == 1_800


async def test_what_is_left_is_told_behind_the_answer(world: World) -> None:
    world.publish(record("a"))
    await world.ask(1)
    day = 86_400 - world.clock.at % 86_400
    # Much of the day's quota is left, and there is no limit.
    assert told_left() == ()
    await world.put(drafted(limit()), drafted(limit("fine", count=50, burst=10)))
    await world.ask(1)
    assert dict(told_left()) == {
        "ratelimit-policy": '"daily-records";q=1000000;w=86400, "fine";q=50;w=3600,'
        ' "slow";q=2;w=3600',
        "ratelimit": f'"daily-records";r=999998;t={day}, "fine";r=9;t=72, "slow";r=1;t=1800',
    }


@pytest.mark.parametrize(("quota", "told"), [(200, False), (199, True)])
def test_the_quota_alone_is_told_once_less_than_a_fifth_is_left(quota: int, told: bool) -> None:
    def in_a_call() -> tuple[tuple[str, str], ...]:
        tell_left(Left(quota, 1_000, 60, ()), ())
        return told_left()

    wanted = (
        ("ratelimit-policy", '"daily-records";q=1000;w=86400'),
        ("ratelimit", '"daily-records";r=199;t=60'),
    )
    assert copy_context().run(in_a_call) == (wanted if told else ())
