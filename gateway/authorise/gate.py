"""The gate: one decision from licence, scope, purpose, openness and prices.

A passage is what an allowed ask may take: which revenue lines, at what price. It is
remembered as long as nothing it rests on can have changed: same decisions, same prices,
same lines, and within the period in which no validity it used starts or ends.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from creditgate.rating.components import Priced
from creditgate.rating.prices import PricePlan
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authorise.resting import Resting, resting
from gateway.authorise.stopping import require_running
from gateway.authority.view import AuthorityView
from gateway.disclose.model import Line
from operators.rules import Allow, Ask, Refuse, decide
from operators.shapes import covers

_MOST_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """What an ask may take.

    ``prices`` gives the unit price (micro-yuan) of each revenue line that may be
    served, None where no price plan covers it; lines left out may not be served. ``list_prices``
    gives it by item, of all that are allowed.
    ``priced`` tells whether a price plan covers every allowed item that is not
    restricted. ``consent_items`` are the allowed items that need the subject's live
    consent, ``consent_lines`` their lines among ``prices``. ``stopped`` are the allowed items
    that an emergency brake keeps from being served; their lines are left out. ``resting`` tells
    which licences records may rest on, None where that is one.
    """

    allow: Allow
    prices: Mapping[int, int | None]
    list_prices: Mapping[str, int | None]
    priced: bool
    consent_items: frozenset[str]
    consent_lines: frozenset[int]
    view: AuthorityView
    lines: Mapping[int, Line]
    plan: PricePlan | None
    items_named: bool
    made_at: int
    stopped: frozenset[str] = frozenset()
    resting: Resting | None = None


class Gate:
    """Decides asks; remembers passages (bounded)."""

    def __init__(self) -> None:
        self._remembered: dict[Ask, Passage] = {}

    def passage(
        self, view: AuthorityView, lines: Mapping[int, Line], ask: Ask, now: int
    ) -> Passage:
        """Return what ``ask`` may take at ``now``.

        Raises Refused with the reason of `operators.rules.decide`, or
        ITEM_RESTRICTED for a restricted item asked for by name, EMERGENCY_BRAKE where a
        brake stops all answers, those to the operator, or an item asked for by name.
        """
        passage = self._remembered.get(ask)
        if (
            passage is not None
            and passage.view.decides_as(view)
            and passage.lines is lines
            and passage.made_at <= now < passage.allow.stands_until
            and passage.plan is view.prices.plan_at(now)
        ):
            return passage
        decision = decide(view.authority, ask, now)
        if isinstance(decision, Refuse):
            raise Refused(decision.reason, decision.message)
        passage = _passage(view, lines, ask, decision, now)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[ask] = passage
        return passage


def open_items(view: AuthorityView, allow: Allow) -> frozenset[str]:
    """Return the allowed items that answers may have records of, with a consent or without."""
    return frozenset(
        code
        for code in allow.items - view.authority.brakes.items
        if (item := view.catalogue.get(code)) is not None
        and item.openness != Openness.OPENNESS_RESTRICTED
    )


def _passage(
    view: AuthorityView, lines: Mapping[int, Line], ask: Ask, allow: Allow, now: int
) -> Passage:
    openness = {
        code: item.openness
        for code in allow.items
        if (item := view.catalogue.get(code)) is not None
    }
    if ask.items and Openness.OPENNESS_RESTRICTED in openness.values():
        raise Refused(
            RefusalReason.REFUSAL_REASON_ITEM_RESTRICTED,
            "An item asked for is closed to operators; leave it out.",
        )
    brakes = view.authority.brakes
    require_running(brakes, allow.operator_id, ask.items)
    plan = view.prices.plan_at(now)
    list_prices = _list_prices(view, plan, ask.purpose, allow.operator_id, openness, now)
    starts = view.classes.starts_after(allow.operator_id, openness, now, allow.stands_until)
    allow = replace(allow, stands_until=min(starts, default=allow.stands_until))
    prices: dict[int, int | None] = {}
    for line_no, line in lines.items():
        open_as = openness.get(line.item, Openness.OPENNESS_RESTRICTED)
        if (
            open_as != Openness.OPENNESS_RESTRICTED
            and line.item not in brakes.items
            and covers(allow.regions_by_item[line.item], line.region)
        ):
            prices[line_no] = list_prices[line.item]
    consent_items = frozenset(
        code for code, open_as in openness.items() if open_as == Openness.OPENNESS_CONSENT
    )
    return Passage(
        allow=allow,
        prices=prices,
        list_prices=list_prices,
        priced=all(
            list_prices[code] is not None
            for code, open_as in openness.items()
            if open_as != Openness.OPENNESS_RESTRICTED
        ),
        consent_items=consent_items,
        consent_lines=frozenset(no for no in prices if lines[no].item in consent_items),
        view=view,
        lines=lines,
        plan=plan,
        items_named=bool(ask.items),
        made_at=now,
        stopped=brakes.items.intersection(
            code for code, open_as in openness.items() if open_as != Openness.OPENNESS_RESTRICTED
        ),
        resting=(
            resting((allow,), lines, prices, open_items(view, allow))
            if len(allow.licences) > 1
            else None
        ),
    )


def _list_prices(
    view: AuthorityView,
    plan: PricePlan | None,
    purpose: int,
    operator_id: str,
    codes: Iterable[str],
    now: int,
) -> dict[str, int | None]:
    """Return what a record of each item costs at ``now``, by what it and the operator are then: a
    change of these may be to come, and use is rated as of when it was served."""
    if plan is None:
        return dict.fromkeys(codes)
    standing = view.classes.standing(operator_id, now)
    operator = view.authority.operators[operator_id]
    operator_class = standing.operator_class if standing.stands else operator.operator_class
    return {
        code: plan.list_price(
            Priced(
                code,
                view.classes.price_class(code, now) or view.catalogue[code].price_class,
                purpose,
                operator_class,
            )
        )
        for code in codes
    }
