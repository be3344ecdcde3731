"""What a person may do through a client, at this instant. Pure.

The client's own authority is judged by `operators.rules`; here, on top of it, the person
the token acts for: still an administrator, in a role that has the scope, and signed in
strongly and just now where that is asked.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.administrators import (
    DANGEROUS_SCOPES,
    FRESH_SECONDS,
    PRINCIPAL_PREFIX,
    STRONG_ACR,
    Administrator,
)
from operators.authority import Authority

OUT_OF_REACH: Final = "administrators:register"
"""Who may let administrators in may also give their clients what they do not have."""

OWN_PAGES: Final = "gateway:console"
"""Through what people act on the gateway's own pages. No client can have this id, and it has
no grants: who acts there is judged by their roles alone."""


class SignIn(NamedTuple):
    """Who acts, and how they signed in.

    ``principal`` is the token's ``sub``: "administrator:" and an id for an administrator,
    anything else for others. ``auth_time`` in seconds UTC, None where nobody signed in.
    """

    principal: str
    auth_time: int | None
    acr: str


def acting_administrator(authority: Authority, principal: str) -> Administrator | None:
    """Return the administrator a token acts for, None where it acts for no administrator.

    Raises Refused ADMINISTRATOR_NOT_ACTIVE for one unknown or removed.
    """
    if not principal.startswith(PRINCIPAL_PREFIX):
        return None
    administrator = authority.administrators.get(principal.removeprefix(PRINCIPAL_PREFIX))
    if administrator is None or administrator.removed_at is not None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_ADMINISTRATOR_NOT_ACTIVE,
            "You are no administrator here, or no longer one; ask one in the role security.",
        )
    return administrator


def administrator_at(authority: Authority, issuer: str, subject: str) -> Administrator | None:
    """Return the administrator whom the provider ``issuer`` calls ``subject``, None for
    anybody else."""
    for administrator in authority.administrators.values():
        same = (administrator.issuer, administrator.subject) == (issuer, subject)
        if same and administrator.removed_at is None:
            return administrator
    return None


def require_person(authority: Authority, sign_in: SignIn, scope: str, now: int) -> None:
    """Raise Refused unless who signed in may call a method of ``scope`` at ``now``.

    ADMINISTRATOR_NOT_ACTIVE; SCOPE_NOT_GRANTED where none of their roles has the scope;
    STEP_UP_REQUIRED for a dangerous one under a guarded policy (RFC 9470 section 3),
    which no client may use for itself then.
    """
    administrator = acting_administrator(authority, sign_in.principal)
    if administrator is not None and scope not in administrator.scopes:
        raise Refused(
            RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
            f"None of your roles has the scope {scope}; an administrator in the role security"
            " sets roles.",
        )
    if scope not in DANGEROUS_SCOPES or not authority.policy.guarded:
        return
    # A person cannot have signed in after now but for a clock that runs ahead.
    fresh = sign_in.auth_time is not None and now - sign_in.auth_time < FRESH_SECONDS
    if administrator is None or sign_in.acr != STRONG_ACR or not fresh:
        raise step_up_required()


def scopes_within(authority: Authority, principal: str, scopes: Iterable[str]) -> frozenset[str]:
    """Return those of ``scopes`` that a token acting for ``principal`` may name now.

    All for who is no administrator, none for one who is none any more. A managed scope may
    be named where the person may use one it stands for: each call is judged by its own.
    """
    try:
        administrator = acting_administrator(authority, principal)
    except Refused:
        return frozenset()
    if administrator is None:
        return frozenset(scopes)
    held = administrator.scopes
    return frozenset(
        name
        for name in scopes
        if not held.isdisjoint(
            {name} if name not in authority.definitions else authority.definitions[name].scopes
        )
    )


def step_up_required() -> Refused:
    """Return the refusal that asks for a fresh, strong sign-in."""
    return Refused(
        RefusalReason.REFUSAL_REASON_STEP_UP_REQUIRED,
        "This takes an administrator who just signed in with a second factor: `creditgate login"
        f" --step-up`, good for {FRESH_SECONDS // 60} minutes.",
        metadata={"acr_values": STRONG_ACR, "max_age": str(FRESH_SECONDS)},
    )


def require_reach(authority: Authority, principal: str, scopes: Iterable[str]) -> None:
    """Raise Refused SCOPE_NOT_GRANTED where a person would give what they do not have.

    For what an administrator gives to clients that administer: through such a client they
    could otherwise do what their own roles do not let them. Clients that act for
    themselves are bound by their grants alone.
    """
    administrator = acting_administrator(authority, principal)
    if administrator is None or OUT_OF_REACH in administrator.scopes:
        return
    if not administrator.scopes.issuperset(scopes):
        raise Refused(
            RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
            "Nobody gives an administrator's client what their own roles do not have; that takes"
            " the role security.",
        )
