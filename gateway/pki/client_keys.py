"""Keys clients sign their assertions with (RFC 7523), for development and ``creditgate``."""

import json
from dataclasses import dataclass

from joserfc.jwk import ECKey


@dataclass(frozen=True, slots=True)
class AssertionKey:
    """A private key (PEM, PKCS #8) and the JWK Set to register for it (JSON, public)."""

    key: bytes
    jwks: str


def make_assertion_key() -> AssertionKey:
    """Make an ES256 key; its kid is its RFC 7638 thumbprint."""
    key = ECKey.generate_key("P-256")
    public = key.as_dict(private=False, kid=key.thumbprint(), alg="ES256", use="sig")
    return AssertionKey(key.as_pem(private=True), json.dumps({"keys": [public]}))
