"""RFC 9126 (PAR): clients push their authorisation requests, authenticated, before anything else.

FAPI 2.0 Security Profile, section 5.3.2.2: there is no other way to ask. All of a request
is checked here; what the browser carries afterwards is a reference to it.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError, UnauthorizedClientError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.client import AUTHENTICATION_METHODS, RegisteredClient
from gateway.oauth.code_grant import CodeGrant
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.dpop import DpopBinding
from gateway.oauth.form_endpoint import form_endpoint
from gateway.oauth.pushed_requests import REQUEST_SECONDS, SqlPushedRequests
from gateway.oauth.request import TokenRequest
from gateway.oauth.rfc8414 import RESPONSE_MODES
from gateway.oauth.rfc8707 import require_target
from gateway.oauth.rfc9101 import RequestObjects
from gateway.oauth.rfc9396 import PARAMETER
from gateway.oauth.server import (
    ScopeNotGrantedError,
    StarletteAuthorizationServer,
    require_active,
)

URI_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
"""What a request_uri begins with; the reference follows (section 2.2)."""

# RFC 6749 appendix A.5; clients may carry a JWT in it (FAPI 2.0 section 5.3.2.2, note 4).
_STATE: Final = re.compile(r"[ -~]{1,2048}")
_MAX_AGE: Final = re.compile(r"[0-9]{1,9}")
_ACR_VALUES: Final = re.compile(r"[!-~ ]{1,512}")
_PROMPT: Final = re.compile(
    r"none|(login|consent|select_account)( (login|consent|select_account))*"
)
_PATTERNS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "state": (_STATE, "state must be at most 2048 printable ASCII characters."),
    "max_age": (_MAX_AGE, "max_age must be a number of seconds."),
    "acr_values": (_ACR_VALUES, "acr_values must be at most 512 printable ASCII characters."),
    "prompt": (_PROMPT, "prompt must be none, or of login, consent and select_account."),
}


class UnsupportedResponseType(OAuth2Error):
    """The response type is not the one of the profile."""

    error = "unsupported_response_type"
    description = "The only response_type is code."


class PushedRequestDesk:
    """Takes pushed requests in. Blocks on the store."""

    def __init__(
        self,
        context: AuthorizationContext,
        server: StarletteAuthorizationServer,
        binding: DpopBinding,
        requests: SqlPushedRequests,
    ) -> None:
        self._context = context
        self._server = server
        self._binding = binding
        self._requests = requests
        self._objects = RequestObjects(context.endpoints.issuer, context.clock)

    def answer(self, request: TokenRequest) -> Response:
        """Return the response of section 2.2, or of section 2.3 for what is refused."""
        try:
            asked = self._checked(request)
        except OAuth2Error as error:
            # A browser is not involved yet: nothing is redirected, whatever is wrong.
            error.redirect_uri = None
            return self._server.refusal(error)
        reference = self._requests.push(asked, self._context.clock.now())
        return JSONResponse(
            {"request_uri": URI_PREFIX + reference, "expires_in": REQUEST_SECONDS},
            201,
            headers={"Cache-Control": "no-cache, no-store"},
        )

    def _checked(self, request: TokenRequest) -> AuthorizationRequest:
        # Before the assertion is used up, as at the token endpoint.
        proof = self._binding.proof_of(request)
        client = self._server.authenticate_client(request, AUTHENTICATION_METHODS, "par")
        if not client.check_grant_type(CodeGrant.GRANT_TYPE):
            raise UnauthorizedClientError(
                "The client is not registered for the grant type authorization_code."
            )
        require_active(client)
        if "request_uri" in request.form:
            raise InvalidRequestError("A pushed request cannot name a request_uri.")
        asked = self._objects.parameters(client, request.form)
        jkt = self._binding.pushed_key(client, proof, asked.get("dpop_jkt"))
        return self._request(client, asked, jkt)

    def _request(
        self, client: RegisteredClient, asked: Mapping[str, str], jkt: str | None
    ) -> AuthorizationRequest:
        scope = self._by_authlib(client, asked)
        _require_shapes(asked)
        require_target(asked, self._context.audience)
        details, terms = self._server.details.pushed(client, asked.get(PARAMETER), scope)
        return AuthorizationRequest(
            client_id=client.record.client_id,
            redirect_uri=asked["redirect_uri"],
            scope=scope,
            state=asked.get("state"),
            code_challenge=asked["code_challenge"],
            signed_response=_signed_response(asked),
            jkt=jkt,
            details=details,
            consent_terms=terms,
            acr_values=asked.get("acr_values", ""),
            max_age=int(asked["max_age"]) if "max_age" in asked else None,
            prompt=asked.get("prompt", ""),
        )

    def _by_authlib(self, client: RegisteredClient, asked: Mapping[str, str]) -> str:
        """Have Authlib's grant check response type, redirect_uri, scope and challenge.

        Return the scope to grant. Raises OAuth2Error.
        """
        client_id = client.record.client_id
        # Who pushed is who asks; another client_id would be another client's request.
        if asked.get("client_id", client_id) != client_id:
            raise InvalidRequestError("client_id must name the client that pushes the request.")
        if "response_type" not in asked:
            raise InvalidRequestError("The parameter response_type is missing.")
        if asked["response_type"] != "code":
            raise UnsupportedResponseType
        request = TokenRequest(
            self._context.endpoints.authorization, {}, {**asked, "client_id": client_id}, None
        )
        grant = cast(CodeGrant, self._server.get_authorization_grant(request))
        try:
            grant.validate_authorization_request()
        except InvalidScopeError:
            raise ScopeNotGrantedError from None
        # What Authlib resolved; the stub means the property as it was before.
        return request.scope  # pyright: ignore[reportDeprecated]


def _require_shapes(asked: Mapping[str, str]) -> None:
    for name, (pattern, mend) in _PATTERNS.items():
        if name in asked and not pattern.fullmatch(asked[name]):
            raise InvalidRequestError(mend)
    # Grant Management for OAuth 2.0, section 5: each approval here makes its own grant.
    if asked.get("grant_management_action", "create") != "create" or "grant_id" in asked:
        raise InvalidRequestError(
            "The only grant_management_action of a request is create, without grant_id."
        )


def _signed_response(asked: Mapping[str, str]) -> bool:
    mode = asked.get("response_mode", "query")
    if mode not in RESPONSE_MODES:
        raise InvalidRequestError(f"response_mode must be of {', '.join(RESPONSE_MODES)}.")
    return mode != "query"


def pushed_request_route(
    context: AuthorizationContext,
    server: StarletteAuthorizationServer,
    binding: DpopBinding,
    requests: SqlPushedRequests,
) -> Route:
    """Return the route of the endpoint for pushed requests."""
    desk = PushedRequestDesk(context, server, binding, requests)
    # What is needed depends: an assertion names the client, a request object the rest.
    return form_endpoint(server, context.endpoints.pushed_request, desk.answer, needed=None)
