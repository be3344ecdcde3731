"""RFC 6749 section 6: access tokens for a refresh token, as long as its grant stands.

A refresh token is bound to its client by the client's authentication (FAPI 2.0 allows
confidential clients only). It narrows and never widens, and nothing is remembered of
earlier decisions: operator, grants and person are judged anew each time (G4).
"""

from typing import Any, cast

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from gateway.oauth.approved_tokens import ApprovedTokens
from gateway.oauth.client import AUTHENTICATION_METHODS, RegisteredClient
from gateway.oauth.refresh_tokens import HeldRefreshToken


class RefreshGrant(RefreshTokenGrant):
    """Authlib's grant over our store of refresh tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION_METHODS
    approved: ApprovedTokens

    def authenticate_refresh_token(self, refresh_token: str) -> HeldRefreshToken:
        """Return the client's token. Raises InvalidGrantError."""
        approved = self.approved
        client = cast(RegisteredClient, self.request.client)
        held = approved.grants.refresh_token(
            refresh_token, client.get_client_id(), approved.context.clock.now()
        )
        if held is None or not held.check_client(client):
            raise InvalidGrantError(
                "The refresh token is unknown, over or revoked; begin the authorisation anew."
            )
        return held

    # Authlib's server makes JSON of the body; the stub knows texts only.
    def create_token_response(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Return status, body and headers.

        Written out because Authlib's own writes the tokens to its debug log.
        """
        approved = self.approved
        client = cast(RegisteredClient, self.request.client)
        held = cast(HeldRefreshToken, self.request.refresh_token)
        # Authlib has checked that what is asked for was approved.
        asked = frozenset(self.request.form.get("scope", "").split())
        if not asked <= client.granted:
            raise InvalidScopeError("Ask for scopes that were approved and are still granted.")
        token = approved.token(
            self,
            client,
            held.subject,
            asked or held.grant.scopes,
            held.grant.details,
            self.request.form,
        )
        now = approved.context.clock.now()
        following = approved.grants.use(held, held.issued_at < approved.context.rotate_before, now)
        more = {} if following is None else {"refresh_token": following}
        return 200, {**token, **more}, list(self.TOKEN_RESPONSE_HEADER)
