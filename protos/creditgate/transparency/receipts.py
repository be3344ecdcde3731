"""What receipts of use and usage logs are signed under. Pure.

One Ed25519 key signs both, and is pinned as one C2SP verifier key, whose name is the origin of
receipts. Below that name each operator's usage log has an origin of its own.
"""

from base64 import b64encode
from typing import Final

from creditgate.transparency.note import VerifierKey

COSIGNATURE_TYPE: Final = "creditgate-usage-cosignature+jwt"
"""The typ of the JWS by which an operator agrees with a checkpoint of its usage log."""
# A checkpoint has three lines, and its first names a log: neither can pass for the other.
_RECEIPT: Final = "creditgate/usage-receipt/v1"


def receipt_text(origin: str, group_size: int, root: bytes) -> bytes:
    """Return what is signed for the receipts of a group: the root of the tree of its leaves."""
    return f"{_RECEIPT}\n{origin}\n{group_size}\n{b64encode(root).decode()}\n".encode()


def usage_log_key(receipts: VerifierKey, operator_id: str) -> VerifierKey:
    """Return what verifies the checkpoints of an operator's usage log, given what verifies
    receipts."""
    return VerifierKey(f"{receipts.name}/{operator_id}", receipts.public)
