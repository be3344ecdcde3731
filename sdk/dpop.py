"""Proofs that a client holds the key its tokens are bound to (RFC 9449, DPoP)."""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from typing import Any, Self

from sdk.signing import SigningKey


class ProofKey:
    """The key, and the proofs it makes: one for each request."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._public = key.public

    @classmethod
    def read(cls, pem: bytes) -> Self:
        """Return the key of a PEM file. Raises ValueError for a key of another kind."""
        return cls(SigningKey.read(pem))

    def proof(
        self, method: str, uri: str, *, nonce: str | None = None, token: str | None = None
    ) -> str:
        """Return a proof for one request (section 4.2).

        ``uri`` is where the request goes, without query; ``nonce`` the newest that its
        server gave; ``token`` the access token sent along, None at the token endpoint.
        For gRPC, ``method`` is POST and ``uri`` the gateway's public URL with the path of
        the method: https://host:port/package.Service/Method.
        """
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": uri,
            "iat": int(time.time()),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if token is not None:
            digest = hashlib.sha256(token.encode()).digest()
            claims["ath"] = urlsafe_b64encode(digest).rstrip(b"=").decode()
        return self._key.sign(claims, typ="dpop+jwt", jwk=self._public)
