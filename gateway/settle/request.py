"""Requests checked: from proto messages to what settlement works on, faults by field."""

import re
from dataclasses import dataclass
from typing import Final

from creditgate.refusal import Violation, invalid
from creditgate.v1.settlement_service_pb2 import PricePlan as PricePlanMessage
from creditgate.v1.settlement_service_pb2 import SharingRule as SharingRuleMessage
from creditgate.v1.usage_service_pb2 import ListUsageRequest
from gateway.instants import instant_faults, period_of
from gateway.note import note_faults
from gateway.settle.month import Month, month_named
from gateway.settle.paging import Filters, position_of
from gateway.settle.prices import MOST_UNIT_PRICE, PricePlan
from gateway.settle.shares import WHOLE, SharingRule

MOST_ENTRIES: Final = 1_000
USUAL_ENTRIES: Final = 100
_MOST_PRICES: Final = 1_000
_MOST_REASON: Final = 500
_ID: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_ID_MEND: Final = (
    "use 1 to 64 lower-case letters, digits, dots and hyphens, a letter or digit first"
)
_PRICE_CLASS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PRICE_CLASS_MEND: Final = "use the price class of a catalogue item"
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(frozen=True, slots=True)
class UsageAsk:
    """Which usage is asked for: [from_, until) in seconds UTC, None unbounded; "" any request.

    ``after`` is the ledger position an earlier page ended at.
    """

    operator_id: str
    from_: int | None
    until: int | None
    request_id: str
    page_size: int
    after: int

    @property
    def filters(self) -> Filters:
        """What every page of one listing must have in common."""
        return self.operator_id, self.from_, self.until, self.request_id


def usage_ask(request: ListUsageRequest, operator_id: str) -> UsageAsk:
    """Return what a ListUsage call asks about ``operator_id``; raises Refused INVALID_REQUEST."""
    faults: list[Violation] = []
    from_, until = period_of("period", request.period, faults)
    if request.request_id and _REQUEST_ID.fullmatch(request.request_id) is None:
        faults.append(Violation("request_id", "use 1 to 64 visible ASCII characters"))
    if not 0 <= request.page_size <= MOST_ENTRIES:
        faults.append(Violation("page_size", f"use 1 to {MOST_ENTRIES}, or 0 for {USUAL_ENTRIES}"))
    after = position_of(request.page_token, (operator_id, from_, until, request.request_id))
    if after is None:
        faults.append(
            Violation(
                "page_token",
                "use the next_page_token of an earlier page of the same operator_id, period and"
                " request_id",
            )
        )
    if faults or after is None:
        raise invalid(*faults)
    page_size = request.page_size or USUAL_ENTRIES
    return UsageAsk(operator_id, from_, until, request.request_id, page_size, after)


def month_asked(name: str, now: int) -> Month:
    """Return the month of a statement; raises Refused INVALID_REQUEST."""
    month = month_named(name)
    if month is None:
        raise invalid(Violation("month", 'use a calendar month such as "2026-04"'))
    if now < month.from_:
        raise invalid(Violation("month", "name a month that has begun (UTC)"))
    return month


def price_plan(plan: PricePlanMessage, reason: str) -> PricePlan:
    """Return the plan a CreatePricePlan call brings; raises Refused INVALID_REQUEST."""
    faults = _id_faults("plan.plan_id", plan.plan_id)
    faults += _start_faults("plan.effective_from", plan)
    faults += note_faults("reason", reason, _MOST_REASON)
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
    if faults:
        raise invalid(*faults)
    return PricePlan(
        plan_id=plan.plan_id, effective_from=plan.effective_from.seconds, prices=prices
    )


def sharing_rule(rule: SharingRuleMessage, reason: str) -> SharingRule:
    """Return the rule a CreateSharingRule call brings; raises Refused INVALID_REQUEST."""
    faults = _id_faults("rule.rule_id", rule.rule_id)
    faults += _start_faults("rule.effective_from", rule)
    faults += note_faults("reason", reason, _MOST_REASON)
    parts = {
        "source_basis_points": rule.source_basis_points,
        "region_basis_points": rule.region_basis_points,
        "platform_basis_points": rule.platform_basis_points,
    }
    outside = [name for name, part in parts.items() if not 0 <= part <= WHOLE]
    faults.extend(Violation(f"rule.{name}", f"use 0 to {WHOLE}") for name in outside)
    if not outside and sum(parts.values()) != WHOLE:
        faults.append(
            Violation("rule", f"the parts of source, region and platform must sum to {WHOLE}")
        )
    if faults:
        raise invalid(*faults)
    return SharingRule(rule_id=rule.rule_id, effective_from=rule.effective_from.seconds, **parts)


def _id_faults(field: str, thing_id: str) -> list[Violation]:
    return [] if _ID.fullmatch(thing_id) else [Violation(field, _ID_MEND)]


def _start_faults(field: str, thing: PricePlanMessage | SharingRuleMessage) -> list[Violation]:
    if not thing.HasField("effective_from"):
        return [Violation(field, "say from when on it is in force")]
    return instant_faults(field, thing.effective_from)
