"""The signature on an answer: what is hashed and what is signed. Pure.

The disclosure log proves records; it says nothing of receipts. So an answer with a proof is
signed whole, and the request it answers with it. Answers that are ready together are leaves
of one Merkle tree (RFC 6962 section 2.1), whose root is signed once.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from creditgate.transparency.merkle import ProofInvalid, inclusion_root, leaf_hash
from creditgate.transparency.note import VerifierKey
from creditgate.v1.disclosure_proof_pb2 import AnswerSignature

# A checkpoint's text has no zero byte, so that neither can pass for the other.
_LABEL: Final = b"\x00creditgate/answers/v1\n"


def request_digest(name: str, request: bytes) -> bytes:
    """Return the digest of a request in its bytes; ``name`` is its message's full name."""
    return sha256(name.encode() + b"\n" + request).digest()


def answer_leaf(request: bytes, answer: bytes) -> bytes:
    """Return the leaf hash of an answer: ``request`` its request's digest, ``answer`` its
    bytes before the signature."""
    return leaf_hash(request + answer)


def signed_text(size: int, root: bytes) -> bytes:
    """Return what is signed for ``size`` answers whose tree has this root."""
    return _LABEL + size.to_bytes(8, "big") + root


def verify_signature(signature: AnswerSignature, answer: bytes, key: VerifierKey) -> None:
    """Check that the signature is of ``answer``, the bytes before it. Raises ProofInvalid."""
    if len(signature.request_digest) != sha256().digest_size:
        raise ProofInvalid("the answer is not signed, or its end is cut off")
    leaf = answer_leaf(signature.request_digest, answer)
    path: Sequence[bytes] = signature.audit_path
    root = inclusion_root(signature.index, signature.size, leaf, path)
    try:
        key.verify(signed_text(signature.size, root), signature.signature)
    except ProofInvalid:
        raise ProofInvalid("the answer's signature is not of the gateway's key") from None
