"""SettlementService: what may be put into force, and how it acts."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.rating.prices import PriceBook
from creditgate.refusal import Refused, reason_name
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from operators.log import Draft
from tests.settle.world import (
    ADMINISTRATOR,
    APRIL,
    MARCH,
    NOW,
    World,
    close_month,
    make_bank,
    plan_request,
    rule_request,
)

SOON = NOW + 1


async def _create_plan(world: World, plan_id: str, effective_from: int, **prices: int) -> None:
    request = plan_request(plan_id, effective_from, **(prices or {"basic": 100}))
    await world.settlement_service.create_price_plan(request, ADMINISTRATOR)


async def _create_rule(world: World, rule_id: str, effective_from: int) -> None:
    await world.settlement_service.create_sharing_rule(
        rule_request(rule_id, effective_from), ADMINISTRATOR
    )


def _fields(refusal: pytest.ExceptionInfo[Refused]) -> list[str]:
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_INVALID_REQUEST
    return [violation.field for violation in refusal.value.violations]


async def test_created_plan_acts_from_the_next_second_on_and_is_recorded_with_who_when_and_why(
    world: World,
) -> None:
    request = plan_request("p-2026", SOON, basic=100, extra=0)
    answer = await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert answer.plan == request.plan
    plan = world.feed.current().prices.plan_at(SOON)
    assert plan is not None
    assert plan.prices == {"basic": 100, "extra": 0}
    assert world.feed.current().prices.plan_at(NOW) is None
    (change,) = world.log.history(kind="price_plan", id="p-2026", after=0, limit=9)
    assert (change.changed_by, change.changed_at) == (ADMINISTRATOR.client_id, NOW)
    assert change.reason == "yearly review"


async def test_plans_and_rules_are_listed_by_start_of_force(world: World) -> None:
    await _create_plan(world, "later", NOW + 20)
    await _create_plan(world, "sooner", NOW + 10)
    await _create_rule(world, "later", NOW + 20)
    await _create_rule(world, "sooner", NOW + 10)
    plans = await world.settlement_service.list_price_plans(
        settlement_pb.ListPricePlansRequest(), ADMINISTRATOR
    )
    rules = await world.settlement_service.list_sharing_rules(
        settlement_pb.ListSharingRulesRequest(), ADMINISTRATOR
    )
    assert [plan.plan_id for plan in plans.plans] == ["sooner", "later"]
    assert [rule.rule_id for rule in rules.rules] == ["sooner", "later"]


async def test_plan_may_not_start_in_the_past_nor_in_the_second_that_goes_by(world: World) -> None:
    with pytest.raises(Refused) as refusal:
        await _create_plan(world, "late", NOW)
    assert _fields(refusal) == ["plan.effective_from"]
    assert not world.log.history(kind="price_plan", id="", after=0, limit=9)


async def test_plan_or_rule_may_not_start_in_a_month_that_was_closed(world: World) -> None:
    # A clock that was set back after April was closed.
    await _create_rule(world, "first", MARCH)
    close_month(world.engines, "2026-04")
    may = APRIL + 30 * 86_400
    for create, field in ((_create_plan, "plan"), (_create_rule, "rule")):
        with pytest.raises(Refused) as refusal:
            await create(world, "back", may - 1)
        assert _fields(refusal) == [f"{field}.effective_from"]
        (violation,) = refusal.value.violations
        assert "use 2026-05-01T00:00:00Z or later" in violation.description
        await create(world, "open", may)


async def test_plan_may_not_start_before_the_newest_change_of_a_clock_since_set_back(
    world: World,
) -> None:
    world.clock.at = NOW + 3_600
    await _create_plan(world, "ahead", NOW + 3_601)
    world.clock.at = NOW
    with pytest.raises(Refused) as refusal:
        await _create_plan(world, "back", NOW + 3_599)
    assert _fields(refusal) == ["plan.effective_from"]
    await _create_plan(world, "after", NOW + 3_602)


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_plans_and_rules_are_listed_page_by_page(world: World, size: int) -> None:
    names = [f"p{number}" for number in range(3)]
    for number, name in enumerate(names):
        await _create_plan(world, name, SOON + number)
        await _create_rule(world, name, SOON + number)
    plans = settlement_pb.ListPricePlansRequest(page_size=size)
    rules = settlement_pb.ListSharingRulesRequest(page_size=size)
    found: list[tuple[str, str]] = []
    while True:
        listed = await world.settlement_service.list_price_plans(plans, ADMINISTRATOR)
        shared = await world.settlement_service.list_sharing_rules(rules, ADMINISTRATOR)
        assert 0 < len(listed.plans) <= size
        pairs = zip(listed.plans, shared.rules, strict=True)
        found += [(plan.plan_id, rule.rule_id) for plan, rule in pairs]
        plans.page_token, rules.page_token = listed.next_page_token, shared.next_page_token
        assert bool(plans.page_token) == bool(rules.page_token)
        if not plans.page_token:
            break
    assert found == [(name, name) for name in names]


async def test_page_of_plans_that_was_not_told_is_refused(world: World) -> None:
    request = settlement_pb.ListPricePlansRequest(page_size=1_001, page_token="none")
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.list_price_plans(request, ADMINISTRATOR)
    assert _fields(refusal) == ["page_size", "page_token"]


async def test_repeated_creation_hears_that_it_exists_even_when_its_start_has_passed(
    world: World,
) -> None:
    await _create_plan(world, "once", SOON)
    await _create_rule(world, "once", SOON)
    world.clock.at = NOW + 5
    for create in (_create_plan, _create_rule):
        with pytest.raises(Refused) as refusal:
            await create(world, "once", SOON)
        assert refusal.value.reason == RefusalReason.REFUSAL_REASON_RESOURCE_EXISTS


async def test_two_may_not_start_at_the_same_instant(world: World) -> None:
    for create in (_create_plan, _create_rule):
        await create(world, "one", NOW + 10)
        with pytest.raises(Refused) as refusal:
            await create(world, "two", NOW + 10)
        assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT


async def test_creation_is_judged_by_what_other_processes_have_written(world: World) -> None:
    other = World(world.engines)
    await _create_plan(other, "one", NOW + 10)
    with pytest.raises(Refused) as refusal:
        await _create_plan(world, "two", NOW + 10)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT


async def test_rule_may_reach_back_only_to_where_no_rule_was_in_force(world: World) -> None:
    await _create_rule(world, "first", MARCH)
    await _create_rule(world, "before-it", MARCH - 10)
    with pytest.raises(Refused) as refusal:
        await _create_rule(world, "over-it", MARCH + 10)
    assert _fields(refusal) == ["rule.effective_from"]
    await _create_rule(world, "from-now-on", SOON)


async def test_every_fault_of_a_plan_is_named_by_its_field(world: World) -> None:
    request = settlement_pb.CreatePricePlanRequest(
        plan=settlement_pb.PricePlan(
            plan_id="No Spaces",
            prices=[
                settlement_pb.ClassPrice(price_class="basic", unit_price_micro_yuan=-1),
                settlement_pb.ClassPrice(price_class="basic", unit_price_micro_yuan=10**12 + 1),
                settlement_pb.ClassPrice(price_class="", unit_price_micro_yuan=1),
            ],
        ),
        reason=" ",
    )
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert _fields(refusal) == [
        "plan.plan_id",
        "plan.effective_from",
        "reason",
        "plan.prices[0].unit_price_micro_yuan",
        "plan.prices[1].price_class",
        "plan.prices[1].unit_price_micro_yuan",
        "plan.prices[2].price_class",
    ]


async def test_plan_with_components_is_stored_and_listed_as_it_was_created(world: World) -> None:
    request = plan_request("rich", SOON, basic=100)
    request.plan.components.extend(
        [
            settlement_pb.PriceComponent(
                component_id="tiers",
                kind=settlement_pb.PRICE_COMPONENT_KIND_GRADUATED,
                items=["licence", "register"],
                purposes=[Purpose.PURPOSE_BIDDING],
                operator_classes=["bank"],
                tiers=[
                    settlement_pb.PriceTier(unit_price_micro_yuan=9),
                    settlement_pb.PriceTier(from_records=10, unit_price_micro_yuan=5),
                ],
            ),
            settlement_pb.PriceComponent(
                component_id="most",
                kind=settlement_pb.PRICE_COMPONENT_KIND_CAP,
                amount_micro_yuan=10**9,
            ),
        ]
    )
    make_bank(world)
    answer = await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert answer.plan == request.plan
    listed = await world.settlement_service.list_price_plans(
        settlement_pb.ListPricePlansRequest(), ADMINISTRATOR
    )
    assert list(listed.plans) == [request.plan]


async def test_every_fault_of_a_component_is_named_by_its_field(world: World) -> None:
    request = plan_request("faulty", SOON, basic=100)
    request.plan.components.extend(
        [
            settlement_pb.PriceComponent(component_id="no kind"),
            settlement_pb.PriceComponent(
                component_id="negative",
                kind=settlement_pb.PRICE_COMPONENT_KIND_PER_RECORD,
                unit_price_micro_yuan=-1,
                purposes=[99],  # pyright: ignore[reportArgumentType]
            ),
            settlement_pb.PriceComponent(
                component_id="tiers",
                kind=settlement_pb.PRICE_COMPONENT_KIND_VOLUME,
                tiers=[settlement_pb.PriceTier(unit_price_micro_yuan=10**12 + 1)],
            ),
        ]
    )
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert _fields(refusal) == [
        "plan.components[0].component_id",
        "plan.components[0].kind",
        "plan.components[1].purposes[0]",
        "plan.components[1].unit_price_micro_yuan",
        "plan.components[2].tiers[0].unit_price_micro_yuan",
    ]
    del request.plan.components[:]
    for _ in range(2):
        request.plan.components.add(
            component_id="twice",
            kind=settlement_pb.PRICE_COMPONENT_KIND_FLAT,
            amount_micro_yuan=1,
        )
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert _fields(refusal) == ["plan.components"]


async def test_what_no_catalogue_item_has_is_refused_by_its_field(world: World) -> None:
    request = plan_request("typo", SOON, basic=100, bsic=100)
    request.plan.components.add(
        component_id="free",
        kind=settlement_pb.PRICE_COMPONENT_KIND_FREE_TIER,
        records=3,
        items=["register", "nosuch.item"],
        price_classes=["nosuch", "basic"],
    )
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert _fields(refusal) == [
        "plan.prices[1].price_class",
        "plan.components[0].items[1]",
        "plan.components[0].price_classes[0]",
    ]
    assert not world.log.history(kind="price_plan", id="", after=0, limit=9)


async def test_operator_class_that_no_operator_has_is_refused_by_its_field(world: World) -> None:
    make_bank(world)
    plan = plan_request("typo", SOON, basic=100)
    plan.plan.components.add(
        component_id="free",
        kind=settlement_pb.PRICE_COMPONENT_KIND_FREE_TIER,
        records=3,
        operator_classes=["bank", "bnak"],
    )
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(plan, ADMINISTRATOR)
    assert _fields(refusal) == ["plan.components[0].operator_classes[1]"]
    plan.coming_operator_classes.append("bnak")
    await world.settlement_service.create_price_plan(plan, ADMINISTRATOR)


async def test_rebate_to_a_class_that_no_operator_has_is_refused_by_its_field(
    world: World,
) -> None:
    make_bank(world)
    rule = rule_request("typo", SOON, 6_000, 3_000, 0)
    rule.rule.operator_basis_points = 1_000
    rule.rule.rebate_operator_classes.extend(["bank", "bnak"])
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_sharing_rule(rule, ADMINISTRATOR)
    assert _fields(refusal) == ["rule.rebate_operator_classes[1]"]
    rule.coming_operator_classes.append("bnak")
    await world.settlement_service.create_sharing_rule(rule, ADMINISTRATOR)


async def test_class_of_items_to_come_is_priced_where_the_request_says_so(world: World) -> None:
    request = plan_request("ahead", SOON, basic=100, new=100)
    request.plan.components.add(
        component_id="free",
        kind=settlement_pb.PRICE_COMPONENT_KIND_FREE_TIER,
        records=3,
        price_classes=["new"],
    )
    request.coming_price_classes.append("new")
    answer = await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert answer.plan == request.plan


async def test_class_that_has_a_price_is_left_out_only_where_the_request_says_so(
    world: World,
) -> None:
    await _create_plan(world, "both", SOON, basic=100, extra=100)
    request = plan_request("one", NOW + 10, basic=100)
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert _fields(refusal) == ["plan.prices"]
    (violation,) = refusal.value.violations
    assert violation.description.endswith(": extra")
    request.dropped_price_classes.append("extra")
    await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    await _create_plan(world, "still-one", NOW + 20, basic=50)


async def test_class_that_no_item_has_any_more_may_be_left_out(world: World) -> None:
    await _create_plan(world, "both", SOON, basic=100, extra=100)
    world.log.append(
        [Draft("catalogue_item", "licence", 1, {"price_class": "basic"})],
        changed_by="admin",
        changed_at=NOW,
        reason="test",
    )
    await _create_plan(world, "one", NOW + 10, basic=100)


async def test_plan_has_no_more_components_than_it_may(world: World) -> None:
    request = plan_request("many", SOON, basic=100)
    for number in range(51):
        request.plan.components.add(
            component_id=f"c{number}",
            kind=settlement_pb.PRICE_COMPONENT_KIND_FLAT,
            amount_micro_yuan=1,
        )
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert _fields(refusal) == ["plan.components"]


async def test_rule_with_everything_is_stored_and_listed_as_it_was_created(world: World) -> None:
    request = rule_request("rich", SOON, 5_000, 2_000, 2_000)
    request.rule.operator_basis_points = 1_000
    request.rule.rebate_operator_classes.append("bank")
    request.rule.source_division = settlement_pb.SOURCE_DIVISION_BY_CONTRIBUTION
    request.rule.completeness_basis_points = 2_500
    make_bank(world)
    answer = await world.settlement_service.create_sharing_rule(request, ADMINISTRATOR)
    assert answer.rule == request.rule
    listed = await world.settlement_service.list_sharing_rules(
        settlement_pb.ListSharingRulesRequest(), ADMINISTRATOR
    )
    assert list(listed.rules) == [request.rule]


async def test_faults_of_how_a_rule_divides_are_named_by_field(world: World) -> None:
    request = rule_request("faulty", SOON)
    request.rule.completeness_basis_points = 1
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_sharing_rule(request, ADMINISTRATOR)
    assert _fields(refusal) == ["rule"]
    request.rule.ClearField("completeness_basis_points")
    request.rule.source_division = 9  # pyright: ignore[reportAttributeAccessIssue]
    request.rule.rebate_operator_classes.append("No Class")
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_sharing_rule(request, ADMINISTRATOR)
    assert _fields(refusal) == ["rule.rebate_operator_classes[0]", "rule.source_division"]


async def test_plan_without_prices_is_refused(world: World) -> None:
    request = plan_request("empty", SOON)
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert _fields(refusal) == ["plan.prices"]


@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ((5_000, 5_000, 1), ["rule"]),
        ((0, 0, 9_999), ["rule"]),
        ((-1, 10_001, 0), ["rule.source_basis_points", "rule.region_basis_points"]),
    ],
)
async def test_rule_whose_parts_are_not_the_whole_is_refused(
    world: World, parts: tuple[int, ...], fields: list[str]
) -> None:
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_sharing_rule(
            rule_request("r", SOON, *parts), ADMINISTRATOR
        )
    assert _fields(refusal) == fields


@pytest.mark.parametrize(
    "start", [Timestamp(seconds=APRIL, nanos=1), Timestamp(seconds=-1), None, Timestamp(nanos=-1)]
)
async def test_start_that_is_no_whole_second_is_refused(
    world: World, start: Timestamp | None
) -> None:
    request = rule_request("r", APRIL)
    request.rule.ClearField("effective_from")
    if start is not None:
        request.rule.effective_from.CopyFrom(start)
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_sharing_rule(request, ADMINISTRATOR)
    assert _fields(refusal) == ["rule.effective_from"]


def _only(component_id: str, price_class: str, **more: Any) -> settlement_pb.PriceComponent:
    return settlement_pb.PriceComponent(
        component_id=component_id,
        kind=settlement_pb.PRICE_COMPONENT_KIND_PER_RECORD,
        unit_price_micro_yuan=5,
        price_classes=[price_class],
        **more,
    )


async def test_class_that_a_component_prices_is_not_left_out(world: World) -> None:
    await _create_plan(world, "both", SOON, basic=100, extra=100)
    request = plan_request("by-component", NOW + 10, basic=100)
    request.plan.components.append(_only("extra", "extra"))
    await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    # For one purpose alone it is.
    request = plan_request("half", NOW + 20, basic=100)
    request.plan.components.append(_only("extra", "extra", purposes=[Purpose.PURPOSE_BIDDING]))
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(request, ADMINISTRATOR)
    assert _fields(refusal) == ["plan.prices"]


async def test_plan_adds_nothing_that_the_one_after_it_leaves_out(world: World) -> None:
    await _create_plan(world, "later", NOW + 20, basic=100)
    sooner = plan_request("sooner", NOW + 10, basic=100, extra=100)
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.create_price_plan(sooner, ADMINISTRATOR)
    (violation,) = refusal.value.violations
    assert violation.field == "plan.prices"
    assert "later" in violation.description
    coming = plan_request("coming", NOW + 10, basic=100, new=100)
    coming.coming_price_classes.append("new")
    with pytest.raises(Refused):
        await world.settlement_service.create_price_plan(coming, ADMINISTRATOR)
    sooner.dropped_price_classes.append("extra")
    await world.settlement_service.create_price_plan(sooner, ADMINISTRATOR)
    # What was dropped once need not be dropped again.
    await _create_plan(world, "between", NOW + 15, basic=100, extra=90)


async def test_plan_that_did_not_begin_is_withdrawn_and_its_start_is_free_again(
    world: World,
) -> None:
    await _create_plan(world, "now", SOON, basic=100, extra=100)
    await _create_plan(world, "wrong", NOW + 10, basic=100_000, extra=100_000)
    request = settlement_pb.WithdrawPricePlanRequest(plan_id="wrong", reason="a zero too many")
    for _ in range(2):
        await world.settlement_service.withdraw_price_plan(request, ADMINISTRATOR)
    with pytest.raises(Refused) as refusal:
        await _create_plan(world, "wrong", NOW + 10, basic=100, extra=100)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_RESOURCE_EXISTS
    await _create_plan(world, "right", NOW + 10, basic=101, extra=101)
    prices = world.feed.current().prices
    decides = [prices.plan_at(at) for at in (SOON, NOW + 10, NOW + 11)]
    assert [plan and plan.plan_id for plan in decides] == ["now", "right", "right"]
    # Whoever reads the whole log anew sees the same.
    anew = PriceBook.empty().advanced(world.log.since(0))
    assert [plan.plan_id for plan in anew.plans.things] == ["now", "right"]
    assert anew.withdrawn == {"wrong"}


async def test_plan_that_began_is_not_withdrawn(world: World) -> None:
    await _create_plan(world, "now", SOON, basic=100, extra=100)
    world.clock.at = SOON
    for plan_id, reason in (("now", "STATE_CONFLICT"), ("none", "RESOURCE_NOT_FOUND")):
        request = settlement_pb.WithdrawPricePlanRequest(plan_id=plan_id, reason="no more")
        with pytest.raises(Refused) as refusal:
            await world.settlement_service.withdraw_price_plan(request, ADMINISTRATOR)
        assert reason_name(refusal.value.reason) == reason
    with pytest.raises(Refused) as refusal:
        await world.settlement_service.withdraw_price_plan(
            settlement_pb.WithdrawPricePlanRequest(plan_id="now"), ADMINISTRATOR
        )
    assert _fields(refusal) == ["reason"]
