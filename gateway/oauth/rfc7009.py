"""RFC 7009: a client gives up its access and refresh tokens."""

from dataclasses import dataclass
from typing import ClassVar, Final

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from starlette.routing import Route

from gateway.oauth.client import AUTHENTICATION_METHODS
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.form_endpoint import form_endpoint
from gateway.oauth.grant_port import OAuthGrants, StandingGrant
from gateway.oauth.issued import IssuedToken, IssuedTokens
from gateway.oauth.request import TokenRequest
from gateway.oauth.revocation_log import RevocationLog
from gateway.oauth.revocations import Revocation
from gateway.oauth.server import StarletteAuthorizationServer

_NAME: Final = "revocation"


@dataclass(frozen=True, slots=True)
class IssuedRefreshToken:
    """A refresh token that may be used: what counts is its grant."""

    grant: StandingGrant

    def check_client(self, client: ClientMixin) -> bool:
        """Tell whether ``client`` is the one it was issued to."""
        return self.grant.client_id == client.get_client_id()


class TokenRevocation(RevocationEndpoint):
    """Authlib's endpoint over the log of revocations and the store of grants.

    Section 2.1: a token of another client is refused and stays as it is. Section 2.2: a
    token that is none, or no longer one, is answered like one that was revoked.
    """

    # Authlib's own default would be a secret.
    CLIENT_AUTH_METHODS: ClassVar = list(AUTHENTICATION_METHODS)

    def __init__(
        self,
        context: AuthorizationContext,
        revocations: RevocationLog,
        grants: OAuthGrants,
    ) -> None:
        # The stub wants the server, which registering the endpoint gives it.
        super().__init__()  # pyright: ignore[reportCallIssue]
        self._clock = context.clock
        self._tokens = IssuedTokens(context)
        self._revocations = revocations
        self._grants = grants

    def check_params(self, request: TokenRequest, client: ClientMixin) -> None:
        """Accept every hint: section 2.1 lets the server look for itself."""
        del request, client

    def query_token(
        self, token_string: str, token_type_hint: str | None
    ) -> IssuedToken | IssuedRefreshToken | None:
        """Return the token; None when it is none of ours or its life is over."""
        del token_type_hint
        token = self._tokens.read(token_string)
        if token is not None:
            return token
        grant = self._grants.of_refresh_token(token_string, self._clock.now())
        return None if grant is None else IssuedRefreshToken(grant)

    def revoke_token(self, token: IssuedToken | IssuedRefreshToken, request: TokenRequest) -> None:
        """Revoke it; a refresh token with its grant and the access tokens it gave.

        Section 2.1: that is what a server that can revoke access tokens should do.
        """
        del request
        now = self._clock.now()
        if isinstance(token, IssuedRefreshToken):
            self._grants.revoke(token.grant.grant_id, now)
        else:
            revocation = Revocation.of_token(token.claims.jti, token.claims.exp)
            self._revocations.append([revocation], now)


def revocation_route(
    context: AuthorizationContext,
    server: StarletteAuthorizationServer,
    revocations: RevocationLog,
    grants: OAuthGrants,
) -> Route:
    """Return the route of the revocation endpoint."""
    server.register_endpoint(TokenRevocation(context, revocations, grants))
    return form_endpoint(
        server,
        context.endpoints.revocation,
        lambda request: server.endpoint_response(_NAME, request),
        needed="token",
    )
