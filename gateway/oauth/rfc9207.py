"""Authorisation responses: where the browser goes back to, and who sends it.

RFC 9207 section 2: every response names its issuer, errors too, so that a client that
talks to several servers cannot be made to mix them up. Or, where the request asked for
it, the whole response is one JWT of this server (JARM), which names the issuer inside.
"""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlencode

from gateway.clock import Clock
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.client import RegisteredClient
from gateway.oauth.signing import SigningKeys

RESPONSE_SECONDS: Final = 300
"""Life of a response JWT; JARM section 2.1 recommends at most ten minutes."""

ResponseError = Literal[
    "access_denied",
    "unauthorized_client",
    "login_required",
    "consent_required",
    "unmet_authentication_requirements",
]
"""Errors of RFC 6749 section 4.1.2.1, of OpenID Connect Core section 3.1.2.6 and of its
extension for unmet authentication requirements (RFC 9470 section 5 names it)."""

_DESCRIPTIONS: Final[Mapping[ResponseError, str]] = {
    "access_denied": "The request was denied.",
    "unauthorized_client": "The client, or the operator behind it, may not act now.",
    "login_required": "Nobody is signed in, and the request allows no sign-in.",
    "consent_required": "Someone must approve, and the request allows no asking.",
    "unmet_authentication_requirements": "The sign-in does not meet acr_values or max_age.",
}


class AuthorizationResponses:
    """Makes the URLs that take browsers back to clients."""

    def __init__(self, issuer: str, keys: SigningKeys, clock: Clock) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock

    def success(self, request: AuthorizationRequest, client: RegisteredClient, code: str) -> str:
        """Return the URL of a response with a code (RFC 6749 section 4.1.2).

        Raises Refused TEMPORARILY_UNAVAILABLE when it is to be signed and no key is at hand.
        """
        return self._url(request, client, {"code": code})

    def failure(
        self, request: AuthorizationRequest, client: RegisteredClient, error: ResponseError
    ) -> str:
        """Return the URL of an error response (section 4.1.2.1). Raises as `success`."""
        return self._url(
            request, client, {"error": error, "error_description": _DESCRIPTIONS[error]}
        )

    def _url(
        self, request: AuthorizationRequest, client: RegisteredClient, result: dict[str, str]
    ) -> str:
        answer = {"iss": self._issuer, **result}
        if request.state is not None:
            answer["state"] = request.state
        if request.signed_response:
            # Section 2.4 of RFC 9207: beside a JWT there is no parameter iss.
            answer = {"response": self._signed(client, answer)}
        # What was registered stays as it is, its own query included.
        separator = "&" if "?" in request.redirect_uri else "?"
        return f"{request.redirect_uri}{separator}{urlencode(answer)}"

    def _signed(self, client: RegisteredClient, answer: dict[str, str]) -> str:
        """Return the answer as a JWT (JARM section 2.1)."""
        now = self._clock.now()
        claims = {**answer, "aud": client.get_client_id(), "exp": now + RESPONSE_SECONDS}
        return self._keys.sign(client.signing_keys, claims, "JWT", now)
