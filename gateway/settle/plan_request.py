"""Price plans and sharing rules that requests bring, checked: faults by field."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import ValidationError

from creditgate.rating.components import MOST_UNIT_PRICE, PriceComponent
from creditgate.rating.plans import component_of
from creditgate.rating.prices import MOST_COMPONENTS, PricePlan
from creditgate.refusal import Violation, invalid
from creditgate.v1.settlement_service_pb2 import PriceComponent as PriceComponentMessage
from creditgate.v1.settlement_service_pb2 import PricePlan as PricePlanMessage
from creditgate.v1.settlement_service_pb2 import SharingRule as SharingRuleMessage
from gateway.catalogue.faults import Where, faults_of, path_of
from gateway.instants import instant_faults
from gateway.note import note_faults
from gateway.settle.shares import OWN, SharingRule

_MOST_PRICES: Final = 1_000
MOST_REASON: Final = 500
_MOST_VIOLATIONS: Final = 100
_ID: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_ID_MEND: Final = (
    "use 1 to 64 lower-case letters, digits, dots and hyphens, a letter or digit first"
)
_PRICE_CLASS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PRICE_CLASS_MEND: Final = "use the price class of a catalogue item"
# Fields that the contract names otherwise than the log.
_NAMES: Final[Mapping[str, str]] = {
    "unit_price": "unit_price_micro_yuan",
    "amount": "amount_micro_yuan",
}


def new_price_plan(plan: PricePlanMessage, reason: str) -> PricePlan:
    """Return the plan a CreatePricePlan call brings; raises Refused INVALID_REQUEST."""
    faults = _start_faults("plan.effective_from", plan)
    faults += note_faults("reason", reason, MOST_REASON)
    return _price_plan(plan, plan.effective_from.seconds, faults)


def tried_price_plan(plan: PricePlanMessage, from_: int) -> PricePlan:
    """Return the plan a DryRunPricePlan call brings, as if in force from ``from_`` on.

    In seconds, UTC. Raises Refused INVALID_REQUEST.
    """
    return _price_plan(plan, from_, [])


def new_sharing_rule(rule: SharingRuleMessage, reason: str) -> SharingRule:
    """Return the rule a CreateSharingRule call brings; raises Refused INVALID_REQUEST."""
    faults = _id_faults("rule.rule_id", rule.rule_id)
    faults += _start_faults("rule.effective_from", rule)
    faults += note_faults("reason", reason, MOST_REASON)
    try:
        checked = SharingRule.model_validate(
            {
                "rule_id": rule.rule_id,
                "effective_from": 0 if faults else rule.effective_from.seconds,
                "source_basis_points": rule.source_basis_points,
                "region_basis_points": rule.region_basis_points,
                "platform_basis_points": rule.platform_basis_points,
                "operator_basis_points": rule.operator_basis_points,
                "rebate_operator_classes": list(rule.rebate_operator_classes),
                "source_division": rule.source_division or OWN,
                "completeness_basis_points": rule.completeness_basis_points,
            }
        )
    except ValidationError as error:
        raise _refused([*faults, *_faults(error, ("rule",))]) from None
    if faults:
        raise _refused(faults)
    return checked


def _price_plan(plan: PricePlanMessage, from_: int, faults: list[Violation]) -> PricePlan:
    faults = [*_id_faults("plan.plan_id", plan.plan_id), *faults]
    prices = _prices(plan, faults)
    components = _components(plan.components, faults)
    if faults:
        raise _refused(faults)
    try:
        return PricePlan(
            plan_id=plan.plan_id, effective_from=from_, prices=prices, components=components
        )
    except ValidationError as error:
        # What is left to find wrong is how components go together.
        raise _refused(_faults(error, ("plan", "components"))) from None


def _prices(plan: PricePlanMessage, faults: list[Violation]) -> dict[str, int]:
    if not 1 <= len(plan.prices) <= _MOST_PRICES:
        faults.append(Violation("plan.prices", f"name 1 to {_MOST_PRICES} price classes"))
    prices: dict[str, int] = {}
    for index, price in enumerate(plan.prices[:_MOST_PRICES]):
        at = f"plan.prices[{index}]"
        if _PRICE_CLASS.fullmatch(price.price_class) is None:
            faults.append(Violation(f"{at}.price_class", _PRICE_CLASS_MEND))
        elif price.price_class in prices:
            faults.append(Violation(f"{at}.price_class", "name each price class once"))
        if not 0 <= price.unit_price_micro_yuan <= MOST_UNIT_PRICE:
            faults.append(
                Violation(f"{at}.unit_price_micro_yuan", f"use 0 to {MOST_UNIT_PRICE} micro-yuan")
            )
        prices[price.price_class] = price.unit_price_micro_yuan
    return prices


def _components(
    messages: Sequence[PriceComponentMessage], faults: list[Violation]
) -> tuple[PriceComponent, ...]:
    if len(messages) > MOST_COMPONENTS:
        faults.append(Violation("plan.components", f"give at most {MOST_COMPONENTS}"))
    components: list[PriceComponent] = []
    for index, message in enumerate(messages[:MOST_COMPONENTS]):
        try:
            components.append(component_of(message))
        except ValidationError as error:
            faults += _faults(error, ("plan", "components", index))
    return tuple(components)


def _faults(error: ValidationError, at: Where) -> list[Violation]:
    return [
        Violation(
            path_of((*at, *(_NAMES.get(str(step), step) for step in fault.where))), fault.mend
        )
        for fault in faults_of(error)
    ]


def _refused(faults: Sequence[Violation]) -> Exception:
    return invalid(*faults[:_MOST_VIOLATIONS])


def _id_faults(field: str, thing_id: str) -> list[Violation]:
    return [] if _ID.fullmatch(thing_id) else [Violation(field, _ID_MEND)]


def _start_faults(field: str, thing: PricePlanMessage | SharingRuleMessage) -> list[Violation]:
    if not thing.HasField("effective_from"):
        return [Violation(field, "say from when on it is in force")]
    return instant_faults(field, thing.effective_from)
