"""What clearings say beyond list prices, as one step of proposing and of signing. Calls block."""

from collections.abc import Sequence
from typing import Final

from creditgate.clearing import Clearing
from creditgate.clearing_amounts import AmountLine
from creditgate.v1.federation_service_pb2 import ClearingRating
from gateway.clock import Clock
from gateway.federation.clearing.agreed_uses import Period
from gateway.federation.clearing.agreeing import Differs
from gateway.federation.clearing.amount_lines import has_line, line_of
from gateway.federation.clearing.amount_store import SqlAmounts, Told
from gateway.federation.clearing.amounts import ClearingAmounts
from gateway.federation.clearing.ceiling_check import AboveCeiling
from gateway.federation.clearing.time_plans import SqlTimePlans
from gateway.federation.trust.book import Region

_NOT_SIGNED: Final = "the other region did not sign it"
_LEFT_OUT: Final = "the region that proposed left it out"


class AmountsDiffer(Exception):
    """A clearing has a line that this region does not find; the message says how."""


class Reckoning:
    """Draws up lines for what is proposed, and looks at those of what is to be signed. ``own`` is
    this region's entity identifier."""

    def __init__(
        self,
        amounts: ClearingAmounts,
        kept: SqlAmounts,
        plans: SqlTimePlans,
        clock: Clock,
        own: str,
    ) -> None:
        self._amounts = amounts
        self._plans = plans
        self._kept = kept
        self._clock = clock
        self._own = own
        self._left_out: set[str] = set()

    def may_have_lines(self, region: str, start: int, until: int) -> bool:
        """Tell whether this region's statements may say more than list prices for a period."""
        return self._amounts.may_have_lines(region, start, until)

    def told(self, period: Period) -> list[ClearingRating]:
        """Return what this region's statements say as the home one."""
        return self._amounts.told(period)

    def drawn(
        self, region: Region, period: Period, ratings: Sequence[ClearingRating]
    ) -> tuple[AmountLine, ...]:
        """Return the lines of a clearing to propose, where the other region told ``ratings``.

        Raises AboveCeiling, once people were told.
        """
        # Once, without what the other did not sign.
        refused = _NOT_SIGNED if region.entity_id in self._left_out else ""
        told = [
            Told(each, refused if has_line(each) else "") for each in self._amounts.told(period)
        ]
        told += self._judged(region, period, ratings)
        self._keep(region, period.until, told)
        lines = [
            line_of(each.rating) for each in told if not each.refused and has_line(each.rating)
        ]
        return tuple(sorted(lines, key=lambda each: (each.home, each.month)))

    def shown(self, region: str, until: int) -> list[ClearingRating]:
        """Return what the lines rest on of which this region is home, as they were drawn up."""
        told = self._kept.of(region, until)
        return [each.rating for each in told if each.rating.home_region == self._own]

    def leave_out(self, region: str) -> None:
        """Draw up the next clearing with a region without this region's own lines: it does not
        sign them."""
        self._left_out.add(region)

    def agreed(self, region: str) -> None:
        """Forget what a region did not sign: the next clearing has all again."""
        self._left_out.discard(region)

    def require_same(
        self,
        region: Region,
        period: Period,
        clearing: Clearing,
        ratings: Sequence[ClearingRating],
    ) -> None:
        """Raise unless the lines of a clearing to sign are what this region finds: Differs for
        its own, AmountsDiffer for those of the other, AboveCeiling for what is more than is
        accepted. People are told of these two.

        Lines may be missing: the region that is home of them claims them anew.
        """
        own = {each.month: each for each in self._amounts.told(period)}
        judged = self._judged(region, period, ratings)
        theirs = {line_of(each.rating): each for each in judged if not each.refused}
        there = {(each.home, each.month) for each in clearing.amounts}
        told = [
            Told(each, "" if (self._own, month) in there or not has_line(each) else _NOT_SIGNED)
            for month, each in own.items()
        ]
        told += [
            each
            if each.refused
            or not has_line(each.rating)
            or (each.rating.home_region, each.rating.month) in there
            else each._replace(refused=_LEFT_OUT)
            for each in judged
        ]
        self._keep(region, period.until, told)
        for line in clearing.amounts:
            if line.home != self._own and line not in theirs:
                raise AmountsDiffer(f"{line.month} does not come to {line.rated} micro-yuan here")
            if line.home == self._own and (
                line.month not in own or line_of(own[line.month]) != line
            ):
                raise Differs("it has other amounts beyond list prices")

    def _judged(
        self, region: Region, period: Period, ratings: Sequence[ClearingRating]
    ) -> list[Told]:
        try:
            judged = self._amounts.judged(period, ratings)
        except AboveCeiling as above:
            self._alert(region, period.until, above.claimed, above.accepted)
            raise
        believed = [each.rating for each in judged if not each.refused]
        self._plans.tell(region.entity_id, region.operator_id, believed, self._clock.now())
        return judged

    def _keep(self, region: Region, until: int, told: Sequence[Told]) -> None:
        self._kept.keep(region.entity_id, until, told)
        for rating, refused in told:
            if refused:
                accepted = rating.listed_micro_yuan + rating.before_micro_yuan
                self._alert(region, until, rating.rated_micro_yuan, accepted)

    def _alert(self, region: Region, until: int, claimed: int, accepted: int) -> None:
        self._kept.alert(region.operator_id, until, claimed, accepted, self._clock.now())
