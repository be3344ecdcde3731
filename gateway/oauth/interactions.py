"""Interactions: where the authorisation endpoint hands a browser to people and gets it back.

The endpoint sends the browser to ``/interaction/{id}``; the pages there sign a person in,
show what is asked and answer by one of the two decisions. The id is a secret of 256
random bits that only this browser was given.
"""

from dataclasses import dataclass
from typing import Protocol

from gateway.oauth.rfc9207 import ResponseError
from operators.authorization_details import AuthorizationDetail
from operators.consent_terms import AskedConsentTerms


@dataclass(frozen=True, slots=True)
class AskedAuthorization:
    """What a client asks a person to approve, its pushed request resolved and checked.

    ``scopes`` may be named in a token of the client's; ``redirect_uri`` is where the
    browser goes back to, registered for it. ``acr_values``, ``max_age`` (seconds) and
    ``prompt`` are those of the request (OpenID Connect Core section 3.1.2.1, RFC 9470
    section 4), empty and None where it has none. ``consent_terms`` are those of the consent
    its one detail asks for; an approval then names that consent. ``request_id`` is the same
    for every interaction over one pushed request, and ``pushed_at`` when that came. Times
    are UTC seconds.
    """

    interaction_id: str
    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    details: tuple[AuthorizationDetail, ...]
    acr_values: tuple[str, ...]
    max_age: int | None
    prompt: str
    asked_at: int
    expires_at: int
    pushed_at: int
    request_id: str
    consent_terms: AskedConsentTerms | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approves what.

    ``principal`` becomes the token's ``sub``; ``scopes`` and ``details`` are at most those
    asked for; ``auth_time`` (UTC seconds) and ``acr`` tell how the person signed in;
    ``opened`` are the scopes of methods that the person was shown the managed ones of
    ``scopes`` to stand for.
    """

    principal: str
    scopes: frozenset[str]
    details: tuple[AuthorizationDetail, ...]
    auth_time: int
    acr: str
    opened: frozenset[str] = frozenset()


class Interactions(Protocol):
    """Interactions that wait for a person. Calls block; each is decided once."""

    def asked(self, interaction_id: str) -> AskedAuthorization | None:
        """Return what is asked; None where nothing of that id waits any more."""
        ...

    def approve(self, interaction_id: str, approval: Approval) -> str | None:
        """Approve, and return the URL that takes the browser back to the client.

        None where nothing of that id waits any more.
        """
        ...

    def deny(self, interaction_id: str, error: ResponseError = "access_denied") -> str | None:
        """Deny, and tell the client why; as `approve`."""
        ...
