"""Who may approve what a client asks for. Pure.

Administrators approve for clients that administer, within their own roles; a company's
representative approves for an operator's client, about that company alone (Opinions of
2025-03-31, article 9: use rests on the subject's authorisation). What asks for a consent,
a deputy with the power to answer approves too, within its limits.
"""

from dataclasses import dataclass
from typing import Final, Literal

from consent.delegation import Power
from consent.model import ConsentTerms
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.oauth.interactions import Approval, AskedAuthorization
from gateway.signin.identity import Identity
from gateway.subject.acting import Acting, signed_in_freshly
from operators.administrators import STRONG_ACR
from operators.authority import Authority
from operators.authorization_details import AuthorizationDetail
from operators.details_authority import SCOPE
from operators.model import Client
from operators.openings import open_names, stood_for
from operators.persons import administrator_at, scopes_within

Need = Literal["absent", "stale", "weak"]
"""Why somebody must sign in: nobody is signed in; it is too long ago; not strongly enough."""

Obstacle = Literal[
    "client-gone",
    "no-administrator",
    "no-company",
    "other-company",
    "no-subjects",
    "nothing-left",
    "not-yours",
    "not-open",
]
"""Why who is signed in cannot approve: the client or its operator may not act; they do not
administer this gateway; act for no company; are asked about another company; are asked
about companies not named; what is asked lies outside their roles or is granted no more; is
not what they are a deputy for; no consent can be given to it now."""

_STANDING: Final = OperatorState.OPERATOR_STATE_ACTIVE


@dataclass(frozen=True, slots=True)
class Approvable:
    """What may be approved, and the principal the tokens then act for.

    ``opened`` are the scopes of methods that the managed ones of ``scopes`` stand for;
    ``delegation`` is the id of the one the principal acts under, "" for none.
    """

    principal: str
    scopes: frozenset[str]
    details: tuple[AuthorizationDetail, ...]
    opened: frozenset[str]
    delegation: str = ""

    def approval(self, identity: Identity) -> Approval:
        """Return the approval of all of it by ``identity``, as signed in."""
        return Approval(
            self.principal,
            self.scopes,
            self.details,
            identity.auth_time,
            identity.acr,
            self.opened,
        )


def asks_anew(asked: AskedAuthorization) -> bool:
    """Tell whether somebody must sign in for this request, whoever is signed in already."""
    return not {"login", "select_account"}.isdisjoint(asked.prompt.split())


def needs_sign_in(asked: AskedAuthorization, identity: Identity | None, now: int) -> Need | None:
    """Tell why somebody must sign in before the approval at ``now`` (seconds, UTC); None
    where nobody must.

    RFC 9470 section 5: max_age and acr_values of the request are kept here, where the
    person is, not only where the token is used. A consent takes a sign-in of its own
    freshness, whatever the request says.
    """
    if identity is None:
        return "absent"
    if asked.consent_terms is not None and not signed_in_freshly(identity, now):
        return "stale"
    max_age = 0 if asks_anew(asked) else asked.max_age
    if max_age is not None and identity.auth_time < asked.asked_at - max_age:
        return "stale"
    return "weak" if STRONG_ACR in asked.acr_values and not identity.strong else None


def approvable(
    authority: Authority, asked: AskedAuthorization, identity: Identity, now: int
) -> Approvable | Obstacle:
    """Return what ``identity`` may approve of ``asked`` at ``now`` (seconds, UTC), or why not.

    For what asks for no consent.
    """
    client = authority.clients.get(asked.client_id)
    if client is None or client.removed_at is not None:
        return "client-gone"
    open_now = asked.scopes & open_names(authority, client.grantee, now)
    if client.role == ClientRole.CLIENT_ROLE_ADMINISTRATOR:
        return _by_administrator(authority, asked, identity, open_now)
    if client.role == ClientRole.CLIENT_ROLE_OPERATOR and _acts(authority, client):
        return _by_representative(authority, asked, identity, open_now)
    return "client-gone"


def consentable(
    authority: Authority,
    asked: AskedAuthorization,
    identity: Identity,
    acting: Acting | None,
    terms: ConsentTerms,
    now: int,
) -> Approvable | Obstacle:
    """As `approvable`, for what asks for a consent of ``terms``.

    ``acting`` is how ``identity`` acts for the subject of the consent, None where they do
    not. Such tokens read records and do nothing else, whatever else was asked for.
    """
    client = authority.clients.get(asked.client_id)
    if client is None or client.removed_at is not None or not _acts(authority, client):
        return "client-gone"
    if acting is None:
        return "other-company" if identity.uscc else "no-company"
    delegation = acting.under_terms(Power.ANSWER, terms, client.operator_id)
    if delegation is None:
        return "not-yours"
    reading = frozenset(
        name
        for name in asked.scopes & open_names(authority, client.grantee, now)
        if name == SCOPE or SCOPE in stood_for(authority, (name,))
    )
    if not reading:
        return "nothing-left"
    opened = stood_for(authority, reading) & {SCOPE}
    return Approvable(acting.principal, reading, asked.details, opened, delegation)


def _by_administrator(
    authority: Authority,
    asked: AskedAuthorization,
    identity: Identity,
    open_now: frozenset[str],
) -> Approvable | Obstacle:
    administrator = administrator_at(authority, identity.issuer, identity.subject)
    if administrator is None:
        return "no-administrator"
    scopes = scopes_within(authority, administrator.principal, open_now)
    if not scopes:
        return "nothing-left"
    opened = stood_for(authority, scopes)
    return Approvable(administrator.principal, scopes, asked.details, opened)


def _by_representative(
    authority: Authority,
    asked: AskedAuthorization,
    identity: Identity,
    open_now: frozenset[str],
) -> Approvable | Obstacle:
    if not identity.uscc:
        return "no-company"
    # A detail without subjects is about everybody.
    if not asked.details or any(not detail.subjects for detail in asked.details):
        return "no-subjects"
    if any(detail.subjects != frozenset({identity.uscc}) for detail in asked.details):
        return "other-company"
    if not open_now:
        return "nothing-left"
    opened = stood_for(authority, open_now)
    return Approvable(identity.representative, open_now, asked.details, opened)


def _acts(authority: Authority, client: Client) -> bool:
    operator = authority.operators.get(client.operator_id)
    return operator is not None and operator.state == _STANDING
