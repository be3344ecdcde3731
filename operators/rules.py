"""The decision: may this client do this, at this instant? Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 9: no use
beyond the authorised scope. Refusals come in a fixed order, and the first that applies
is given:

1. CLIENT_NOT_ACTIVE: no such client, removed, or its operator is not known;
2. OPERATOR_REVOKED, OPERATOR_SUSPENDED;
3. NO_LICENCE: none of the operator's licences is in force;
4. SCOPE_NOT_GRANTED: outside the role, the token, or the grants in force;
5. DETAILS_NOT_IN_FORCE, PURPOSE_NOT_ALLOWED, ITEM_NOT_ALLOWED: outside the token's
   authorization detail (RFC 9396), whatever licences allow;
6. PURPOSE_NOT_ALLOWED;
7. ITEM_NOT_ALLOWED;
8. REGION_NOT_ALLOWED.

What reasons 6 to 8 are given for is what all the operator's licences together do not allow
(`operators.licensed`).

Methods of the scopes in `operators.duties` are not refused for reasons 2 and 3; records are.
"""

from collections.abc import Sequence

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.authority import Authority
from operators.authorization_details import AuthorizationDetail
from operators.decision import Allow, Ask, Call, Refuse
from operators.duties import DUTY_SCOPES
from operators.licensed import licensed
from operators.model import Client, Licence, ScopeGrant
from operators.openings import openings
from operators.roles import scopes_of_role
from operators.shapes import END_OF_TIME

__all__ = ["Allow", "Ask", "Refuse", "decide", "may_call", "require_call", "require_licences"]


def decide(authority: Authority, ask: Ask, now: int) -> Allow | Refuse:
    """Decide whether ``ask`` may be served at ``now`` (seconds, UTC), and with what.

    An answer is remembered with ``authority`` until time alone may change it.
    """
    known = authority.decisions.recall(ask, now)
    if known is not None:
        return known.decision
    client = authority.clients.get(ask.client_id)
    until = END_OF_TIME if client is None else _next_boundary(authority, client, ask.scope, now)
    if ask.detail is not None:
        until = ask.detail.next_boundary(now, until)
    decision = _decision(authority, ask, now, until)
    authority.decisions.keep(ask, decision, now, until)
    return decision


def may_call(
    authority: Authority, client_id: str, scope: str, token_scopes: frozenset[str], now: int
) -> Refuse | None:
    """Tell why a client may not call a method that serves no records, None when it may.

    Reasons 1 to 4 of the module's list; a licence is asked of operators only, and not for
    their duties. An answer is remembered as by `decide`.
    """
    call = Call(client_id, scope, token_scopes)
    known = authority.calls.recall(call, now)
    if known is not None:
        return known.decision
    client = authority.clients.get(client_id)
    if client is None:
        return _NOT_ACTIVE
    refuse = (
        _inactive(authority, client)
        or (None if scope in DUTY_SCOPES else _stopped(authority, client, now))
        or _not_granted(authority, client, scope, token_scopes, now)
    )
    authority.calls.keep(call, refuse, now, _next_boundary(authority, client, scope, now))
    return refuse


def require_call(
    authority: Authority, client_id: str, scope: str, token_scopes: frozenset[str], now: int
) -> None:
    """Raise Refused with the reason of `may_call`, unless the client may call."""
    refuse = may_call(authority, client_id, scope, token_scopes, now)
    if refuse is not None:
        raise Refused(refuse.reason, refuse.message)


def require_licences(authority: Authority, client_id: str, now: int) -> Sequence[Licence]:
    """Return the licences in force of the operator behind a client that may call.

    Raises Refused with reasons 2 and 3 of the module's list; SCOPE_NOT_GRANTED for clients
    of other roles.
    """
    client = authority.clients[client_id]
    if not client.acts_for_operator:
        raise Refused(_ROLE_WITHOUT_RECORDS.reason, _ROLE_WITHOUT_RECORDS.message)
    if (stopped := _stopped(authority, client, now)) is not None:
        raise Refused(stopped.reason, stopped.message)
    return _licences_in_force(authority, client, now)


def _decision(authority: Authority, ask: Ask, now: int, until: int) -> Allow | Refuse:
    refuse = may_call(authority, ask.client_id, ask.scope, ask.token_scopes, now)
    if refuse is not None:
        return refuse
    client = authority.clients[ask.client_id]
    if not client.acts_for_operator:
        return _ROLE_WITHOUT_RECORDS
    if (stopped := _stopped(authority, client, now)) is not None:
        return stopped
    if ask.detail is not None and (outside := _outside(ask.detail, ask, now)) is not None:
        return outside
    return licensed(
        client.operator_id,
        _licences_in_force(authority, client, now),
        _grants_in_force(authority, client, ask.scope, ask.token_scopes, now),
        ask,
        until,
    )


def _outside(detail: AuthorizationDetail, ask: Ask, now: int) -> Refuse | None:
    if not detail.in_force(now):
        return _DETAIL_NOT_IN_FORCE
    if not detail.covers_purpose(ask.purpose):
        return _DETAIL_PURPOSE
    return _DETAIL_ITEM if detail.items and not ask.items <= detail.items else None


def _inactive(authority: Authority, client: Client) -> Refuse | None:
    if client.removed_at is not None:
        return _NOT_ACTIVE
    if not client.acts_for_operator:
        return None
    return None if client.operator_id in authority.operators else _NOT_ACTIVE


def _stopped(authority: Authority, client: Client, now: int) -> Refuse | None:
    """Tell why the operator behind a client that is active may not act, None when it may."""
    if not client.acts_for_operator:
        return None
    state = authority.operators[client.operator_id].state
    if state == OperatorState.OPERATOR_STATE_REVOKED:
        return _REVOKED
    if state != OperatorState.OPERATOR_STATE_ACTIVE:
        return _SUSPENDED
    return None if _licences_in_force(authority, client, now) else _NO_LICENCE


def _not_granted(
    authority: Authority, client: Client, scope: str, token_scopes: frozenset[str], now: int
) -> Refuse | None:
    if (
        scope in scopes_of_role(client.role)
        # A grant fits the token where this names the scope itself, or a managed one.
        and _grants_in_force(authority, client, scope, token_scopes, now)
    ):
        return None
    return Refuse(
        RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
        f"The method needs the scope {scope}, in the token and in a grant in force.",
    )


def _licences_in_force(authority: Authority, client: Client, now: int) -> list[Licence]:
    held = authority.licences_of.get(client.operator_id, ())
    return [licence for licence in held if licence.in_force(now)]


def _grants_in_force(
    authority: Authority, client: Client, scope: str, token_scopes: frozenset[str], now: int
) -> list[ScopeGrant]:
    return [
        opening.grant
        for opening in openings(authority, client.grantee, scope)
        if opening.fits(token_scopes) and opening.grant.in_force(now)
    ]


def _next_boundary(authority: Authority, client: Client, scope: str, now: int) -> int:
    """Return the first instant after ``now`` at which any validity in play starts or ends."""
    instants: list[int | None] = []
    for licence in authority.licences_of.get(client.operator_id, ()):
        if licence.revoked_at is None:
            instants += (licence.valid_from, licence.valid_until)
    for _, grant in openings(authority, client.grantee, scope):
        if grant.withdrawn_at is None:
            instants += (grant.valid_from, grant.valid_until)
    return min((at for at in instants if at is not None and at > now), default=END_OF_TIME)


_NOT_ACTIVE = Refuse(
    RefusalReason.REFUSAL_REASON_CLIENT_NOT_ACTIVE,
    "The client is not registered or was removed; ask the administrator.",
)
_REVOKED = Refuse(
    RefusalReason.REFUSAL_REASON_OPERATOR_REVOKED, "The operator was revoked for good."
)
_SUSPENDED = Refuse(
    RefusalReason.REFUSAL_REASON_OPERATOR_SUSPENDED,
    "The operator is suspended; the administrator can reinstate it.",
)
_NO_LICENCE = Refuse(
    RefusalReason.REFUSAL_REASON_NO_LICENCE, "The operator holds no licence in force."
)
_ROLE_WITHOUT_RECORDS = Refuse(
    RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED, "Only clients of operators take records."
)
_DETAIL_NOT_IN_FORCE = Refuse(
    RefusalReason.REFUSAL_REASON_DETAILS_NOT_IN_FORCE,
    "The period of the token's authorization details has not begun or is over.",
)
_DETAIL_PURPOSE = Refuse(
    RefusalReason.REFUSAL_REASON_PURPOSE_NOT_ALLOWED,
    "Name a purpose of the token's authorization details.",
)
_DETAIL_ITEM = Refuse(
    RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
    "Ask only for catalogue items of the token's authorization details, all of one detail.",
)
