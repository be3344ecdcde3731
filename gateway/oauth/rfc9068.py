"""RFC 9068: access tokens as JWTs, bound to certificate (RFC 8705) or key (RFC 9449)."""

import secrets
from typing import Any, Final, cast

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator

from gateway.authenticate.claims import AUTHENTICATED
from gateway.clock import Clock
from gateway.oauth.client import RegisteredClient
from gateway.oauth.dpop import key_confirmation
from gateway.oauth.rfc8705 import confirmation
from gateway.oauth.rfc9396 import PARAMETER, as_json
from gateway.oauth.signing import SigningKeys
from gateway.oauth.token_subject import TokenSubject

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

    def get_audiences(self, client: RegisteredClient, user: TokenSubject | None, scope: str) -> str:
        """Return the resource server all scopes belong to (section 3)."""
        del client, user, scope
        return self._audience

    def get_jti(
        self, client: RegisteredClient, grant_type: str, user: TokenSubject | None, scope: str
    ) -> str:
        """Return a fresh identifier of 128 random bits."""
        del client, grant_type, user, scope
        return secrets.token_urlsafe(16)

    def get_extra_claims(
        self, client: RegisteredClient, grant_type: str, user: TokenSubject | None, scope: str
    ) -> dict[str, Any]:
        """Return what binds the token to its holder, what it is limited to, and who acts."""
        del grant_type, scope
        limits = {PARAMETER: as_json(client.details)} if client.details else {}
        spoken_for = {} if user is None else user.claims()
        return {
            **self._binding_of(client),
            AUTHENTICATED: client.authenticated,
            **limits,
            **spoken_for,
        }

    def _binding_of(self, client: RegisteredClient) -> dict[str, dict[str, str]]:
        if client.record.binding == "dpop" and client.proven is not None:
            return key_confirmation(client.proven)
        if client.record.binding == "mtls" and client.presented is not None:
            return confirmation(client.presented)
        raise RuntimeError("a token may only be made for a client that showed what binds it")

    def generate(
        self,
        grant_type: str,
        client: ClientMixin,
        user: Any = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """Return the token response, its token_type that of the binding (RFC 9449 section 5).

        It tells the details as granted (RFC 9396 section 7).
        """
        token: dict[str, Any] = super().generate(
            grant_type, client, user, scope, expires_in, include_refresh_token
        )
        holder = cast(RegisteredClient, client)
        if holder.proven is not None:
            token["token_type"] = "DPoP"  # noqa: S105  # a type, no secret
        if holder.details:
            token[PARAMETER] = as_json(holder.details)
        return token

    def access_token_generator(
        self, client: RegisteredClient, grant_type: str, user: TokenSubject | None, scope: str
    ) -> str:
        """Return the signed token.

        Section 2.2: iss, exp, aud, sub, client_id, iat and jti are required; without a
        resource owner, sub is the client. Raises Refused when no signing key is at hand.
        """
        now = self._clock.now()
        end = now + self._seconds
        if user is not None and user.until is not None:
            end = min(end, user.until)
        client_id = client.get_client_id()
        claims = {
            "iss": self.issuer,
            "sub": client_id,
            "aud": self.get_audiences(client, user, scope),
            "client_id": client_id,
            "scope": scope,
            "iat": now,
            "exp": end,
            "jti": self.get_jti(client, grant_type, user, scope),
            **self.get_extra_claims(client, grant_type, user, scope),
        }
        return self._keys.sign(client.signing_keys, claims, TOKEN_TYPE, now)
