"""A clearing with an invented region that left one entry out, as both have signed it."""

from typing import Final

from creditgate.clearing import FEE, ClearingEntry, Dispute
from creditgate.v1.clearing_service_pb2 import ClearingStand
from creditgate.v1.federation_service_pb2 import ClearingEvidence
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageLine
from gateway.federation.clearing.disputed import Told
from gateway.federation.clearing.store import Made, SqlClearings
from tests.installation import Installation
from tests.receipts import RECEIPTS

REGION: Final = "https://west.invalid"
UNTIL: Final = 1_795_737_600
"""2026-11-27T00:00:00Z."""
HOME_FEE: Final = 30_000
ENTRY: Final = ClearingEntry(
    REGION, "https://east.invalid", "q-1", 0, "record-1", 1, "penalty", UNTIL - 60, HOME_FEE
)
DISPUTE: Final = Dispute(FEE, ENTRY, ENTRY._replace(fee=HOME_FEE - 1))


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
            document="invented.document.text",
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
        [Told(DISPUTE, ClearingStand.CLEARING_STAND_HOME)],
        [evidence],
        "region-west",
    )
