"""RFC 6749 on Starlette: the adapter over Authlib's framework-neutral core."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import BaseGrant, UnauthorizedClientError, UnsupportedGrantTypeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from starlette.responses import JSONResponse, Response

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.oauth.client import AUTHENTICATION_METHODS, GRANT_TYPES, RegisteredClient
from gateway.oauth.request import TokenRequest
from gateway.oauth.rfc7523 import PrivateKeyJwtOverMutualTls
from gateway.oauth.rfc9068 import BoundTokenGenerator


class UnknownGrantTypeError(UnsupportedGrantTypeError):
    """The grant type is none of ours; the answer does not repeat what was sent."""

    description = f"Supported grant types: {', '.join(GRANT_TYPES)}."


class MachineGrant(ClientCredentialsGrant):
    """The client credentials grant (section 4.4), for clients whose operator may act."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION_METHODS

    def validate_token_request(self) -> None:
        """Authenticate the client and check that its operator is active."""
        super().validate_token_request()
        client = cast(RegisteredClient, self.request.client)
        if not client.may_act:
            suspended = client.operator_state == OperatorState.OPERATOR_STATE_SUSPENDED
            raise UnauthorizedClientError(
                "The operator is suspended." if suspended else "The operator was revoked."
            )

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Return status, body and headers.

        Written out because Authlib's own writes the token to its debug log.
        """
        scope = self.request.form.get("scope")
        token = self.generate_token(scope=scope, include_refresh_token=False)
        self.save_token(token)
        return 200, token, list(self.TOKEN_RESPONSE_HEADER)


class StarletteAuthorizationServer(AuthorizationServer):
    """Authlib's server with Starlette's responses.

    `token_response` blocks on the store: call it in a thread.
    """

    def __init__(
        self,
        query_client: Callable[[str], RegisteredClient | None],
        authentication: PrivateKeyJwtOverMutualTls,
        generator: BoundTokenGenerator,
    ) -> None:
        super().__init__()
        self._query_client = query_client
        self.register_client_auth_method(
            PrivateKeyJwtOverMutualTls.CLIENT_AUTH_METHOD, authentication
        )
        self.register_token_generator("default", generator)
        self.register_grant(MachineGrant)

    def token_response(self, request: TokenRequest) -> Response:
        """Return the answer to a token request."""
        # What handle_response makes; the stub says what it is made of.
        return cast(Response, self.create_token_response(request))

    # Authlib's caller checks for None; its stub knows none.
    def query_client(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, client_id: str
    ) -> RegisteredClient | None:
        """Return the client as of now."""
        return self._query_client(client_id)

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
        return JSONResponse(body, status, headers=dict(headers))

    def refusal(self, error: OAuth2Error) -> Response:
        """Return the error response of section 5.2."""
        return self.handle_response(*error())
