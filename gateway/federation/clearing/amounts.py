"""What clearings say beyond list prices: told by the home region, worked out anew by the asking one.

What the home region's statement says of a month, of all that both agreed on so far, less what
clearings have of it already. So whatever a clearing lacks the next one has. A line that the asking
region does not find is not signed, and both are told; what is above a ceiling stops the clearing.
Calls block.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from creditgate.clearing_amounts import (
    MonthOfEntries,
    MonthUsed,
    is_listed_alone,
)
from creditgate.clearing_entries import ClearingEntry
from creditgate.rating.basis import GivenStarts, RatedBy, basis_of, rated_by
from creditgate.rating.months import month_bounds
from creditgate.rating.plans import plan_bytes
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.federation_service_pb2 import ClearingRating
from gateway.federation.clearing.agreed_uses import MOST_MONTHS, AgreedUses, Conceded, Period, plain
from gateway.federation.clearing.amount_lines import is_basis_alone, line_of
from gateway.federation.clearing.amount_store import SqlAmounts, Told
from gateway.federation.clearing.ceiling_check import CeilingCheck
from gateway.federation.clearing.ledger import OperatorOf, RegionLedger, Used
from gateway.federation.clearing.store import SqlClearings
from gateway.settle.views import RatingView

_MOST_PLANS: Final = 64


class ClearingAmounts:
    """Tells and judges the lines of clearings. ``own`` is this region's entity identifier, ``view``
    gives the newest view of authority."""

    def __init__(
        self,
        ledger: RegionLedger,
        clearings: SqlClearings,
        kept: SqlAmounts,
        conceded: Conceded,
        view: Callable[[], RatingView],
        operator_of: OperatorOf,
        own: str,
    ) -> None:
        self._uses = AgreedUses(ledger, clearings, conceded)
        self._ceilings = CeilingCheck(self._uses, own)
        self._kept = kept
        self._view = view
        self._operator_of = operator_of
        self._own = own

    def may_have_lines(self, region: str, start: int, until: int) -> bool:
        """Tell whether this region's statements may say more than list prices, without any use
        looked at."""
        return any(rated for _, _, rated in self._own_months(Period(region, start, until, b"")))

    def told(self, period: Period) -> list[ClearingRating]:
        """Return what this region's statements say as the home one, with what they rest on; of
        months in which that can't be more than list prices the latter alone."""
        operator_id = self._operator_of(period.region)
        view = self._view()
        books = _books(view)
        plans = {plan.plan_id: plan for plan in view.prices.plans.things}
        found: list[ClearingRating] = []
        for month, before, rated in self._own_months(period):
            uses = self._told_uses(period, month, books) if rated else ()
            whole = MonthOfEntries(operator_id, month, uses, books)
            bill = whole.rated()
            basis = basis_of(bill, whole, view.prices, view.sharing.rules, view.classes)
            found.append(
                ClearingRating(
                    home_region=self._own,
                    month=month,
                    entries=whole.entries,
                    listed_micro_yuan=whole.listed,
                    rated_micro_yuan=bill.total,
                    before_micro_yuan=before,
                    basis=basis,
                    plans=[plan_bytes(plans[each.plan_id]) for each in basis.plans],
                )
            )
        return found

    def _told_uses(self, period: Period, month: str, books: RatedBy) -> Iterator[MonthUsed]:
        return self._uses.named(self._uses.of_month(period, self._own, month), books.prices)

    def _own_months(self, period: Period) -> Iterator[tuple[str, int, bool]]:
        """Give the months that this region tells of, what clearings have of the difference, and
        whether statements may say more than list prices."""
        operator_id = self._operator_of(period.region)
        view = self._view()
        books = _books(view)
        starts = list(view.classes.operator_starts(operator_id, -1, period.until))
        if not starts:
            return
        # What was not signed is claimed anew.
        unsigned = self._kept.open_months(period.region, self._own)
        for month in self._uses.months(period, starts[0], unsigned):
            before = self._uses.before(period.region, self._own, month)
            yield month, before, bool(before) or not is_listed_alone(operator_id, month, books)

    def judged(self, period: Period, ratings: Sequence[ClearingRating]) -> list[Told]:
        """Return what the other region told as the home one, each with why it is not signed, ""
        where it is.

        Raises AboveCeiling.
        """
        ceiling = self._kept.ceiling(period.region)
        told = list(ratings)[:MOST_MONTHS]
        found = [Told(each, self._fault(period, each, told)) for each in told]
        if (ceiling.record, ceiling.month) != (None, None):
            believed = [each.rating for each in found if not each.refused]
            self._ceilings.require_below(period, ceiling, believed)
        return found

    def _fault(self, period: Period, rating: ClearingRating, told: Sequence[ClearingRating]) -> str:
        """Return why a rating is not what this region finds, "" where it is."""
        region, month = period.region, rating.month
        try:
            line_of(rating)
            if rating.home_region != region or len(rating.plans) > _MOST_PLANS:
                return "it is not of that region's records"
            if [each.month for each in told].count(month) != 1:
                return "it is told twice"
            if month_bounds(month)[0] >= period.until:
                return "the month has not begun"
            books = rated_by(rating.basis, self._own, rating.plans)
            if is_basis_alone(rating) and is_listed_alone(self._own, month, books):
                return ""
            uses = self._priced_as_told(period, rating, books)
            whole = MonthOfEntries(self._own, month, map(plain, uses), books)
            least, most = (whole.rated(all_differ=each).total for each in (False, True))
        except _PricedOtherwise:
            return "its plans, or classes, are other ones for use that was cleared"
        except (ProofInvalid, ValidationError, ValueError, LookupError):
            return "what it was rated by is no basis"
        if (rating.entries, rating.listed_micro_yuan) != (whole.entries, whole.listed):
            return f"it is of {rating.entries} entries, and {whole.entries} are known here"
        if rating.before_micro_yuan != self._uses.before(region, region, month):
            return "it counts other lines of earlier clearings"
        # What was conceded is known here without what moves odd micro-yuan.
        slack = whole.unnamed
        if not least - slack <= rating.rated_micro_yuan <= most + slack:
            return f"by that plan it is {most} micro-yuan, not {rating.rated_micro_yuan}"
        return ""

    def _priced_as_told(
        self, period: Period, rating: ClearingRating, books: RatedBy
    ) -> Iterator[tuple[Used, bool]]:
        """Give the entries of a month. Raises _PricedOtherwise where what decides about one that was
        cleared is not what was told then."""
        region, month = period.region, rating.month
        uses = self._uses.of_month(period, region, month)
        kept = self._kept.last_believed(region, region, month)
        if kept is None:
            yield from uses
            return
        before, until = kept
        then = _Deciding(before, rated_by(before.basis, self._own, before.plans), self._own)
        now = _Deciding(rating, books, self._own)
        for used, is_new in uses:
            entry = used.entry
            if not is_new and entry.serve_seconds < until and not then.same(now, entry):
                raise _PricedOtherwise
            yield used, is_new


def _books(view: RatingView) -> RatedBy:
    starts = (rule.effective_from for rule in view.sharing.rules.things)
    return RatedBy(view.prices, view.classes, GivenStarts(tuple(sorted(starts))), {})


class _PricedOtherwise(Exception):
    """What was cleared is rated by other plans or classes than were told then."""


class _Deciding:
    """What decides about a use by a rating, as far as it was told."""

    def __init__(self, rating: ClearingRating, books: RatedBy, operator_id: str) -> None:
        self._books = books
        self._operator_id = operator_id
        self._digests = {each.plan_id: each.sha256 for each in rating.basis.plans}

    def same(self, other: "_Deciding", entry: ClearingEntry) -> bool:
        """Tell whether both say the same of an entry."""
        at, item = entry.serve_seconds, entry.item
        if self._of(at) != other._of(at):
            return False
        one, two = self._books.classes, other._books.classes
        # Items that were not used when it was told are not in it.
        known = item in one.items and item in two.items
        return not known or one.price_class(item, at) == two.price_class(item, at)

    def _of(self, at: int) -> object:
        plan = self._books.prices.plan_at(at)
        digest = None if plan is None else self._digests[plan.plan_id]
        return digest, self._books.classes.standing(self._operator_id, at)
