"""Signs receipts of use in tests, always by the same invented key, and verifies them."""

from creditgate.transparency.note import VerifierKey
from creditgate.transparency.usage import verify_receipt
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from gateway.meter.receipts import ReceiptSigner
from tests.transparency.keys import key_of

KEY = key_of("gateway.invalid/log/usage")
RECEIPTS = ReceiptSigner(KEY)


def verified(receipt: UsageReceipt, key: VerifierKey = KEY.verifier) -> UsageLeaf:
    """Return the leaf of a receipt once it is verified by the pinned key."""
    return verify_receipt(receipt, key)
