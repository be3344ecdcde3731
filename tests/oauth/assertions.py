"""Client assertions, right and wrong."""

import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any

from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry

from tests.oauth.world import Identity

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def signed(claims: dict[str, Any], key: Key, **header: Any) -> str:
    """Return a JWT under any header, as an attacker would sign it.

    By hand, because joserfc makes no header that the RFCs forbid.
    """
    body = _body(header, claims)
    signature = JWSRegistry.algorithms[header["alg"]].sign(body.encode(), key)
    return f"{body}.{_segment(signature)}"


def claims_of(identity: Identity, audience: str, now: int, **changed: Any) -> dict[str, Any]:
    """Return the claims of a good assertion; ``changed`` replaces some, None removes."""
    claims = {
        "iss": identity.client_id,
        "sub": identity.client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(12),
        "iat": now,
        "exp": now + 60,
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


def form_of(assertion: str, **more: str) -> dict[str, str]:
    """Return the form of a token request."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **more,
    }


def good_form(identity: Identity, audience: str, now: int, **more: str) -> dict[str, str]:
    """Return a form the server accepts."""
    key = ECKey.import_key(identity.assertion_key.key)
    return form_of(signed(claims_of(identity, audience, now), key, alg="ES256"), **more)


def confused(identity: Identity, claims: dict[str, Any]) -> str:
    """Return algorithm confusion: an HMAC with the public key taken for the secret.

    By hand, because joserfc knows the trick and signs no such thing.
    """
    secret = ECKey.import_key(identity.assertion_key.key).as_pem(private=False)
    body = _body({"alg": "HS256"}, claims)
    return f"{body}.{_segment(hmac.digest(secret, body.encode(), 'sha256'))}"


def _body(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{_segment(json.dumps(header).encode())}.{_segment(json.dumps(claims).encode())}"


def _segment(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def rsa_key() -> RSAKey:
    """Return an RSA key nobody registered."""
    return RSAKey.generate_key(2048)
