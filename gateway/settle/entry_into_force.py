"""What may be put into force, and when: the past is never rewritten."""

from collections.abc import Sequence
from typing import Final

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.settle.prices import PriceBook, PricePlan
from gateway.settle.shares import SharingBook, SharingRule
from gateway.settle.timeline import Dated

_PAST: Final = "must not be in the past"


def require_new_plan(plan: PricePlan, book: PriceBook, now: int) -> None:
    """Raise Refused unless ``plan`` may be created at ``now``.

    RESOURCE_EXISTS for an id already used, INVALID_REQUEST for a start in the past,
    STATE_CONFLICT when another plan starts at the same instant.
    """
    _require_new_id("price plan", plan, book.plans.things)
    if plan.effective_from < now:
        raise invalid(Violation("plan.effective_from", _PAST))
    _require_own_start("price plan", plan, book.plans.things)


def require_new_rule(rule: SharingRule, book: SharingBook, now: int) -> None:
    """Raise Refused unless ``rule`` may be created at ``now``.

    As `require_new_plan`, but a rule may start in the past when it comes before all
    others: it then decides only where no rule did, so no statement could be given.
    """
    _require_new_id("sharing rule", rule, book.rules.things)
    if rule.effective_from < now and book.rule_at(rule.effective_from) is not None:
        raise invalid(
            Violation("rule.effective_from", f"{_PAST}, unless no rule was in force then")
        )
    _require_own_start("sharing rule", rule, book.rules.things)


def _require_new_id(what: str, thing: Dated, known: Sequence[Dated]) -> None:
    # Before the start is looked at: a repeated creation hears that it succeeded, even
    # when its start has passed meanwhile.
    if any(other.id == thing.id for other in known):
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_EXISTS,
            f"There is already a {what} of this id; choose another.",
        )


def _require_own_start(what: str, thing: Dated, known: Sequence[Dated]) -> None:
    if any(other.effective_from == thing.effective_from for other in known):
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            f"Another {what} starts at the same instant; choose another effective_from.",
        )
