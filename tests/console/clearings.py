"""A clearing with an invented region that left one entry out, as both have signed it."""

import json
from base64 import urlsafe_b64encode
from typing import Final

from creditgate.clearing_disputes import FEE, Dispute, dispute_id
from creditgate.clearing_entries import ClearingEntry
from creditgate.v1.clearing_service_pb2 import ClearingStand
from creditgate.v1.federation_service_pb2 import ClearingEvidence
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageLine
from gateway.federation.clearing.evidence_store import Piece, Shown
from gateway.federation.clearing.store import Made, Settled, SqlClearings
from tests.installation import Installation
from tests.receipts import RECEIPTS

REGION: Final = "https://west.invalid"
UNTIL: Final = 1_795_737_600
"""2026-11-27T00:00:00Z."""
HOME_FEE: Final = 30_000
ENTRY: Final = ClearingEntry(
    REGION, "https://east.invalid", "q-1", 0, "record-1", 1, "penalty", UNTIL - 60, HOME_FEE
)
_BEYOND: Final = {
    "home": REGION,
    "month": "2026-07",
    "entries": 1_200,
    "listed": 40_000_000,
    "rated": 30_000_000,
    "amount": -10_000_000,
    "basis": "0" * 64,
}
_CLEARING: Final = json.dumps({"amounts": [_BEYOND]}).encode()
DISPUTE: Final = Dispute(FEE, (ENTRY,), (ENTRY._replace(fee=HOME_FEE - 1),))


def _for_home(*_: object) -> ClearingStand.ValueType:
    return ClearingStand.CLEARING_STAND_HOME


def cleared(installation: Installation) -> None:
    """Keep the clearing in the store of an installation, as the region that asked."""
    leaf = UsageLeaf(
        kind=UsageKind.USAGE_KIND_ANSWER,
        request_id=ENTRY.request_id,
        chunk=ENTRY.chunk,
        serve_seconds=ENTRY.serve_seconds,
        fee_micro_yuan=HOME_FEE,
        lines=[UsageLine(item="penalty", entries=1, unit_price_micro_yuan=HOME_FEE)],
    )
    (receipt,) = RECEIPTS.receipts([leaf.SerializeToString(deterministic=True)])
    evidence = ClearingEvidence(receipt=receipt).SerializeToString(deterministic=True)
    SqlClearings(installation.engines.evidence).agree(
        Made(
            region=REGION,
            start=0,
            until=UNTIL,
            proposing=REGION,
            document=f"invented.{urlsafe_b64encode(_CLEARING).decode().rstrip('=')}.text",
            acceptance="invented.acceptance.text",
            made_at=UNTIL + 600,
            agreed_at=UNTIL + 601,
            entries=1_234,
            adjusted=5,
            owed=37_020_000,
            due=1_000_000,
            disputes=1,
            under_way=0,
            ledger_entries=1_235,
            elements=b"",
        ),
        Settled(
            own=ENTRY.asking,
            found=[DISPUTE],
            carried={},
            evidence=Shown([Piece(dispute_id(ENTRY.answer.id), evidence)], []),
            judge=_for_home,
            operator_id="region-west",
        ),
    )
