"""RFC 9068: access tokens as JWTs, bound to the client's certificate (RFC 8705)."""

import secrets
from typing import Any, Final

from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator

from gateway.clock import Clock
from gateway.oauth.client import RegisteredClient
from gateway.oauth.rfc8705 import confirmation
from gateway.oauth.signing import SigningKeys

TOKEN_TYPE: Final = "at+jwt"  # noqa: S105  # the header of section 2.1, no secret


class BoundTokenGenerator(JWTBearerTokenGenerator):
    """Authlib's generator with our clock, our audience and the key of the moment.

    ``seconds`` is the life of a token: short, so that superseded keys can go soon.
    """

    def __init__(
        self, issuer: str, audience: str, keys: SigningKeys, clock: Clock, seconds: int
    ) -> None:
        super().__init__(issuer, expires_generator=seconds)
        self._seconds = seconds
        self._audience = audience
        self._keys = keys
        self._clock = clock

    def get_audiences(self, client: RegisteredClient, user: None, scope: str) -> str:
        """Return the resource server all scopes belong to (section 3)."""
        del client, user, scope
        return self._audience

    def get_jti(self, client: RegisteredClient, grant_type: str, user: None, scope: str) -> str:
        """Return a fresh identifier of 128 random bits."""
        del client, grant_type, user, scope
        return secrets.token_urlsafe(16)

    def get_extra_claims(
        self, client: RegisteredClient, grant_type: str, user: None, scope: str
    ) -> dict[str, Any]:
        """Return what binds the token to its holder."""
        del grant_type, user, scope
        if client.presented is None:
            raise RuntimeError("a token may only be made for a client that showed its certificate")
        return confirmation(client.presented)

    def access_token_generator(
        self, client: RegisteredClient, grant_type: str, user: None, scope: str
    ) -> str:
        """Return the signed token.

        Section 2.2: iss, exp, aud, sub, client_id, iat and jti are required; without a
        resource owner, sub is the client. Raises Refused when no signing key is at hand.
        """
        now = self._clock.now()
        client_id = client.get_client_id()
        claims = {
            "iss": self.issuer,
            "sub": client_id,
            "aud": self.get_audiences(client, user, scope),
            "client_id": client_id,
            "scope": scope,
            "iat": now,
            "exp": now + self._seconds,
            "jti": self.get_jti(client, grant_type, user, scope),
            **self.get_extra_claims(client, grant_type, user, scope),
        }
        return self._keys.sign(client.signing_keys, claims, TOKEN_TYPE, now)
