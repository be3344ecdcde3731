"""Receipts of consents, verified offline: who allowed what, as the gateway signed it.

A receipt tells how the consent stood when it was signed; whether it still stands,
ConsentService tells.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import extract_compact

from creditgate.consent_artefact import MOST_CHARACTERS, RECEIPT_TYPE, ConsentArtefact
from sdk.documents import MALFORMED, REGISTRY, DocumentKind, DocumentRefused, Signed
from sdk.signing import SigningKey

_RECEIPT: Final = DocumentKind(RECEIPT_TYPE, MOST_CHARACTERS, ConsentArtefact)
_SUBJECT_KEY_TYPES: Final = {"ES256": ECKey, "EdDSA": OKPKey, "Ed25519": OKPKey, "PS256": RSAKey}
_MOST_SIGNATURE: Final = 2_048


def verified_receipt(receipt: str, keys: Mapping[str, Any], issuer: str) -> Signed[ConsentArtefact]:
    """Return what ``receipt`` says where the gateway ``issuer`` signed it.

    ``keys`` is its JWK Set (RFC 7517). Raises DocumentRefused.
    """
    return _RECEIPT.verified(receipt, keys, issuer)


def verified_countersignature(receipt: str, signature: str, jwk: str) -> str:
    """Return the RFC 7638 thumbprint of the subject's key that signed ``receipt`` in its turn.

    ``signature`` is ``Consent.subject_signature`` and ``jwk``, JSON, ``Consent.subject_key``:
    that the key is the subject's own is the gateway's word. Raises DocumentRefused.
    """
    parts = signature.split(".")
    if len(signature) > _MOST_SIGNATURE or len(parts) != 3 or parts[1]:
        raise DocumentRefused("The subject's signature is no JWS without its payload.")
    try:
        given = signature.encode("ascii")
        header: Any = extract_compact(given, registry=REGISTRY).headers()
        alg = header.get("alg")
        key = _SUBJECT_KEY_TYPES[alg].import_key({**json.loads(jwk), "alg": alg})
        jws.deserialize_compact(
            given, key, algorithms=[alg], registry=REGISTRY, payload=receipt.encode("ascii")
        )
    except MALFORMED:
        raise DocumentRefused(
            "The subject's signature is not of this receipt by this key."
        ) from None
    # No extension is understood here, b64 of RFC 7797 neither.
    if "crit" in header or "b64" in header:
        raise DocumentRefused("The subject's signature uses an extension, which none does.")
    return key.thumbprint()


def countersigned(receipt: str, key: SigningKey) -> str:
    """Return a subject's own signature of ``receipt``: a JWS with detached payload.

    RFC 7515 appendix F: the payload, left out, is the receipt's own characters.
    """
    return key.sign_detached(receipt.encode("ascii"))
