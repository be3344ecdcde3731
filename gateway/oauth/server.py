"""RFC 6749 on Starlette: the adapter over Authlib's framework-neutral core."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, cast

from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import (
    BaseGrant,
    InvalidScopeError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from starlette.responses import JSONResponse, Response

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.oauth.client import AUTHENTICATION_METHODS, GRANT_TYPES, RegisteredClient
from gateway.oauth.dpop import DpopBinding
from gateway.oauth.request import TokenRequest
from gateway.oauth.rfc7523 import PrivateKeyJwtOverMutualTls
from gateway.oauth.rfc8705 import TLS_CLIENT_AUTH, authenticate_by_certificate
from gateway.oauth.rfc8707 import require_target
from gateway.oauth.rfc9068 import BoundTokenGenerator
from gateway.oauth.rfc9396 import PARAMETER, DetailsDesk


class UnknownGrantTypeError(UnsupportedGrantTypeError):
    """The grant type is none of ours; the answer does not repeat what was sent."""

    description = f"Supported grant types: {', '.join(GRANT_TYPES)}."


class ScopeNotGrantedError(InvalidScopeError):
    """More was asked for than the client may name now; the answer tells what it may."""

    description = (
        "Ask only for scopes that are granted to the client now, or leave scope out for all of"
        " them; where none is granted, ask the administrator."
    )


class MachineGrant(ClientCredentialsGrant):
    """The client credentials grant (section 4.4).

    A client whose operator may not act gets tokens for its duties alone
    (`operators.duties`); it is told so where it asks for more.
    """

    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION_METHODS

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Return status, body and headers.

        Written out because Authlib's own writes the token to its debug log.
        """
        form = self.request.form
        client = cast(RegisteredClient, self.request.client)
        scope = client.get_allowed_scope(form.get("scope"))
        if scope is None:
            require_active(client)
            raise ScopeNotGrantedError
        details = cast(StarletteAuthorizationServer, self.server).details
        self.request.client = client.limited_to(
            details.requested(client, form.get(PARAMETER), scope)
        )
        token = self.generate_token(scope=scope, include_refresh_token=False)
        self.save_token(token)
        return 200, token, list(self.TOKEN_RESPONSE_HEADER)


def require_active(client: RegisteredClient) -> None:
    """Refuse a client whose operator may not act. Raises UnauthorizedClientError."""
    if not client.may_act:
        suspended = client.operator_state == OperatorState.OPERATOR_STATE_SUSPENDED
        raise UnauthorizedClientError(
            "The operator is suspended." if suspended else "The operator was revoked."
        )


class StarletteAuthorizationServer(AuthorizationServer):
    """Authlib's server with Starlette's responses.

    `token_response` blocks on the store: call it in a thread.
    """

    def __init__(
        self,
        query_client: Callable[[str], RegisteredClient | None],
        authentication: PrivateKeyJwtOverMutualTls,
        generator: BoundTokenGenerator,
        binding: DpopBinding,
        details: DetailsDesk,
        audience: str,
    ) -> None:
        super().__init__()
        self._audience = audience
        self.details = details
        self._binding = binding
        self._query_client = query_client
        self.register_client_auth_method(
            PrivateKeyJwtOverMutualTls.CLIENT_AUTH_METHOD, authentication
        )
        self.register_client_auth_method(TLS_CLIENT_AUTH, authenticate_by_certificate)
        self.register_token_generator("default", generator)
        self.register_grant(MachineGrant)

    def token_response(self, request: TokenRequest) -> Response:
        """Return the answer to a token request."""
        # What handle_response makes; the stub says what it is made of.
        return cast(Response, self.create_token_response(request))

    def endpoint_response(self, name: str, request: TokenRequest) -> Response:
        """Return the answer of the endpoint registered by that name. Blocks on the store."""
        return cast(Response, self.create_endpoint_response(name, request))

    # Authlib's caller checks for None; its stub knows none.
    def query_client(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, client_id: str
    ) -> RegisteredClient | None:
        """Return the client as of now."""
        return self._query_client(client_id)

    def authenticate_client(
        self, request: OAuth2Request, methods: Collection[str], endpoint: str = "token"
    ) -> RegisteredClient:
        """Return who asks; at the token endpoint, with the key its token is to be bound to.

        A proof that is not good is refused before the assertion is used up, and another
        resource (RFC 8707) before a code or refresh token is.
        """
        at_token = endpoint == "token"
        proof = self._binding.proof_of(cast(TokenRequest, request)) if at_token else None
        # What query_client gives; the stub knows its base only.
        client = cast(RegisteredClient, super().authenticate_client(request, methods, endpoint))
        if not at_token:
            return client
        require_target(cast(TokenRequest, request).form, self._audience)
        return self._binding.bound(client, proof)

    def get_token_grant(self, request: OAuth2Request) -> BaseGrant:
        """Return the grant for the request's grant_type."""
        try:
            return super().get_token_grant(request)
        except UnsupportedGrantTypeError as error:
            raise UnknownGrantTypeError(error.grant_type) from error

    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        """Keep nothing: a token carries all that is needed to check it (RFC 9068)."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Tell nobody: no part listens to Authlib's signals."""

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """Return the request, which the endpoint has read already."""
        return request

    def handle_response(
        self, status: int, body: Any, headers: Mapping[str, str] | Iterable[tuple[str, str]]
    ) -> Response:
        """Return what Authlib decided as a Starlette response."""
        if isinstance(body, str):
            return Response(body, status, headers=dict(headers))
        return JSONResponse(body, status, headers=dict(headers))

    def refusal(self, error: OAuth2Error) -> Response:
        """Return the error response of section 5.2."""
        return self.handle_response(*error())
