"""Keys clients sign their assertions with (RFC 7523), for development and ``creditgate``."""

import json
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import ECKey


@dataclass(frozen=True, slots=True)
class AssertionKey:
    """A private key (PEM, PKCS #8) and the JWK Set to register for it (JSON, public)."""

    key: bytes
    jwks: str


def make_assertion_key() -> AssertionKey:
    """Make an ES256 key; its kid is its RFC 7638 thumbprint."""
    return _with_jwks(ECKey.generate_key("P-256"))


def read_assertion_key(pem: bytes) -> AssertionKey:
    """Read what `make_assertion_key` made. Raises ValueError for what it did not make."""
    try:
        key = ECKey.import_key(pem)
    except JoseError as error:
        raise ValueError("this is no key of a client's assertions") from error
    if key.curve_name != "P-256":
        raise ValueError("this is no key of a client's assertions")
    return _with_jwks(key)


def _with_jwks(key: ECKey) -> AssertionKey:
    public = key.as_dict(private=False, kid=key.thumbprint(), alg="ES256", use="sig")
    return AssertionKey(key.as_pem(private=True), json.dumps({"keys": [public]}))
