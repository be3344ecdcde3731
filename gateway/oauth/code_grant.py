"""RFC 6749 section 4.1: the authorisation code grant, held to the FAPI 2.0 profile.

Authlib's grant with PKCE (RFC 7636). The first half, the request, runs when it is pushed
(RFC 9126); the second, the code, at the token endpoint.
"""

import hmac
import re
from typing import Any, Final, cast

from authlib.oauth2.rfc6749 import (
    BaseGrant,
    ClientMixin,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from gateway.oauth.approved_tokens import ApprovedTokens
from gateway.oauth.client import AUTHENTICATION_METHODS, RegisteredClient
from gateway.oauth.grants import IssuedCode
from gateway.oauth.request import TokenRequest
from gateway.oauth.secret import new_secret

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SPENT: Final = "The code is unknown, over or used; begin the authorisation anew."


class S256Challenge(CodeChallenge):
    """Authlib's PKCE, with the one method the profile allows, always."""

    def validate_code_challenge(self, grant: BaseGrant, redirect_uri: str) -> None:
        """Refuse a request without a challenge of the method. Raises InvalidRequestError."""
        del redirect_uri
        asked = cast(TokenRequest, grant.request).form
        if asked.get("code_challenge_method") != "S256":
            raise InvalidRequestError("Send a code_challenge with code_challenge_method S256.")
        if not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            raise InvalidRequestError(
                "code_challenge must be the SHA-256 of the verifier in base64url, 43 characters."
            )


class CodeGrant(AuthorizationCodeGrant):
    """Authlib's grant over our store of codes."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION_METHODS
    approved: ApprovedTokens

    @staticmethod
    def validate_authorization_redirect_uri(request: OAuth2Request, client: ClientMixin) -> str:
        """Return the redirect_uri asked for, which must be registered as it stands.

        RFC 9700 section 2.1: compared character by character. Raises InvalidRequestError.
        """
        uri = cast(TokenRequest, request).form.get("redirect_uri")
        if uri is None:
            raise InvalidRequestError("The parameter redirect_uri is missing.")
        if not client.check_redirect_uri(uri):
            raise InvalidRequestError(
                "redirect_uri must be one registered for the client, character by character."
            )
        return uri

    def query_authorization_code(self, code: str, client: ClientMixin) -> IssuedCode:
        """Return the client's code. Raises InvalidGrantError; a used one ends its grant."""
        approved = self.approved
        issued = approved.grants.code(code, client.get_client_id(), approved.context.clock.now())
        if issued is None:
            raise InvalidGrantError(_SPENT)
        return issued

    def validate_token_request(self) -> None:
        """Check client, code, redirect_uri, verifier, and the key the code is bound to."""
        super().validate_token_request()
        jkt = cast(IssuedCode, self.request.authorization_code).terms.jkt
        client = cast(RegisteredClient, self.request.client)
        # RFC 9449 section 10.
        if jkt is not None and not hmac.compare_digest(jkt, client.proven or ""):
            raise InvalidGrantError("The code is bound to another key than the proof shows.")

    # Authlib's server makes JSON of the body; the stub knows texts only.
    def create_token_response(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Use the code up; return status, body and headers.

        Written out because Authlib's own writes the tokens to its debug log, and uses
        the code up only after the token is made.
        """
        approved = self.approved
        client = cast(RegisteredClient, self.request.client)
        code = cast(IssuedCode, self.request.authorization_code)
        now = approved.context.clock.now()
        lasting = client.check_grant_type("refresh_token")
        granted = code.terms.granted
        life = approved.context.grant_seconds if lasting else approved.context.token_seconds
        # A grant of nothing but a consent, say, ends with that.
        until = min(now + life, granted.over_at)
        if until <= now:
            raise InvalidGrantError("What was approved is over; begin the authorisation anew.")
        token = approved.token(
            self,
            client,
            granted.subject(code.grant_id, until),
            frozenset(granted.scope.split()),
            granted.details,
            self.request.form,
        )
        refresh_token = new_secret() if lasting else None
        if not approved.grants.redeem(code, refresh_token, until, now):
            raise InvalidGrantError(_SPENT)
        more = {} if refresh_token is None else {"refresh_token": refresh_token}
        return 200, {**token, **more}, list(self.TOKEN_RESPONSE_HEADER)
