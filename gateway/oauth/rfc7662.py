"""RFC 7662: what a token is worth now, told to the client it belongs to and administrators."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from authlib.oauth2.rfc6749 import TokenEndpoint
from starlette.routing import Route

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.claims import AUTHENTICATED, KEY, TokenClaims
from gateway.oauth.client import AUTHENTICATION_METHODS, RegisteredClient
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.form_endpoint import form_endpoint
from gateway.oauth.grant_port import OAuthGrants, StandingGrant
from gateway.oauth.issued import IssuedToken, IssuedTokens
from gateway.oauth.request import TokenRequest
from gateway.oauth.rfc9701 import ANSWER_TYPE, MEDIA_TYPE, answer_claims, asks_for_jwt
from gateway.oauth.server import StarletteAuthorizationServer
from gateway.oauth.uncached import NO_STORE

_NAME: Final = "introspection"
# Section 2.2: nothing else is told of a token that is not active, or not the asker's.
_INACTIVE: Final[Mapping[str, Any]] = {"active": False}


class TokenIntrospection(TokenEndpoint):
    """Answers from present authority, not from the token alone.

    ``scope`` names what the token still opens: what was withdrawn since is left out, and
    a token that opens nothing is not active.
    """

    ENDPOINT_NAME = _NAME
    CLIENT_AUTH_METHODS: ClassVar = list(AUTHENTICATION_METHODS)

    def __init__(self, context: AuthorizationContext, grants: OAuthGrants) -> None:
        # The stub wants the server, which registering the endpoint gives it.
        super().__init__()  # pyright: ignore[reportCallIssue]
        self._context = context
        self._tokens = IssuedTokens(context)
        self._grants = grants

    def create_endpoint_response(
        self, request: TokenRequest
    ) -> tuple[int, Any, list[tuple[str, str]]]:
        """Return status, body and headers; raises OAuth2Error for unknown clients."""
        client: RegisteredClient = self.authenticate_endpoint_client(request)
        body = self._introspected(request.form["token"], client)
        if not asks_for_jwt(request.accept):
            return 200, body, list(NO_STORE.items())
        now = self._context.clock.now()
        claims = answer_claims(self._context.endpoints.issuer, client.record.client_id, now, body)
        signed = self._context.keys.sign(client.signing_keys, claims, ANSWER_TYPE, now)
        return 200, signed, [*NO_STORE.items(), ("Content-Type", MEDIA_TYPE)]

    def _introspected(self, token: str, client: RegisteredClient) -> dict[str, Any]:
        access = self._tokens.read(token)
        if access is not None:
            return self._of_access_token(access, client)
        now = self._context.clock.now()
        grant = self._grants.of_refresh_token(token, now)
        if grant is None or not _may_see(client, grant.client_id):
            return dict(_INACTIVE)
        return self._of_refresh_token(grant)

    def _of_access_token(self, token: IssuedToken, client: RegisteredClient) -> dict[str, Any]:
        scopes = self._tokens.scopes_in_force(token)
        if not scopes or not _may_see(client, token.claims.client_id):
            return dict(_INACTIVE)
        return access_token_answer(token.claims, scopes)

    def _of_refresh_token(self, grant: StandingGrant) -> dict[str, Any]:
        scopes = self._tokens.granted_now(grant.client_id, grant.principal, grant.scopes)
        if not scopes:
            return dict(_INACTIVE)
        answer = {
            "active": True,
            "iss": self._context.endpoints.issuer,
            "client_id": grant.client_id,
            "sub": grant.principal,
            "scope": " ".join(sorted(scopes)),
            "iat": grant.granted_at,
            "exp": grant.expires_at,
            "grant_id": grant.grant_id,
            "authorization_details": [detail.as_json() for detail in grant.details] or None,
        }
        return {name: value for name, value in answer.items() if value is not None}


def access_token_answer(claims: TokenClaims, scopes: frozenset[str]) -> dict[str, Any]:
    """Return the answer for an access token that opens ``scopes``.

    Section 2.2; RFC 8705 section 3.2 and RFC 9449 section 6.2 (cnf), RFC 9396 section
    9.2 (authorization_details), RFC 8693 section 4.1 (act), RFC 9470 section 6.2 (acr,
    auth_time).
    """
    told = claims.model_dump(mode="json", by_alias=True, exclude_none=True)
    # What only this server and the gateway need.
    for inner in ("ancestors", "opens", AUTHENTICATED):
        told.pop(inner, None)
    if claims.authorization_details:
        told["authorization_details"] = [
            detail.as_json() for detail in claims.authorization_details
        ]
    told["scope"] = " ".join(sorted(scopes))
    token_type = "DPoP" if claims.cnf.confirmation.method == KEY else "Bearer"
    return {"active": True, "token_type": token_type, **told}


def _may_see(client: RegisteredClient, owner: str) -> bool:
    return client.record.role == ClientRole.CLIENT_ROLE_ADMINISTRATOR or (
        client.record.client_id == owner
    )


def introspection_route(
    context: AuthorizationContext, server: StarletteAuthorizationServer, grants: OAuthGrants
) -> Route:
    """Return the route of the introspection endpoint."""
    server.register_endpoint(TokenIntrospection(context, grants))
    return form_endpoint(
        server,
        context.endpoints.introspection,
        lambda request: server.endpoint_response(_NAME, request),
        needed="token",
    )
