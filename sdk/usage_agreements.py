"""Agreements: an operator's own signature that it agrees with its usage log, verified offline."""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final, NamedTuple

from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.receipts import COSIGNATURE_TYPE
from creditgate.transparency.usage_evidence import VerifiedEvidence
from sdk.documents import MALFORMED, REGISTRY

_KEY_TYPES: Final = {"ES256": ECKey, "EdDSA": OKPKey, "Ed25519": OKPKey, "PS256": RSAKey}


class Agreed(NamedTuple):
    """Who agreed with a usage log, and by which key (RFC 7638 thumbprint), which registrations
    tell to be the operator's."""

    client_id: str
    operator_id: str
    thumbprint: str


def agreed_by(evidence: VerifiedEvidence) -> Agreed | None:
    """Return who agreed to a use, None where the evidence has no agreement.

    Raises ProofInvalid where the signature does not hold.
    """
    agreement = evidence.agreement
    if agreement is None:
        return None
    try:
        header = jws.extract_compact(agreement.cosignature.encode("ascii"), registry=REGISTRY)
        alg = header.headers().get("alg", "")
        key = _KEY_TYPES[alg].import_key({**json.loads(agreement.jwk), "alg": alg})
        token = jwt.decode(agreement.cosignature, key, algorithms=[alg], registry=REGISTRY)
        claims, typ = token.claims, token.header.get("typ")
        found = Agreed(str(claims["iss"]), str(claims["sub"]), key.thumbprint())
        digest = claims["checkpoint_sha256"]
    except MALFORMED:
        raise ProofInvalid("the agreement is not signed by the key that comes with it") from None
    own = (COSIGNATURE_TYPE, evidence.leaf.operator_id, checkpoint_digest(agreement.checkpoint))
    if (typ, found.operator_id, digest) != own or "crit" in token.header:
        raise ProofInvalid("the agreement is to something else")
    return found


def checkpoint_digest(note: str) -> str:
    """Return what a cosignature says of the checkpoint it is on: its SHA-256, base64url."""
    return urlsafe_b64encode(sha256(note.encode()).digest()).rstrip(b"=").decode()
