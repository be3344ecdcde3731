"""Evidence on disputes: receipts that other regions signed, and this region's own usage logs.

Calls block; any thread.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from creditgate.clearing import ClearingEntry, Dispute
from creditgate.refusal import Refused
from creditgate.transparency.note import VerifierKey
from creditgate.v1.federation_service_pb2 import ClearingEvidence, LoggedUseProof
from gateway.federation.clearing.disputed import Told
from gateway.federation.clearing.ledger import OperatorOf, RegionLedger
from gateway.federation.trust.book import Region
from gateway.usage.leaves import LedgerLost
from gateway.usage.proofs import UsageProofs
from sdk.clearings import supported, uses_in

MOST_BYTES: Final = 1 << 20
"""Most evidence that goes in one message."""
MOST_LOGGED: Final = 64
"""Most proofs from the usage log that are made for one clearing."""


class DisputeEvidence:
    """Gathers what proves entries in dispute. ``key`` is that of this region's own receipts."""

    def __init__(
        self,
        ledger: RegionLedger,
        proofs: UsageProofs,
        operator_of: OperatorOf,
        own: str,
        key: VerifierKey,
    ) -> None:
        self._ledger = ledger
        self._proofs = proofs
        self._operator_of = operator_of
        self._own = own
        self._key = key

    def of(self, region: str, entries: Iterable[ClearingEntry]) -> list[ClearingEvidence]:
        """Return what there is on entries with a region, each answer once, as far as it goes into
        one message."""
        answers = dict.fromkeys((each.home, each.request_id, each.chunk) for each in entries)
        found: list[ClearingEvidence] = []
        size = logged = 0
        for home, request_id, chunk in answers:
            if home == self._own:
                if logged == MOST_LOGGED:
                    continue
                logged += 1
                try:
                    piece = self._logged(region, request_id, chunk)
                except Refused:
                    # The log is behind: to wait for each would take long.
                    logged, piece = MOST_LOGGED, None
            else:
                receipt = self._ledger.receipt(region, request_id, chunk)
                piece = None if receipt is None else ClearingEvidence(receipt=receipt)
            if piece is not None and size + piece.ByteSize() <= MOST_BYTES:
                size += piece.ByteSize()
                found.append(piece)
        return found

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

    def told(
        self, disputes: Sequence[Dispute], evidence: Sequence[ClearingEvidence], region: Region
    ) -> list[Told]:
        """Return disputes with whose version the evidence supports, whoever showed it."""
        keys = {self._own: [self._key]}
        if "usage" in region.log_keys:
            keys[region.entity_id] = [VerifierKey.parse(region.log_keys["usage"])]
        uses = uses_in(evidence, keys)
        return [Told(each, supported(each, uses)) for each in disputes]


def pieces(*evidence: Iterable[ClearingEvidence]) -> list[bytes]:
    """Return evidence as it is kept, each piece once."""
    return list(
        dict.fromkeys(
            piece.SerializeToString(deterministic=True) for some in evidence for piece in some
        )
    )
