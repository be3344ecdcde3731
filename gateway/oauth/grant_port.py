"""OAuth grants as the endpoints that show and end them see them.

A grant is what a person allowed one client, in the code flow: tokens come from it for
as long as it stands. Machine tokens come from no grant.
"""

from dataclasses import dataclass
from typing import Protocol

from operators.authorization_details import AuthorizationDetail


@dataclass(frozen=True, slots=True)
class StandingGrant:
    """A grant that stands.

    ``principal`` is who allowed it (the ``sub`` of its tokens). ``expires_at`` is None
    where it lasts until revoked; times are in seconds, UTC.
    """

    grant_id: str
    client_id: str
    principal: str
    scopes: frozenset[str]
    details: tuple[AuthorizationDetail, ...]
    granted_at: int
    expires_at: int | None


class OAuthGrants(Protocol):
    """The store of grants and refresh tokens. Calls block on it."""

    def get(self, grant_id: str, now: int) -> StandingGrant | None:
        """Return the grant; None when there is none that stands at ``now``."""
        ...

    def of_refresh_token(self, token: str, now: int) -> StandingGrant | None:
        """Return the grant of a refresh token that may be used at ``now``; None otherwise."""
        ...

    def revoke(self, grant_id: str, now: int) -> None:
        """End the grant with its refresh and access tokens, in one transaction.

        Nothing happens when there is none, or it was ended before.
        """
        ...
