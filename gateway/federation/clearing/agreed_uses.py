"""The use between two regions that both agreed on so far, by month. Calls block."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from creditgate.clearing_amounts import NOT_TOLD, MonthUsed, goes_by_subject
from creditgate.clearing_entries import ClearingEntry
from creditgate.rating.months import month_bounds, month_name, months_from
from creditgate.rating.prices import PriceBook
from creditgate.reconcile.elements import ELEMENT_BYTES
from gateway.federation.clearing.ledger import RegionLedger, Used
from gateway.federation.clearing.own_side import LATE_SECONDS
from gateway.federation.clearing.store import SqlClearings
from sdk.clearings import lines_of

MOST_MONTHS: Final = 32
"""Most months of a home region that a clearing has lines of: the newest."""
_AT_ONCE: Final = 10_000

Conceded = Callable[[str], Iterable[ClearingEntry]]
"""Gives every entry that was ever in dispute with a region, in all versions."""


class Period(NamedTuple):
    """The period of a clearing with ``region``, [start, until) (seconds, UTC), and the elements
    agreed on in it, packed."""

    region: str
    start: int
    until: int
    elements: bytes


class AgreedUses:
    """Reads what both agreed on: in this region's ledger, and in what was in dispute."""

    def __init__(self, ledger: RegionLedger, clearings: SqlClearings, conceded: Conceded) -> None:
        self._ledger = ledger
        self._clearings = clearings
        self._conceded = conceded

    def months(self, period: Period, first: int, also: Iterable[str] = ()) -> Sequence[str]:
        """Return the months whose use may have changed, from that of ``first`` on (seconds, UTC):
        those of the period, those that may have late entries, and ``also`` others."""
        from_ = max(first, period.start - LATE_SECONDS)
        last = month_name(period.until - 1)
        found = {*months_from(month_name(from_), last), last, *also}
        return sorted(found)[-MOST_MONTHS:]

    def of_month(self, period: Period, home: str, month: str) -> Iterator[tuple[Used, bool]]:
        """Give the entries of a month that were agreed on so far, and whether that is only now."""
        from_, until = month_bounds(month)
        until = min(until, period.until)
        now, agreed = _parts(period.elements), self._agreed(period.region, from_, period.start)
        missing = now | agreed
        for used in self._ledger.used(period.region, from_, until):
            element = used.entry.digest()[:ELEMENT_BYTES]
            if used.entry.home == home and element in missing:
                missing.discard(element)
                yield used, element not in agreed
        # What was conceded is in the other region's ledger alone.
        for entry in self._conceded(period.region):
            element = entry.digest()[:ELEMENT_BYTES]
            if entry.home == home and from_ <= entry.serve_seconds < until and element in missing:
                missing.discard(element)
                yield Used(entry, "", "", 0, NOT_TOLD), element not in agreed

    def before(self, region: str, home: str, month: str) -> int:
        """Return what clearings have of the difference of a month."""
        after = month_bounds(month)[0]
        return sum(
            line.amount
            for row in self._clearings.since(region, after)
            for line in lines_of(row.document)
            if (line.home, line.month) == (home, month)
        )

    def named(self, uses: Iterator[tuple[Used, bool]], prices: PriceBook) -> Iterator[MonthUsed]:
        """Give uses of this region's records, with whom they are about where a plan goes by that."""
        if not goes_by_subject(prices):
            yield from map(plain, uses)
            return
        while some := list(islice(uses, _AT_ONCE)):
            subjects = self._ledger.subjects([used.entry for used, _ in some])
            for each in some:
                key = each[0].entry.record_id, each[0].entry.revision
                yield plain(each)._replace(subject=subjects.get(key, NOT_TOLD))

    def _agreed(self, region: str, after: int, until: int) -> set[bytes]:
        """Return the elements of clearings that end after ``after``, up to ``until``."""
        found: set[bytes] = set()
        for row in self._clearings.since(region, after):
            if row.until <= until:
                found |= _parts(self._clearings.elements(row.number))
        return found


def plain(each: tuple[Used, bool]) -> MonthUsed:
    """Return a use as it is rated."""
    entry, source, district, purpose, subject = each[0]
    return MonthUsed(entry.serve_seconds, entry.item, source, district, purpose, entry.fee, subject)


def _parts(elements: bytes) -> set[bytes]:
    return {
        elements[place : place + ELEMENT_BYTES] for place in range(0, len(elements), ELEMENT_BYTES)
    }
