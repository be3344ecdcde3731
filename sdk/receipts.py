"""Receipts of consents, verified offline: who allowed what, as the gateway signed it.

The keys are those published at ``{issuer}/consent/receipt-keys.json``, fetched once and
kept: `receipt_keys`. A receipt tells how the consent stood when it was signed; whether it
still stands, ConsentService tells.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import extract_compact
from pydantic import ValidationError

from creditgate.consent_artefact import (
    KEYS_PATH,
    MOST_CHARACTERS,
    RECEIPT_ALGORITHMS,
    RECEIPT_TYPE,
    ConsentArtefact,
)
from sdk.credentials import Profile
from sdk.signing import QuietRegistry, SigningKey

_TIMEOUT_SECONDS: Final = 10
_KEY_TYPES: Final = {"ES256": ECKey, "EdDSA": OKPKey, "Ed25519": OKPKey}
_SUBJECT_KEY_TYPES: Final = {**_KEY_TYPES, "PS256": RSAKey}
_MOST_SIGNATURE: Final = 2_048
_MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class ReceiptRefused(ValueError):
    """A receipt proves nothing; the message says why and repeats none of it."""


class KeysUnavailable(Exception):
    """The keys cannot be had from the gateway; the message says why."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that the gateway signed.

    ``kid`` names the key. ``key_retired`` tells that the key is retired since: where it
    was retired because it fell into other hands, ask the gateway for the consent itself.
    """

    artefact: ConsentArtefact
    kid: str
    key_retired: bool


def verified_receipt(receipt: str, keys: Mapping[str, Any], issuer: str) -> Receipt:
    """Return what ``receipt`` says where the gateway ``issuer`` signed it.

    ``keys`` is its JWK Set (RFC 7517). Raises ReceiptRefused.
    """
    if len(receipt) > MOST_CHARACTERS:
        raise ReceiptRefused(f"It is longer than {MOST_CHARACTERS} characters.")
    try:
        header = extract_compact(receipt.encode("ascii"), registry=_REGISTRY).headers()
    except _MALFORMED:
        raise ReceiptRefused("It is no JWT in compact form.") from None
    # RFC 8725 section 3.11: the type tells it from every other JWT of the same keys.
    if header.get("typ") != RECEIPT_TYPE:
        raise ReceiptRefused(f"Its typ is not {RECEIPT_TYPE}: it is something else.")
    # RFC 7515 section 4.1.11: an extension that is not understood must be refused.
    if "crit" in header:
        raise ReceiptRefused("It uses an extension (crit), which no receipt does.")
    jwk = _key(keys, header.get("kid"))
    artefact = _signed(receipt, jwk, header.get("alg"))
    if artefact.iss != issuer:
        raise ReceiptRefused("Another gateway issued it.")
    if not jwk.get("iat", 0) <= artefact.iat < jwk.get("exp", artefact.iat + 1):
        raise ReceiptRefused("It is dated when its key did not sign.")
    return Receipt(artefact, jwk["kid"], "exp" in jwk)


def verified_countersignature(receipt: str, signature: str, jwk: str) -> str:
    """Return the RFC 7638 thumbprint of the subject's key that signed ``receipt`` in its turn.

    ``signature`` is ``Consent.subject_signature`` and ``jwk``, JSON, ``Consent.subject_key``:
    that the key is the subject's own is the gateway's word. Raises ReceiptRefused.
    """
    parts = signature.split(".")
    if len(signature) > _MOST_SIGNATURE or len(parts) != 3 or parts[1]:
        raise ReceiptRefused("The subject's signature is no JWS without its payload.")
    try:
        given = signature.encode("ascii")
        header: Any = extract_compact(given, registry=_REGISTRY).headers()
        alg = header.get("alg")
        key = _SUBJECT_KEY_TYPES[alg].import_key({**json.loads(jwk), "alg": alg})
        jws.deserialize_compact(
            given, key, algorithms=[alg], registry=_REGISTRY, payload=receipt.encode("ascii")
        )
    except _MALFORMED:
        raise ReceiptRefused(
            "The subject's signature is not of this receipt by this key."
        ) from None
    # No extension is understood here, b64 of RFC 7797 neither.
    if "crit" in header or "b64" in header:
        raise ReceiptRefused("The subject's signature uses an extension, which none does.")
    return key.thumbprint()


def receipt_keys(credentials: Profile) -> dict[str, Any]:
    """Fetch the keys of receipts, retired ones too, from the profile's gateway.

    Blocks. Raises KeysUnavailable.
    """
    url = credentials.issuer.rstrip("/") + KEYS_PATH
    try:
        with httpx.Client(verify=credentials.tls(), timeout=_TIMEOUT_SECONDS) as http:
            answer = http.get(url).raise_for_status()
        return read_keys(answer.content)
    except httpx.HTTPError as error:
        raise KeysUnavailable(
            f"The keys of receipts cannot be read from {url} ({type(error).__name__}); check"
            " `issuer`, `ca` and that the gateway runs."
        ) from error


def read_keys(document: bytes) -> dict[str, Any]:
    """Return a JWK Set that was kept in a file. Raises KeysUnavailable."""
    try:
        keys: Any = json.loads(document)
    except ValueError:
        keys = None
    listed = keys.get("keys") if isinstance(keys, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise KeysUnavailable('The keys are no JWK Set ({"keys": [...]}, RFC 7517).')
    return {"keys": listed}


def countersigned(receipt: str, key: SigningKey) -> str:
    """Return a subject's own signature of ``receipt``: a JWS with detached payload.

    RFC 7515 appendix F: the payload, left out, is the receipt's own characters.
    """
    return key.sign_detached(receipt.encode("ascii"))


class _Registry(QuietRegistry):
    """Room for the longest receipt."""

    max_payload_length = MOST_CHARACTERS


# RFC 7515 section 4: header parameters that are not understood are ignored.
_REGISTRY: Final = _Registry(strict_check_header=False)


def _key(keys: Mapping[str, Any], kid: object) -> Mapping[str, Any]:
    found = (
        [jwk for jwk in keys.get("keys", ()) if jwk.get("kid") == kid]
        if isinstance(kid, str)
        else []
    )
    if len(found) != 1:
        raise ReceiptRefused("Its key is none of the gateway's; fetch the keys anew.")
    return found[0]


def _signed(receipt: str, jwk: Mapping[str, Any], alg: object) -> ConsentArtefact:
    """Return what the receipt says when ``jwk`` signed it.

    RFC 8725 section 3.1: the key says by which algorithm, the header can choose nothing.
    """
    if not isinstance(alg, str) or alg not in RECEIPT_ALGORITHMS or jwk.get("alg", alg) != alg:
        raise ReceiptRefused("It is signed by an algorithm that its key is not for.")
    public = {name: value for name, value in jwk.items() if name not in ("iat", "exp")}
    try:
        key = _KEY_TYPES[alg].import_key({**public, "alg": alg})
        claims = jwt.decode(receipt, key, algorithms=[alg], registry=_REGISTRY).claims
    except _MALFORMED:
        raise ReceiptRefused("It was altered, or signed by another key.") from None
    try:
        return ConsentArtefact.model_validate(claims)
    except ValidationError:
        raise ReceiptRefused(
            "It is of another version than this SDK knows: use a newer one."
        ) from None
