"""Prices and sharing rules: which are in force, and which were or will be."""

from typing import Final, NamedTuple

from starlette.responses import Response

from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.settlement_service_pb2 import PriceComponentKind, SourceDivision
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.console.visit import Visit
from gateway.pages.money import yuan
from gateway.pages.terms import PURPOSES
from gateway.pages.words import Words, joined, said

_K = PriceComponentKind
_KINDS: Final[dict[int, Words]] = {
    _K.PRICE_COMPONENT_KIND_PER_RECORD: ("按条计价", "per record"),
    _K.PRICE_COMPONENT_KIND_PER_SUBJECT: ("按主体计价", "per subject"),
    _K.PRICE_COMPONENT_KIND_GRADUATED: ("阶梯计价", "tiered"),
    _K.PRICE_COMPONENT_KIND_VOLUME: ("总量计价", "by volume"),
    _K.PRICE_COMPONENT_KIND_FREE_TIER: ("公益免费额度", "free tier"),
    _K.PRICE_COMPONENT_KIND_FLAT: ("固定费", "flat"),
    _K.PRICE_COMPONENT_KIND_MINIMUM: ("最低消费", "minimum"),
    _K.PRICE_COMPONENT_KIND_CAP: ("封顶", "cap"),
}
_DIVISIONS: Final[dict[int, Words]] = {
    SourceDivision.SOURCE_DIVISION_UNSPECIFIED: ("按固定比例", "fixed parts"),
    SourceDivision.SOURCE_DIVISION_OWN: ("按固定比例", "fixed parts"),
    SourceDivision.SOURCE_DIVISION_BY_USE: ("按使用量", "by use"),
    SourceDivision.SOURCE_DIVISION_BY_CONTRIBUTION: ("按贡献", "by contribution"),
}
_PER_CENT: Final = 100


class Component(NamedTuple):
    """A component in words: what it does and costs, and what use and whom it is for.

    ``selects`` are a word for what is selected by and what is selected; empty for all use.
    """

    component_id: str
    kind: str
    amounts: str
    selects: list[tuple[str, str]]


class Plan(NamedTuple):
    """A price plan in words: what its classes cost, and its components."""

    plan_id: str
    starts: int
    in_force: bool
    prices: list[tuple[str, str]]
    components: list[Component]


class Rule(NamedTuple):
    """A sharing rule in words: who gets which part."""

    rule_id: str
    starts: int
    in_force: bool
    parts: list[tuple[str, str]]
    division: str


async def show(visit: Visit) -> Response:
    """Show every price plan, and every sharing rule, newest first."""
    listed_plans = await visit.every_page(pb.ListPricePlansRequest(), pb.ListPricePlansResponse)
    plans = listed_plans.plans
    rules: list[pb.SharingRule] = []
    if visit.may(pb.ListSharingRulesRequest):
        listed = await visit.every_page(pb.ListSharingRulesRequest(), pb.ListSharingRulesResponse)
        rules = list(listed.rules)
    plan_now = _deciding([plan.effective_from.seconds for plan in plans], visit.now)
    rule_now = _deciding([rule.effective_from.seconds for rule in rules], visit.now)
    return visit.page(
        "prices.html",
        tab="/prices",
        plans=[
            _plan(visit, plan, in_force=number == plan_now) for number, plan in enumerate(plans)
        ][::-1],
        rules=[
            _rule(visit, rule, in_force=number == rule_now) for number, rule in enumerate(rules)
        ][::-1],
    )


def _deciding(starts: list[int], now: int) -> int:
    """Return the number of the last of ``starts``, which are in order, that is over by ``now``."""
    return sum(start <= now for start in starts) - 1


def _plan(visit: Visit, plan: pb.PricePlan, *, in_force: bool) -> Plan:
    return Plan(
        plan.plan_id,
        plan.effective_from.seconds,
        in_force,
        [
            (price.price_class, yuan(price.unit_price_micro_yuan, visit.language))
            for price in plan.prices
        ],
        [
            Component(
                component.component_id,
                said(visit.language, _KINDS[component.kind]),
                _amounts(visit, component),
                _selects(visit, component),
            )
            for component in plan.components
        ],
    )


def _amounts(visit: Visit, component: pb.PriceComponent) -> str:
    language = visit.language
    if component.tiers:
        return visit.say("；", "; ").join(
            visit.say(f"{tier.from_records:,} 条起 ", f"from {tier.from_records:,} records ")
            + yuan(tier.unit_price_micro_yuan, language)
            for tier in component.tiers
        )
    if component.records:
        return visit.say(f"每月 {component.records:,} 条", f"{component.records:,} records a month")
    if component.amount_micro_yuan:
        amount = yuan(component.amount_micro_yuan, language)
        return visit.say(f"每月 {amount}", f"{amount} a month")
    return yuan(component.unit_price_micro_yuan, language)


def _selects(visit: Visit, component: pb.PriceComponent) -> list[tuple[str, str]]:
    language = visit.language
    purposes = [
        said(language, PURPOSES[Purpose.Name(purpose).removeprefix("PURPOSE_")])
        for purpose in component.purposes
    ]
    selected = (
        (visit.say("目录项", "items"), component.items),
        (visit.say("价格类别", "price classes"), component.price_classes),
        (visit.say("用途", "purposes"), purposes),
        (visit.say("运营机构类别", "operator classes"), component.operator_classes),
    )
    return [(what, joined(names, language)) for what, names in selected if names]


def _rule(visit: Visit, rule: pb.SharingRule, *, in_force: bool) -> Rule:
    parts = (
        (visit.say("来源部门", "Source department"), rule.source_basis_points),
        (visit.say("地区", "Region"), rule.region_basis_points),
        (visit.say("平台", "Platform"), rule.platform_basis_points),
        (visit.say("返还运营机构", "Back to the operator"), rule.operator_basis_points),
    )
    return Rule(
        rule.rule_id,
        rule.effective_from.seconds,
        in_force,
        [(name, f"{points / _PER_CENT:g} %") for name, points in parts if points],
        said(visit.language, _DIVISIONS[rule.source_division]),
    )
