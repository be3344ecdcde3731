"""Proofs of calls: what a caller must send with a token that is bound to a key (RFC 9449)."""

from collections.abc import Sequence
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.oauth.rfc9449 import DpopProof, InvalidProof, verified_proof

SCHEME: Final = "dpop "
"""How the authorization of such a call begins; its case does not matter (RFC 9110)."""


def read_proof(
    values: Sequence[str | bytes], authorization: str | None, uri: str, now: int
) -> DpopProof:
    """Return the call's proof, when it is the only one, and for this call and this token.

    ``values`` are those of the metadata dpop; ``uri`` is the public URL of the method.
    gRPC is HTTP, and each call a POST. Raises Refused TOKEN_PROOF_INVALID.
    """
    if authorization is None or authorization[:5].lower() != SCHEME:
        raise proof_invalid('Send the token a proof is for as authorization = "DPoP <token>".')
    value = values[0] if len(values) == 1 else None
    if not isinstance(value, str):
        raise proof_invalid("Send one proof, in the metadata dpop.")
    try:
        return verified_proof(value, method="POST", uri=uri, now=now, token=authorization[5:])
    except InvalidProof as error:
        raise proof_invalid(str(error)) from error


def proof_invalid(mend: str) -> Refused:
    """Return the refusal of a call whose proof proves nothing."""
    return Refused(RefusalReason.REFUSAL_REASON_TOKEN_PROOF_INVALID, mend)


def nonce_wanted() -> Refused:
    """Return the refusal that asks for a proof with a nonce of the gateway's."""
    return Refused(
        RefusalReason.REFUSAL_REASON_TOKEN_PROOF_NONCE,
        "Repeat the call with a new proof that has the nonce of the trailing metadata dpop-nonce.",
    )
