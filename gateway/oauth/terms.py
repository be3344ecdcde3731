"""What people approved, as the store keeps it: the terms of a grant and of its code."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

from gateway.oauth.grant_port import StandingGrant
from gateway.oauth.rfc9396 import as_json
from gateway.oauth.token_subject import TokenSubject
from operators.authorization_details import Details
from operators.shapes import END_OF_TIME

KeptDetails = Annotated[Details, PlainSerializer(as_json)]
"""Details as documents of the store have them: as tokens do."""


class GrantTerms(BaseModel):
    """What a person allowed a client.

    ``scope`` and ``details`` are the most its tokens may carry, ``opened`` the scopes of
    methods that the managed ones of ``scope`` stood for; ``auth_time`` (seconds, UTC) and
    ``acr`` tell how the person ``principal`` had signed in.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    principal: str
    scope: str
    details: KeptDetails
    auth_time: int
    acr: str
    # Terms kept before this was noted open nothing by managed scopes: fail closed.
    opened: str = ""

    @property
    def over_at(self) -> int:
        """When nothing of it can be used any more (seconds, UTC)."""
        return max((detail.period.until for detail in self.details), default=END_OF_TIME)

    def standing(
        self, grant_id: str, client_id: str, granted_at: int, expires_at: int
    ) -> StandingGrant:
        """Return the grant of these terms."""
        return StandingGrant(
            grant_id,
            client_id,
            self.principal,
            frozenset(self.scope.split()),
            self.details,
            granted_at,
            expires_at,
        )

    def subject(self, grant_id: str, expires_at: int) -> TokenSubject:
        """Return whom tokens of the grant speak for; none outlasts it."""
        return TokenSubject(
            self.principal,
            self.auth_time,
            self.acr,
            grant_id=grant_id,
            until=expires_at,
            opens=frozenset(self.opened.split()),
        )


class CodeTerms(BaseModel):
    """What a code gives, and what whoever redeems it must show.

    ``jkt`` is the thumbprint of the key its token must be bound to (RFC 9449 section
    10), None for any.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    redirect_uri: str
    code_challenge: str
    jkt: str | None
    granted: GrantTerms
