"""Tokens of what people approved: the same rules when a code is redeemed and on refresh."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import BaseGrant, InvalidGrantError

from gateway.oauth.client import RegisteredClient
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.grants import SqlOAuthGrants
from gateway.oauth.rfc9396 import PARAMETER, Details, DetailsDesk
from gateway.oauth.server import require_active
from gateway.oauth.token_subject import TokenSubject
from operators.openings import approved_names
from operators.persons import scopes_within


class ApprovedTokens:
    """Makes access tokens that stay within what was approved and what still stands (G4).

    Authlib has it as an extension of the grants that use it.
    """

    def __init__(
        self, context: AuthorizationContext, grants: SqlOAuthGrants, details: DetailsDesk
    ) -> None:
        self.context = context
        self.grants = grants
        self._details = details

    def __call__(self, grant: Any) -> None:
        """Serve ``grant``."""
        grant.approved = self

    def token(
        self,
        grant: BaseGrant,
        client: RegisteredClient,
        subject: TokenSubject,
        scopes: frozenset[str],
        held: Details,
        form: Mapping[str, str],
    ) -> dict[str, Any]:
        """Return the token response for ``client``, without a refresh token.

        ``scopes`` and ``held`` are the most the token may carry; a form with the parameter
        authorization_details narrows them further. Raises OAuth2Error, Refused.
        """
        require_active(client)
        authority = self.context.authority().authority
        named = scopes_within(authority, subject.principal, scopes & client.granted)
        # A managed scope may by now stand for nothing of what was approved.
        standing = " ".join(
            sorted(
                name
                for name in named
                if approved_names(authority, frozenset({name}), subject.opens)
            )
        )
        if not standing:
            raise InvalidGrantError(
                "The client, or who approved, now has none of the scopes that were approved."
            )
        details = self._details.narrowed(client, form.get(PARAMETER), held, standing)
        now = self.context.clock.now()
        life = self.context.token_seconds
        grant.request.client = client.limited_to(details)
        token: dict[str, Any] = grant.generate_token(
            user=subject,
            scope=standing,
            expires_in=life if subject.until is None else min(life, subject.until - now),
            include_refresh_token=False,
        )
        return {**token, "grant_id": subject.grant_id}
