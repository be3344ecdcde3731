"""Whether what a region claims is above what is accepted of it. Calls block."""

from collections.abc import Sequence

from creditgate.clearing_amounts import MonthOfEntries
from creditgate.rating.basis import rated_by
from creditgate.rating.components import FLAT, MINIMUM
from creditgate.v1.federation_service_pb2 import ClearingRating
from gateway.federation.clearing.agreed_uses import AgreedUses, Period, plain
from gateway.federation.clearing.amount_lines import has_line
from gateway.federation.clearing.amount_store import Ceiling
from gateway.federation.clearing.own_side import LATE_SECONDS


class AboveCeiling(Exception):
    """A region claims more than administrators accept; the message says what. Micro-yuan."""

    def __init__(self, message: str, claimed: int, accepted: int) -> None:
        super().__init__(message)
        self.claimed = claimed
        self.accepted = accepted


class CeilingCheck:
    """Holds the use of a clearing against a ceiling; ``own`` is this region's entity identifier."""

    def __init__(self, uses: AgreedUses, own: str) -> None:
        self._uses = uses
        self._own = own

    def require_below(
        self, period: Period, ceiling: Ceiling, ratings: Sequence[ClearingRating]
    ) -> None:
        """Raise AboveCeiling where what is claimed anew is above ``ceiling``; ``ratings`` are what
        is believed of the home region's statements."""
        rated = {each.month: each for each in ratings if each.entries or has_line(each)}
        first = max(period.start - LATE_SECONDS, 0)
        for month in self._uses.months(period, first):
            records = total = 0
            dearest: int | None = None
            for used, is_new in self._uses.of_month(period, period.region, month):
                records += 1
                total += used.entry.fee
                if is_new:
                    dearest = max(used.entry.fee, dearest or 0)
            if dearest is None and not (month in rated and has_line(rated[month])):
                # Nothing is claimed anew.
                continue
            of_use = total
            if month in rated:
                total = rated[month].rated_micro_yuan
                of_use = total - self._for_time(period, rated[month])
            dearest = dearest or 0
            if ceiling.record is not None and dearest > ceiling.record:
                raise AboveCeiling(
                    f"a record of {month} costs {dearest} micro-yuan, the ceiling is"
                    f" {ceiling.record}",
                    dearest,
                    ceiling.record,
                )
            if ceiling.record is not None and of_use > ceiling.record * records:
                raise AboveCeiling(
                    f"{records} records of {month} cost {of_use} micro-yuan, the ceiling is"
                    f" {ceiling.record} for each",
                    of_use,
                    ceiling.record * records,
                )
            if ceiling.month is not None and total > ceiling.month:
                raise AboveCeiling(
                    f"{month} costs {total} micro-yuan, the ceiling is {ceiling.month}",
                    total,
                    ceiling.month,
                )

    def _for_time(self, period: Period, rating: ClearingRating) -> int:
        """Return what of a month's cost is for time, and not for records."""
        books = rated_by(rating.basis, self._own, rating.plans)
        uses = map(plain, self._uses.of_month(period, period.region, rating.month))
        bill = MonthOfEntries(self._own, rating.month, uses, books).rated()
        return sum(each.fee for each in bill.charges if each.kind in (FLAT, MINIMUM))
