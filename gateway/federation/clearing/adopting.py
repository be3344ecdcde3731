"""Taking a clearing that this region has signed and lost, as where its store was put back.

Both have signed it, so it holds whatever this region's ledger has by now: that may have been put back
too. What was agreed and what was left out is as the other region tells it, by the digests that both
have signed.
"""

from gateway.clock import Clock
from gateway.federation.clearing.agreeing import follows, handed_back, made
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.evidence import DisputeEvidence
from gateway.federation.clearing.handing_back import HandedBack
from gateway.federation.clearing.own_side import as_carried
from gateway.federation.clearing.paging import disputes_in
from gateway.federation.clearing.signing import ClearingKeys, keys_of
from gateway.federation.clearing.store import (
    UNKNOWN_ENTRIES,
    ClearingRow,
    Settled,
    SqlClearings,
)
from gateway.federation.trust.book import Region
from sdk.clearings import verified_clearing
from sdk.documents import DocumentRefused


class LostClearings:
    """Keeps clearings that other regions hand back to the region ``own``. Calls block."""

    def __init__(
        self,
        clearings: SqlClearings,
        disputes: SqlDisputes,
        evidence: DisputeEvidence,
        keys: ClearingKeys,
        clock: Clock,
        own: str,
    ) -> None:
        self._clearings = clearings
        self._disputes = disputes
        self._evidence = evidence
        self._keys = keys
        self._clock = clock
        self._own = own

    def take(self, region: Region, lost: HandedBack) -> ClearingRow:
        """Keep what was agreed with a region already, and return it.

        Raises DocumentRefused where both did not sign it, it is not what they signed, or it does
        not follow on the last clearing known here; AgreedOtherwise.
        """
        name, signed = region.entity_id, lost.signed
        keys = {self._own: self._keys.own(), name: keys_of(region)}
        clearing = verified_clearing(signed.document, signed.acceptance, keys, min(self._own, name))
        before = self._clearings.from_(name, clearing.start)
        if before is not None and before.document == signed.document:
            return before
        if not follows(clearing, self._clearings.last(name)):
            raise DocumentRefused("It is not the clearing that follows.")
        found = handed_back(
            clearing,
            lost.agreed,
            disputes_in(lost.home, lost.asking, clearing.until),
            lost.closed,
            as_carried(self._disputes.opened(name)),
        )
        # What has come since it was signed is looked for in the next one.
        row = made(
            clearing,
            signed.document,
            signed.acceptance,
            self._own,
            found.elements,
            in_ledger=UNKNOWN_ENTRIES,
            agreed_at=self._clock.now(),
        )
        settled = Settled(
            self._own,
            found.found,
            found.carried,
            self._evidence.due(name, found.found),
            self._evidence.judge(region),
            region.operator_id,
        )
        return self._clearings.agree(row, settled)
