"""A clearing that one side has lost is handed back by the other, with what it left out."""

from collections.abc import Collection
from itertools import chain
from typing import Final, NamedTuple

from creditgate.clearing_disputes import answer_id
from creditgate.reconcile.elements import ELEMENT_BYTES
from creditgate.shapes import END_OF_TIME
from creditgate.v1 import federation_service_pb2 as pb
from gateway.federation.clearing.claims import Claims
from gateway.federation.clearing.comparing import each_element
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.ledger import RegionLedger
from gateway.federation.clearing.own_side import LATE_SECONDS, MOST_ENTRIES
from gateway.federation.clearing.paging import (
    DIGEST_BYTES,
    Claimed,
    Unclaimable,
    left_out_of,
)
from gateway.federation.clearing.store import ClearingRow, SqlClearings

_MOST: Final = 2 * MOST_ENTRIES
"""Most entries that a clearing which is handed back has agreed on, or found in dispute of a side."""


class HandedBack(NamedTuple):
    """A clearing that this side has signed and does not know: the home regions' and the asking
    ones' versions of the disputes it found, the answers of those it closed, and the digests of the
    entries agreed."""

    signed: pb.SignedClearing
    home: Claims
    asking: Claims
    closed: frozenset[bytes]
    agreed: Collection[bytes]


class LeftOutTold:
    """Collects what a clearing between ``regions`` left out, message by message."""

    def __init__(self, regions: frozenset[str]) -> None:
        self._home, self._asking = (Claimed(regions, END_OF_TIME, _MOST) for _ in range(2))
        self._closed: set[bytes] = set()
        self._agreed = bytearray()

    def add(self, told: pb.ClearingLeftOut) -> None:
        """Take a message. Raises Unclaimable."""
        self._home.add(told.home_entries)
        self._asking.add(told.asking_entries)
        try:
            self._closed.update(map(answer_id, told.closed_dispute_ids))
        except ValueError:
            raise Unclaimable("it names disputes that cannot be") from None
        self._agreed += told.agreed_digests
        if len(self._agreed) > DIGEST_BYTES * _MOST:
            raise Unclaimable("it has agreed on more than there can be")

    def whole(self, signed: pb.SignedClearing) -> HandedBack:
        """Return what was told, of the clearing ``signed``."""
        starts = range(0, len(self._agreed), DIGEST_BYTES)
        return HandedBack(
            signed,
            self._home.claims(()),
            self._asking.claims(()),
            frozenset(self._closed),
            {bytes(self._agreed[start : start + DIGEST_BYTES]) for start in starts},
        )


def signed(row: ClearingRow) -> pb.SignedClearing:
    """Return what both regions have signed."""
    return pb.SignedClearing(document=row.document, acceptance=row.acceptance)


class HandingBack:
    """Tells what was left out of a clearing that both regions have signed. Calls block."""

    def __init__(
        self, clearings: SqlClearings, disputes: SqlDisputes, ledger: RegionLedger
    ) -> None:
        self._clearings = clearings
        self._disputes = disputes
        self._ledger = ledger

    def left_out(self, row: ClearingRow) -> list[pb.ClearingLeftOut]:
        """Return what it left out, and what it did not, in messages, at least one."""
        changed = self._disputes.changed(row.region, row.until)
        return left_out_of(changed, self._agreed(row))

    def _agreed(self, row: ClearingRow) -> set[bytes]:
        elements = set(each_element(self._clearings.elements(row.number)))
        # What was conceded is in the other region's ledger alone.
        entries = chain(
            self._ledger.entries(row.region, row.start - LATE_SECONDS, row.until),
            self._disputes.ever(row.region),
        )
        digests = (entry.digest() for entry in entries)
        return {digest for digest in digests if digest[:ELEMENT_BYTES] in elements}
