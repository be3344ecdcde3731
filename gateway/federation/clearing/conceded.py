"""Uses that this region's ledger counts otherwise than clearings agreed on: what it conceded, as home
region of the records, of answers in dispute. Calls block."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from creditgate.clearing_entries import ClearingEntry
from creditgate.reconcile.elements import ELEMENT_BYTES
from creditgate.v1.usage_log_pb2 import UsageLine
from gateway.federation.clearing.comparing import each_element
from gateway.federation.clearing.dispute_store import ClosedDispute, SqlDisputes
from gateway.federation.clearing.ledger import RegionLedger, Used
from gateway.federation.clearing.store import ClearingRow, SqlClearings
from gateway.settlement.right_lines import AGREED, Overcharge


class ConcededUse(NamedTuple):
    """A use that was in a dispute, by id, and what both agreed that it ought to count."""

    dispute_id: str
    use: Overcharge


class ConcededUses:
    """Finds them. ``own`` is this region's entity identifier."""

    def __init__(
        self, ledger: RegionLedger, clearings: SqlClearings, disputes: SqlDisputes, own: str
    ) -> None:
        self._ledger = ledger
        self._clearings = clearings
        self._disputes = disputes
        self._own = own

    def of(self, clearing: ClearingRow) -> Iterator[ConcededUse]:
        """Give those of which a clearing that both signed closed the dispute."""
        region = clearing.region
        closed = self._disputes.closed_by(region, self._own, clearing.until)
        if not closed:
            return
        served = [
            (dispute, answer)
            for dispute in closed
            if (answer := self._ledger.served(region, dispute.request_id, dispute.chunk))
        ]
        if not served:
            return
        agreed = self._agreed(clearing, closed, min(answer.served_at for _, answer in served))
        for dispute, answer in served:
            right = _right(list(self._ledger.used_in(region, answer)), dispute, agreed)
            if right is not None:
                use = Overcharge(AGREED, answer.usage_index, right)
                yield ConcededUse(dispute.dispute_id, use)

    def _agreed(
        self, clearing: ClearingRow, closed: Collection[ClosedDispute], served_at: int
    ) -> set[ClearingEntry]:
        """Return what was agreed on of disputes, whose answers were served at ``served_at`` or later:
        with ``clearing`` or any before it, for what was cleared may be claimed anew."""
        wanted = {
            entry.digest()[:ELEMENT_BYTES]: entry
            for each in closed
            for entry in each.home | each.asking
        }
        found: set[ClearingEntry] = set()
        for row in self._clearings.since(clearing.region, served_at):
            if row.until <= clearing.until:
                elements = each_element(self._clearings.elements(row.number))
                found.update(wanted[element] for element in elements if element in wanted)
        return found


def _right(
    ledger: list[Used], disputed: ClosedDispute, agreed: set[ClearingEntry]
) -> list[UsageLine] | None:
    """Return what an answer of the ledger ought to count, of which some entries were ``disputed``,
    and some of these ``agreed`` on; None where that is what it counts.

    Only what this region claimed in the dispute can it have given up.
    """
    own = {used.entry for used in ledger}
    given_up = (own & disputed.home) - agreed
    if not given_up:
        return None
    left = [used for used in ledger if used.entry not in given_up]
    # What stands instead is of the source whose record it is here, or in whose place it is.
    of_record = {used.entry.record_id: used for used in ledger}
    instead = next(used for used in ledger if used.entry in given_up)
    left += (
        of_record.get(entry.record_id, instead)._replace(entry=entry)
        for entry in sorted(((disputed.home | disputed.asking) & agreed) - own)
    )
    right = _lines(left)
    return None if right == _lines(ledger) else right


def _lines(used: list[Used]) -> list[UsageLine]:
    counted = Counter(
        (each.entry.item, each.source, each.district, each.entry.fee) for each in used
    )
    return [
        UsageLine(
            item=item, source=source, region=district, entries=entries, unit_price_micro_yuan=fee
        )
        for (item, source, district, fee), entries in sorted(counted.items())
    ]
