"""Proofs (RFC 9449), right and wrong."""

import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any

from joserfc.jwk import ECKey, Key
from joserfc.jws import JWSRegistry

from gateway.oauth.rfc9449 import token_hash
from tests.oauth.assertions import signed


def new_key() -> ECKey:
    """Return a key to prove."""
    return ECKey.generate_key("P-256")


def proof_claims(uri: str, now: int, token: str | None = None, **changed: Any) -> dict[str, Any]:
    """Return the claims of a good proof; ``changed`` replaces some, None removes."""
    claims = {
        "jti": secrets.token_urlsafe(12),
        "htm": "POST",
        "htu": uri,
        "iat": now,
        "ath": None if token is None else token_hash(token),
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


def proof_header(key: Key, **changed: Any) -> dict[str, Any]:
    """Return the header of a good proof; ``changed`` replaces some, None removes."""
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False), **changed}
    return {name: value for name, value in header.items() if value is not None}


def proof_of(key: Key, uri: str, now: int, token: str | None = None, **changed: Any) -> str:
    """Return a good proof, but for the claims ``changed``."""
    return signed(proof_claims(uri, now, token, **changed), key, **proof_header(key))


def signed_whatever_it_says(claims: dict[str, Any], key: ECKey, header: dict[str, Any]) -> str:
    """Return a JWT with a good ES256 signature under a header that may say anything."""
    body = f"{_segment(json.dumps(header).encode())}.{_segment(json.dumps(claims).encode())}"
    return f"{body}.{_segment(JWSRegistry.algorithms['ES256'].sign(body.encode(), key))}"


def _segment(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
