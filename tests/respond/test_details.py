"""Tokens with authorization details: each call is held within them (RFC 9396, G3, G11)."""

from typing import Any

import pytest

from creditgate.refusal import Refused
from gateway.authenticate.caller import Caller
from operators.authorization_details import AuthorizationDetail
from tests.meter.world import NOW, company
from tests.respond.world import (
    ALPHA,
    CONSENT,
    OPEN,
    OTHER,
    World,
    names,
    reason,
    record,
)

# What a token allows is held to before any store is asked.
pytestmark = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)


def holding(*details: dict[str, Any]) -> Caller:
    """Return alpha's client with a token of these details."""
    return ALPHA._replace(
        details=tuple(
            AuthorizationDetail.model_validate({"type": "public_credit_data", **detail})
            for detail in details
        )
    )


async def refused(asked: Any) -> str:
    """Return why a call is refused."""
    with pytest.raises(Refused) as refusal:
        await asked
    return reason(refusal)


async def test_only_subjects_of_the_token_are_answered_about(world: World) -> None:
    world.publish(record("a"), record("b", 2))
    bound = holding({"subjects": [company(1)]})
    assert names(await world.ask(1, asking=bound)) == ["a"]
    assert await refused(world.ask(2, asking=bound)) == "SUBJECT_NOT_ALLOWED"


async def test_a_subject_outside_the_token_is_refused_alike_whether_it_exists(
    world: World,
) -> None:
    world.publish(record("b", 2))
    bound = holding({"subjects": [company(1)]})
    told: list[str] = []
    for number in (2, 3):
        with pytest.raises(Refused) as refusal:
            await world.ask(number, asking=bound)
        told.append(str(refusal.value))
    assert told[0] == told[1]
    assert world.lookup.readings == 0
    assert await refused(world.get("b", asking=bound)) == "RECORD_NOT_DISCLOSED"
    assert await refused(world.get("unknown", asking=bound)) == "RECORD_NOT_DISCLOSED"
    assert world.charged() == 0


async def test_items_are_held_within_the_token(world: World) -> None:
    world.publish(record("a"), record("b", item_code=OTHER))
    bound = holding({"items": [OPEN]})
    assert names(await world.ask(1, asking=bound)) == ["a"]
    assert names(await world.ask(1, asking=bound, items=[OPEN])) == ["a"]
    assert await refused(world.ask(1, asking=bound, items=[OPEN, OTHER])) == "ITEM_NOT_ALLOWED"
    assert names(await world.get("a", asking=bound)) == ["a"]
    assert await refused(world.get("b", asking=bound)) == "RECORD_NOT_DISCLOSED"


async def test_purposes_are_held_within_the_token(world: World) -> None:
    bound = holding({"purposes": ["RESEARCH"]})
    assert await refused(world.ask(1, asking=bound)) == "PURPOSE_NOT_ALLOWED"
    assert await refused(world.get("a", asking=bound)) == "PURPOSE_NOT_ALLOWED"


async def test_regions_are_held_within_the_token(world: World) -> None:
    world.publish(record("a"))
    assert names(await world.ask(1, asking=holding({"regions": ["110000"]}))) == ["a"]
    elsewhere = holding({"regions": ["110101"]})
    assert names(await world.ask(1, asking=elsewhere)) == []
    assert await refused(world.ask(1, asking=holding({"regions": ["31"]}))) == "REGION_NOT_ALLOWED"


async def test_a_question_may_name_the_regions_of_the_records_it_wants(world: World) -> None:
    world.publish(record("a"), record("b", 2, region="110105"))
    asked = [(["110105"], []), (["1101"], []), (["11"], ["a"]), (["*"], ["a"])]
    for regions, found in asked:
        assert names(await world.ask(1, regions=regions)) == found
    (chunk,) = await world.batch([1, 2], regions=["110105"])
    assert names(chunk) == ["b"]
    (chunk,) = await world.batch([1, 2], regions=["110105", "110000"])
    assert sorted(names(chunk)) == ["a", "b"]
    assert await refused(world.ask(1, regions=["31"])) == "REGION_NOT_ALLOWED"
    for wrong in (["1"], ["99"], ["1101", "x"], ["11"] * 65):
        assert await refused(world.ask(1, regions=wrong)) == "INVALID_REQUEST"
        assert await refused(world.batch([1], regions=wrong)) == "INVALID_REQUEST"


async def test_regions_of_a_question_lie_within_those_of_the_token(world: World) -> None:
    world.publish(record("a"), record("b", region="110105"))
    bound = holding({"regions": ["1101"]}, {"subjects": [company(2)], "regions": ["310000"]})
    assert names(await world.ask(1, asking=bound, regions=["11"])) == ["b"]
    assert names(await world.ask(1, asking=holding({"items": [OPEN]}), regions=["11"])) == [
        "a",
        "b",
    ]
    assert await refused(world.ask(1, asking=bound, regions=["12"])) == "REGION_NOT_ALLOWED"
    await world.ask(1, regions=["11"], request_id="same")
    assert await refused(world.ask(1, request_id="same")) == "REQUEST_ID_REUSED"


async def test_the_period_is_held_to_the_second(world: World) -> None:
    world.publish(record("a"))
    bound = holding({"period": {"from": NOW, "until": NOW + 10}})
    for at in (NOW, NOW + 9):
        world.clock.at = at
        assert names(await world.ask(1, asking=bound)) == ["a"]
    for at in (NOW - 1, NOW + 10):
        world.clock.at = at
        assert await refused(world.ask(1, asking=bound)) == "DETAILS_NOT_IN_FORCE"


async def test_a_period_that_ends_while_an_answer_is_metered_ends_the_answer(
    world: World,
) -> None:
    world.publish(record("a"))
    bound = holding({"period": {"until": NOW + 1}})
    world.lookup.then.append(lambda: setattr(world.clock, "at", NOW + 1))
    assert await refused(world.ask(1, asking=bound)) == "DETAILS_NOT_IN_FORCE"
    assert world.charged() == 0


async def test_a_batch_is_served_subject_by_subject_within_their_details(world: World) -> None:
    world.publish(record("a"), record("b", item_code=OTHER), record("c", 2), record("d", 2, OTHER))
    bound = holding(
        {"subjects": [company(1)], "items": [OPEN]}, {"subjects": [company(2)], "items": [OTHER]}
    )
    (chunk,) = await world.batch([1, 2], asking=bound)
    assert sorted(names(chunk)) == ["a", "d"]
    assert chunk.receipt.charged_entries == 2


async def test_a_batch_with_a_subject_outside_the_token_is_refused_before_any_charge(
    world: World,
) -> None:
    world.publish(*(record(f"r{number}", number) for number in range(1, 10)))
    bound = holding({"subjects": [company(number) for number in range(1, 9)]})
    assert len(await world.batch(list(range(1, 9)), asking=bound)) == 2
    charged = world.charged()
    assert await refused(world.batch(list(range(1, 10)), asking=bound)) == "SUBJECT_NOT_ALLOWED"
    assert world.charged() == charged


async def test_a_detail_that_rests_on_a_consent_is_used_by_naming_it_alone(world: World) -> None:
    world.publish(record("a", item_code=CONSENT))
    consent = world.give().name
    bound = holding({"consent": consent})
    assert await refused(world.ask(1, asking=bound)) == "CONSENT_REQUIRED"
    assert await refused(world.batch([1], asking=bound)) == "CONSENT_REQUIRED"
    assert await refused(world.get("a", asking=bound)) == "CONSENT_REQUIRED"
    assert await refused(world.ask(1, asking=bound, consent=world.give().name)) == (
        "CONSENT_REQUIRED"
    )
    assert names(await world.ask(1, asking=bound, consent=consent)) == ["a"]


async def test_details_never_open_what_the_licence_does_not(world: World) -> None:
    world.publish(record("a"))
    wide = holding({"items": [OPEN, "unlicensed"], "regions": ["*"]})
    assert names(await world.ask(1, asking=wide)) == ["a"]
    assert await refused(world.ask(1, asking=wide, items=["unlicensed"])) == "ITEM_NOT_ALLOWED"


async def test_a_revenue_line_that_is_news_is_read_before_the_bounds_are_applied(
    world: World,
) -> None:
    world.publish(record("a", region="110108"))
    bound = holding({"regions": ["110108"]})
    assert names(await world.ask(1, asking=bound)) == ["a"]
    world.publish(record("b", region="110109"))
    assert names(await world.ask(1, asking=bound)) == ["a"]
    assert await refused(world.get("b", asking=bound)) == "RECORD_NOT_DISCLOSED"
