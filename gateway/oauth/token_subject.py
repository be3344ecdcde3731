"""Whom an access token speaks for, where that is not just the client that holds it."""

from dataclasses import dataclass
from typing import Any

from gateway.authenticate.claims import Actor, Ancestor


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """What a token says of its ``sub`` (RFC 9068 section 2.2) and where it comes from.

    ``principal`` is the ``sub``; ``auth_time`` (seconds, UTC) and ``acr`` tell how a
    person signed in; ``grant_id`` names the grant, ``actor`` who acts by exchange and
    ``ancestors`` the tokens it was exchanged from, ``opens`` the scopes of methods that the
    managed scopes of the grant stood for when it was approved. The token ends at ``until``
    (seconds, UTC) at the latest, None: when its own life is over.
    """

    principal: str
    auth_time: int | None = None
    acr: str | None = None
    grant_id: str | None = None
    actor: Actor | None = None
    ancestors: tuple[Ancestor, ...] = ()
    until: int | None = None
    opens: frozenset[str] = frozenset()

    def claims(self) -> dict[str, Any]:
        """Return the claims, without those that say nothing."""
        actor = None if self.actor is None else self.actor.model_dump(exclude_none=True)
        claims = {
            "sub": self.principal,
            "auth_time": self.auth_time,
            "acr": self.acr,
            "grant_id": self.grant_id,
            "act": actor,
            "ancestors": [each.model_dump() for each in self.ancestors] or None,
            "opens": " ".join(sorted(self.opens)) or None,
        }
        return {name: value for name, value in claims.items() if value is not None}
