"""G11: who is refused, or told that there is nothing, learns nothing of what exists."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from consent.model import ONCE
from creditgate.refusal import Refused
from creditgate.v1.limit_service_pb2 import LimitPer
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.limiting import drafted, limit
from tests.meter.world import DAY, NOW
from tests.respond.test_details import holding
from tests.respond.world import (
    CONSENT,
    LICENSED,
    OPEN,
    OTHER,
    RESTRICTED,
    UNPRICED,
    World,
    caller,
    names,
    operator,
    reason,
    record,
)

pytestmark = rarely_on_postgresql


async def refusal_of(call: Awaitable[Any]) -> tuple[str, str, int | None]:
    """Return all that a refused caller is told."""
    with pytest.raises(Refused) as refusal:
        await call
    return reason(refusal), refusal.value.message, refusal.value.retry_after


async def test_unknown_subject_has_an_empty_answer_like_one_without_records(world: World) -> None:
    world.publish(record("hidden", 1, RESTRICTED), record("elsewhere", 2, region="440000"))
    for number in (1, 2, 3):
        answer = await world.ask(number)
        assert not names(answer)
        assert not answer.receipt.HasField("usable_until")
        assert answer.receipt.charged_entries == 0


@always_on_postgresql
async def test_record_that_is_not_served_is_not_found_whatever_the_cause(world: World) -> None:
    world.publish(
        record("expired", disclosed_until=NOW),
        record("future", disclosed_from=NOW + 1),
        record("repaired"),
        record("restricted", item_code=RESTRICTED),
        record("unlicensed", item_code=UNPRICED),
        record("elsewhere", region="440000"),
        record("consent", item_code=CONSENT),
    )
    world.disclosure.repair("repaired")
    causes = ("expired", "future", "repaired", "restricted", "unlicensed", "elsewhere", "consent")
    told = {await refusal_of(world.get(name)) for name in (*causes, "never-published")}
    assert len(told) == 1
    assert {each[0] for each in told} == {"RECORD_NOT_DISCLOSED"}
    assert not world.answers()


async def test_refused_ids_and_quotas_tell_nothing_of_a_record(world: World) -> None:
    """A used id or an empty quota is no way to ask for nothing which records exist."""
    await world.put(*operator("small", quota=1))
    small = caller("small")
    world.publish(record("a"), record("b", 2))
    await world.get("a", asking=small, request_id="used")
    for name in ("b", "never-published"):
        used = await refusal_of(world.get(name, asking=small, request_id="used"))
        assert used[0] == "REQUEST_ID_REUSED"
        assert (await refusal_of(world.get(name, asking=small)))[0] == "QUOTA_EXHAUSTED"
    told = {await refusal_of(world.ask(number, asking=small)) for number in (1, 2, 3)}
    assert told == {
        (
            "QUOTA_EXHAUSTED",
            "Nothing of the licence's daily quota of records is left; ask again after the delay"
            " told: at 00:00 UTC, or once answers of other regions under way have come.",
            DAY - NOW % DAY,
        )
    }


async def test_an_answer_that_is_too_large_is_told_where_all_else_would_be_given(
    world: World,
) -> None:
    await world.put(*operator("small", quota=1))
    small = caller("small")
    large = b'{"about":"' + b"y" * 90 + b'"}'
    world.publish(*(record(f"x-{each}", 1, content=large) for each in range(80)), record("b", 2))
    assert (await refusal_of(world.ask(1, asking=small)))[0] == "ANSWER_TOO_LARGE"
    assert world.charged() == 0
    await world.ask(2, asking=small)
    told = {await refusal_of(world.ask(number, asking=small)) for number in (1, 2, 3)}
    assert {each[0] for each in told} == {"QUOTA_EXHAUSTED"}
    assert len(told) == 1


async def test_a_limit_of_an_item_tells_nothing_of_a_record_that_only_one_detail_reaches(
    world: World,
) -> None:
    world.publish(record("a", 1, OTHER))
    await world.put(drafted(limit(per=LimitPer.LIMIT_PER_ITEM, item=OTHER)))
    both = holding({"items": [OPEN]}, {"items": [OTHER]})
    for _ in range(2):
        await world.ask(5, items=[OTHER])
    # In this order: what is known to be over is refused before anything is looked up.
    told = {await refusal_of(world.get(name, asking=both)) for name in ("never-published", "a")}
    assert [each[0] for each in told] == ["RATE_EXCEEDED"]
    assert not world.charged()


async def test_a_record_that_needs_no_consent_is_refused_as_one_that_is_not_there(
    world: World,
) -> None:
    await world.put(*operator("small", quota=2))
    small = caller("small")
    consent = world.give(1, operator_id="small", access_mode=ONCE)
    world.publish(record("c", 1, CONSENT), record("b", 2), record("a", 3))
    await world.get("c", asking=small, consent=consent.name)
    # The consent is used up, and so is the quota now.
    await world.ask(2, asking=small)
    told = {
        await refusal_of(world.get(name, asking=small, consent=consent.name))
        for name in ("a", "never-published")
    }
    assert [each[0] for each in told] == ["QUOTA_EXHAUSTED"]


async def test_consent_is_asked_for_whether_there_are_records_or_not(world: World) -> None:
    world.publish(record("a", 1, CONSENT), record("b", 1))
    told = {await refusal_of(world.ask(number, items=[CONSENT])) for number in (1, 2)}
    told.add(await refusal_of(world.batch([2, 3], items=[OPEN, CONSENT])))
    assert len(told) == 1
    assert {each[0] for each in told} == {"CONSENT_REQUIRED"}
    assert not world.answers()


async def test_restricted_item_is_refused_by_name_and_left_out_otherwise(world: World) -> None:
    world.publish(record("a", 1, RESTRICTED), record("b", 1))
    told = {await refusal_of(world.ask(number, items=[RESTRICTED])) for number in (1, 2)}
    assert len(told) == 1
    assert {each[0] for each in told} == {"ITEM_RESTRICTED"}
    assert names(await world.ask(1)) == ["b"]


async def test_missing_price_refuses_whether_there_are_records_or_not(world: World) -> None:
    await world.put(*operator("wide", items=LICENSED | {UNPRICED}))
    wide = caller("wide")
    world.publish(record("a", 1, UNPRICED), record("b", 1))
    calls: list[Callable[[int], Awaitable[Any]]] = [
        lambda number: world.ask(number, asking=wide),
        lambda number: world.ask(number, asking=wide, items=[UNPRICED]),
        lambda number: world.batch([number], asking=wide),
        lambda number: world.get("a" if number == 1 else "never-published", asking=wide),
    ]
    told = {await refusal_of(call(number)) for call in calls for number in (1, 2)}
    assert len(told) == 1
    assert {each[0] for each in told} == {"NO_PRICE_PLAN"}
    assert names(await world.ask(1, asking=wide, items=[OPEN, OTHER])) == ["b"]


async def test_record_served_once_is_not_found_when_it_has_ended(world: World) -> None:
    world.publish(record("a"))
    await world.get("a", request_id="same")
    world.disclosure.repair("a")
    retry = await refusal_of(world.get("a", request_id="same"))
    assert retry == await refusal_of(world.get("never-published"))
