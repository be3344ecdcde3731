"""What may be put into force, and when: the past is never rewritten."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.timeline import Dated
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.settle.month import utc_text
from gateway.settle.shares import SharingBook, SharingRule

_CLOSED: Final = "must not be in a month that was closed"
_PAST: Final = "must not be in the past, nor in the second that goes by"
_USED: Final = "must be after all use, some of which was metered by a clock that was ahead"
_CHANGED: Final = (
    "must not be before the newest change of authority, which a clock that was set back would allow"
)


class Present(NamedTuple):
    """What is past, by the clock and by what was written with clocks that may have been ahead.

    Instants in seconds, UTC: ``now``; ``used_at``, of the newest use; ``open_from``, where the
    month that was closed last ends; and ``changed_at``, of the newest change of authority. 0 where
    there is none.
    """

    now: int
    used_at: int = 0
    open_from: int = 0
    changed_at: int = 0

    @property
    def unrated_from(self) -> int:
        """First instant that no use can have been served in yet, and no closing has covered.

        Times are whole seconds: of the one that goes by some use may have been served.
        """
        return max(self.now + 1, self.used_at + 1, self.open_from)

    def fault(self, start: int) -> str:
        """Return why a start is in the past and what to use instead, "" where it is not."""
        for least, why in (
            (self.open_from, _CLOSED),
            (self.now + 1, _PAST),
            (self.used_at + 1, _USED),
            (self.changed_at, _CHANGED),
        ):
            if start < least:
                earliest = max(self.unrated_from, self.changed_at)
                return f"{why}: use {utc_text(earliest)} or later"
        return ""


def require_new_plan(plan: PricePlan, book: PriceBook, present: Present) -> None:
    """Raise Refused unless ``plan`` may be created.

    RESOURCE_EXISTS for an id already used, INVALID_REQUEST for a start in the past,
    STATE_CONFLICT when another plan starts at the same instant.
    """
    known = (*(each.id for each in book.plans.things), *book.withdrawn)
    _require_new_id("price plan", plan, known)
    fault = present.fault(plan.effective_from)
    if fault:
        raise invalid(Violation("plan.effective_from", fault))
    _require_own_start("price plan", plan, book.plans.things)


def require_new_rule(rule: SharingRule, book: SharingBook, present: Present) -> None:
    """Raise Refused unless ``rule`` may be created.

    As `require_new_plan`, but a rule may start in the past when it comes before all
    others: it then decides only where no rule did, so no statement could be given.
    """
    _require_new_id("sharing rule", rule, [each.id for each in book.rules.things])
    fault = present.fault(rule.effective_from)
    if fault and book.rule_at(rule.effective_from) is not None:
        raise invalid(
            Violation("rule.effective_from", f"{fault}, unless no rule was in force then")
        )
    _require_own_start("sharing rule", rule, book.rules.things)


def plan_to_withdraw(plan_id: str, book: PriceBook, present: Present) -> PricePlan | None:
    """Return the plan of an id, which may be withdrawn since it is not in force yet; None where
    it was withdrawn already.

    Raises Refused RESOURCE_NOT_FOUND, and STATE_CONFLICT once it began: what is served by it costs
    what it says.
    """
    if plan_id in book.withdrawn:
        return None
    plan = next((each for each in book.plans.things if each.plan_id == plan_id), None)
    if plan is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
            "No price plan has this plan_id; ListPricePlans lists them.",
        )
    if present.fault(plan.effective_from):
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The price plan began, and what is served by it costs what it says: put another one"
            " into force behind it.",
        )
    return plan


def _require_new_id(what: str, thing: Dated, known: Sequence[str]) -> None:
    # Before the start is looked at: a repeated creation hears that it succeeded, even
    # when its start has passed meanwhile.
    if thing.id in known:
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
