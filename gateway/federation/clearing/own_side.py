"""This region's side of a clearing: every entry that is not cleared yet. Calls block.

Those of the period; those of earlier ones that came late; and those that earlier clearings left
out, in the version that stands for this region.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Final

from creditgate.clearing import ClearingEntry, EntryKey, Sums, entries_digest
from creditgate.reconcile.elements import ELEMENT_BYTES
from gateway.federation.clearing.disputed import DisputeRow, dispute_in, stand_in
from gateway.federation.clearing.ledger import RegionLedger
from gateway.federation.clearing.stands import claimed
from gateway.federation.clearing.store import SqlClearings

LATE_SECONDS: Final = 32 * 86_400
"""So far back entries may come late: a request is answered again for 31 days at most."""
MOST_ENTRIES: Final = 2_000_000
"""Most entries of one clearing: about 300 MB while it is made."""


class TooMany(Exception):
    """There are more entries than one clearing takes: clear shorter periods."""


class LedgerMoved(Exception):
    """The ledger is not what it was a moment ago: begin anew."""


class OwnSide:
    """The entries of one clearing as this region has them; see `OwnSides`."""

    def __init__(
        self, own: str, start: int, entries: Callable[[], Iterator[ClearingEntry]], in_ledger: int
    ) -> None:
        self._own = own
        self._start = start
        self._entries = entries
        self.in_ledger = in_ledger
        """How many entries the ledger has of the period itself."""
        # Fee, who is home and whether it is late, by digest.
        self._known: dict[bytes, tuple[int, bool, bool]] = {}
        for entry in entries():
            self._known[entry.digest()] = (
                entry.fee,
                entry.home == own,
                entry.serve_seconds < start,
            )
            if len(self._known) > MOST_ENTRIES:
                raise TooMany

    def __len__(self) -> int:
        return len(self._known)

    @property
    def elements(self) -> bytes:
        """The elements of all entries, packed, in order."""
        return packed(self._known)

    def has(self, entry: ClearingEntry) -> bool:
        """Tell whether an entry is among them."""
        return entry.digest() in self._known

    def found(self, elements: Collection[bytes]) -> list[ClearingEntry]:
        """Return the entries of elements, in order. Raises LedgerMoved where some are missing."""
        wanted = frozenset(elements)
        found = {
            entry.digest(): entry
            for entry in self._entries()
            if entry.digest()[:ELEMENT_BYTES] in wanted
        }
        if len(found) != len(wanted):
            raise LedgerMoved
        return sorted(found.values())

    def agreed(self, left_out: Collection[ClearingEntry], proposing: str) -> tuple[Sums, bytes]:
        """Return what is agreed on where ``left_out`` are not, and the elements of it, packed.

        ``proposing`` is the region that proposes.
        """
        out = {entry.digest() for entry in left_out}
        agreed = self._known.keys() - out
        own_due = other_due = adjusted = 0
        for digest in agreed:
            fee, is_home, is_late = self._known[digest]
            own_due += fee if is_home else 0
            other_due += 0 if is_home else fee
            adjusted += is_late
        dues = (own_due, other_due) if proposing == self._own else (other_due, own_due)
        return Sums(len(agreed), adjusted, *dues, entries_digest(agreed)), packed(agreed)


class OwnSides:
    """Makes this region's sides of clearings. ``own`` is its entity identifier."""

    def __init__(self, ledger: RegionLedger, clearings: SqlClearings, own: str) -> None:
        self._ledger = ledger
        self._clearings = clearings
        self._own = own

    def of(self, region: str, start: int, until: int) -> OwnSide:
        """Return its side of the clearing with ``region`` of a period, [start, until) (seconds,
        UTC), which begins where the last one ended. Raises TooMany."""
        ledger = self._ledger
        left_out = self._clearings.disputes(region)
        keys = {_key(row) for row in left_out if not _may_come(row, self._own)}
        late = [
            row
            for row in self._clearings.since(region, start - LATE_SECONDS)
            if ledger.count(region, row.start, row.until) != row.ledger_entries
        ]

        def entries() -> Iterator[ClearingEntry]:
            yield from (e for e in ledger.entries(region, start, until) if e.key not in keys)
            if late:
                known = self._cleared(region, start)
                for row in late:
                    for entry in ledger.entries(region, row.start, row.until):
                        is_known = entry.digest()[:ELEMENT_BYTES] in known
                        if not is_known and entry.key not in keys:
                            yield entry
            for row in left_out:
                entry = (
                    claimed(dispute_in(row), stand_in(row), self._own)
                    if row.closed is None
                    else None
                )
                if entry is not None:
                    yield entry

        return OwnSide(self._own, start, entries, ledger.count(region, start, until))

    def _cleared(self, region: str, start: int) -> set[bytes]:
        """Return the elements that clearings agreed on as far back as entries may come late."""
        known: set[bytes] = set()
        for row in self._clearings.since(region, start - LATE_SECONDS):
            elements = self._clearings.elements(row.number)
            known.update(
                elements[place : place + ELEMENT_BYTES]
                for place in range(0, len(elements), ELEMENT_BYTES)
            )
        return known


def packed(digests: Collection[bytes]) -> bytes:
    """Return the elements of entries by their digests, packed, in order."""
    return b"".join(sorted(digest[:ELEMENT_BYTES] for digest in digests))


def _may_come(row: DisputeRow, own: str) -> bool:
    """Tell whether an entry of a dispute may still come into this region's ledger: it has none,
    and nobody has said whose version stands."""
    return row.closed is None and not row.stands and dispute_in(row).version(own) is None


def _key(row: DisputeRow) -> EntryKey:
    return dispute_in(row).versions[0].key
