"""Evidence on disputes: receipts that other regions signed, and this region's own usage logs.

Calls block; any thread.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from creditgate.clearing_disputes import Dispute, dispute_id
from creditgate.clearing_entries import AnswerKey, Version
from creditgate.refusal import Refused
from creditgate.shapes import END_OF_TIME
from creditgate.transparency.linked import LinkedKeys
from creditgate.v1.clearing_service_pb2 import ClearingStand
from creditgate.v1.federation_service_pb2 import ClearingEvidence, LoggedUseProof
from gateway.federation.clearing.evidence_store import Judge, Piece, Shown, SqlEvidence
from gateway.federation.clearing.ledger import OperatorOf, RegionLedger
from gateway.federation.trust.book import Region
from gateway.federation.trust.log_keys import log_keys
from gateway.usage.leaves import LedgerLost
from gateway.usage.proofs import UsageProofs
from sdk.clearings import leaf_of, supported, uses_in

MOST_BYTES: Final = 1 << 20
"""Most evidence that goes in one message."""
AGAIN_SECONDS: Final = 3_600
"""So long after evidence was looked for in vain it is looked for again between clearings."""
MOST_MADE: Final = 64
"""Most pieces that are made at once: for one clearing, or at one look between clearings."""


class DisputeEvidence:
    """Gathers what proves answers in dispute. ``keys`` are those of this region's own receipts."""

    def __init__(
        self,
        ledger: RegionLedger,
        proofs: UsageProofs,
        store: SqlEvidence,
        operator_of: OperatorOf,
        own: str,
        keys: LinkedKeys,
    ) -> None:
        self._ledger = ledger
        self._proofs = proofs
        self._store = store
        self._operator_of = operator_of
        self._own = own
        self._keys = keys

    def due(self, region: str, found: Iterable[Dispute]) -> Shown:
        """Return what goes with a clearing with a region, as far as one message holds it: what
        was made and not shown yet, and what is made now on disputes it found, and on those open
        ones that have none."""
        kept = self._store.unshown(region, MOST_BYTES)
        most = MOST_BYTES - sum(len(piece.evidence) for piece in kept)
        new = ((dispute_id(each.answer.id), each.answer) for each in found)
        others = self._store.unproved(region, END_OF_TIME, MOST_MADE)
        made = self._make(region, dict(chain(new, others)), most)
        return made._replace(own=[*kept, *made.own])

    def shown_with(self, region: str, until: int) -> list[ClearingEvidence]:
        """Return what this region showed with the clearing up to ``until``."""
        kept = self._store.own_shown(region, until)
        return [ClearingEvidence.FromString(each) for each in kept]

    def top_up(self, region: Region, now: int) -> bool:
        """Make and keep evidence on open disputes with a region that have none of this one's, at
        ``now`` (seconds, UTC); tell whether any was made."""
        waiting = self._store.unproved(region.entity_id, now - AGAIN_SECONDS, MOST_MADE)
        if not waiting:
            return False
        made = self._make(region.entity_id, dict(waiting), MOST_MADE * MOST_BYTES)
        self._store.keep_own(region.entity_id, made, self.judge(region), now)
        return bool(made.own)

    def _make(self, region: str, wanted: Mapping[str, AnswerKey], most_bytes: int) -> Shown:
        """Make evidence of this region's own on some disputes, each at most once."""
        made: list[Piece] = []
        tried: list[str] = []
        for dispute, answer in wanted.items():
            if len(tried) == MOST_MADE:
                break
            try:
                found = self._own_piece(region, answer)
            except Refused:
                # The log is behind: to wait for each would take long.
                break
            if found is not None:
                most_bytes -= len(found)
                if most_bytes < 0:
                    break
                made.append(Piece(dispute, found))
            tried.append(dispute)
        return Shown(made, tried)

    def _own_piece(self, region: str, answer: AnswerKey) -> bytes | None:
        if answer.home == self._own:
            piece = self._logged(region, answer.request_id, answer.chunk)
        else:
            receipt = self._ledger.receipt(region, answer.request_id, answer.chunk)
            piece = None if receipt is None else ClearingEvidence(receipt=receipt)
        return None if piece is None else piece.SerializeToString(deterministic=True)

    def _logged(self, region: str, request_id: str, chunk: int) -> ClearingEvidence | None:
        operator_id = self._operator_of(region)
        answer = self._ledger.served(region, request_id, chunk)
        if answer is None:
            return None
        try:
            use = self._proofs.use(operator_id, answer.sequence, 0)
        except LedgerLost:
            # The ledger is not what is logged: then there is no proof.
            return None
        if use is None:
            return None
        return ClearingEvidence(
            logged=LoggedUseProof(
                leaf=use.logged.leaf,
                path=use.path,
                checkpoint=use.checkpoint.note,
                operator_id=operator_id,
                detail=use.logged.detail,
            )
        )

    def theirs(
        self, region: str, evidence: Iterable[ClearingEvidence], found: Iterable[Dispute]
    ) -> list[Piece]:
        """Return what another region showed, of disputes that are open or were just found: by both
        directions, since either may be home of an answer."""
        by_dispute = [
            (dispute_id(AnswerKey(*ends, leaf.request_id, leaf.chunk).id), piece)
            for piece in evidence
            if (leaf := leaf_of(piece)) is not None
            for ends in ((self._own, region), (region, self._own))
        ]
        known = self._store.known({dispute for dispute, _ in by_dispute})
        known.update(dispute_id(each.answer.id) for each in found)
        return [
            Piece(dispute, piece.SerializeToString(deterministic=True))
            for dispute, piece in by_dispute
            if dispute in known
        ]

    def judge(self, region: Region) -> Judge:
        """Return who tells whose version pieces of evidence support, whoever showed them."""
        # What a former key signed proves as much as ever.
        keys = {self._own: self._keys.chain}
        if "usage" in region.log_keys:
            keys[region.entity_id] = log_keys(region, "usage").every

        def judged(
            home: Version | None, asking: Version | None, pieces: Sequence[bytes]
        ) -> ClearingStand.ValueType:
            evidence = map(ClearingEvidence.FromString, pieces)
            return supported(home, asking, uses_in(evidence, keys))

        return judged
