"""Statements as signed documents: what both sides of a settlement can show anybody.

A document is a JWS in compact form (RFC 7515), signed by Ed25519 (RFC 8037, RFC 9864) with the
key of the gateway's usage logs and receipts, which operators have pinned already. What it is
signed over begins with "eyJ", as no checkpoint and no receipt does: a signature of one is never
one of another. Of closed months it is the same to the byte whenever it is made: it is signed by
the key of the time when they were closed, also once others follow that.
"""

import json
from base64 import urlsafe_b64encode
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from creditgate.transparency.note import VerifierKey

TYPE: Final = "creditgate-statement+jws"
ALGORITHM: Final = "Ed25519"
MOST_CHARACTERS: Final = 64 << 20
"""A longer document is not read."""


class StatementInvalid(ValueError):
    """The document is not signed by the key, or is no statement; the message says which."""


class StatementRegistry(JWSRegistry):
    """joserfc's registry for statements: one algorithm, and as long as statements may be."""

    max_payload_length = MOST_CHARACTERS

    def __init__(self) -> None:
        super().__init__(algorithms=[ALGORITHM])


def open_statement(document: str, key: VerifierKey) -> dict[str, Any]:
    """Return what a document states once it is verified by the pinned ``key`` of usage logs.

    Raises StatementInvalid.
    """
    if len(document) > MOST_CHARACTERS:
        raise StatementInvalid("the document is longer than any statement")
    try:
        opened = jws.deserialize_compact(
            document.strip(), _public(key), registry=StatementRegistry()
        )
        stated = json.loads(opened.payload)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise StatementInvalid("the document is not signed by this key") from None
    if opened.headers().get("typ") != TYPE or not isinstance(stated, dict):
        raise StatementInvalid("the document is signed, but it is no statement")
    return stated


def is_signed_by(document: str, key: VerifierKey) -> bool:
    """Tell whether a document says that it is signed by ``key``: by its kid, unverified."""
    try:
        header = jws.extract_compact(
            document.strip().encode(), registry=StatementRegistry()
        ).headers()
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return header.get("kid") == _public(key).thumbprint()


def _public(key: VerifierKey) -> OKPKey:
    x = urlsafe_b64encode(key.public).rstrip(b"=").decode()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
