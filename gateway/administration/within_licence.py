"""Which grants may be made: scopes of the grantee's role, within a licence. Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 9: no use
beyond the authorised scope.
"""

from collections.abc import Sequence

from creditgate.refusal import Violation
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.administration.presence import (
    conflict,
    grantee_role,
    live_client,
    missing,
    standing_operator,
)
from operators.authority import Authority
from operators.model import Licence, ScopeGrant
from operators.roles import scopes_of_role
from operators.shapes import covers


def grant_faults(authority: Authority, grant: ScopeGrant, at: str, now: int) -> list[Violation]:
    """Return why ``grant`` may not be made at ``now``; ``at`` is its path in the request.

    Raises Refused RESOURCE_NOT_FOUND for an unknown grantee, STATE_CONFLICT for one that
    was revoked or removed, or for an operator without a licence in force or to come.
    """
    role = grantee_role(authority, grant.grantee)
    if role is None:
        raise missing(
            "No operator and no client of another role has the id that a grant names as its"
            " grantee; scopes of a client that acts for an operator are granted to the operator."
        )
    if grant.valid_until is not None and grant.valid_until <= now:
        return [Violation(f"{at}.validity.end_time", "must not be over already")]
    faults: list[Violation] = []
    if grant.scope not in scopes_of_role(role):
        allowed = ", ".join(sorted(scopes_of_role(role)))
        faults.append(Violation(f"{at}.scope", f"use a scope of the grantee's role: {allowed}"))
    if role == ClientRole.CLIENT_ROLE_OPERATOR:
        standing_operator(authority, grant.grantee)
        return faults + _licence_faults(authority, grant, at, now)
    live_client(authority, grant.grantee)
    return faults + [
        Violation(f"{at}.{name}", "leave empty: only operators hold licences to narrow")
        for name in ("items", "purposes", "regions")
        if getattr(grant, name)
    ]


def _licence_faults(authority: Authority, grant: ScopeGrant, at: str, now: int) -> list[Violation]:
    licences = [
        licence
        for licence in authority.licences_of.get(grant.grantee, ())
        if licence.revoked_at is None and licence.valid_until > now
    ]
    if not licences:
        raise conflict("The operator has no licence in force or to come; issue one first.")
    licences = [licence for licence in licences if _meet(licence, grant)]
    if not licences:
        return [Violation(f"{at}.validity", "meet the validity of a licence in force or to come")]
    outside = [_outside(licence, grant) for licence in licences]
    if not all(outside):
        return []
    never = set.intersection(*map(set, outside))
    if never:
        mend = "name only what a licence in force or to come covers"
        return [Violation(f"{at}.{name}", mend) for name in sorted(never)]
    return [Violation(at, "no single licence covers all of it: make one grant for each")]


def _meet(licence: Licence, grant: ScopeGrant) -> bool:
    ends_before = grant.valid_until is not None and grant.valid_until <= licence.valid_from
    return not ends_before and grant.valid_from < licence.valid_until


def _outside(licence: Licence, grant: ScopeGrant) -> Sequence[str]:
    """Return the fields in which ``grant`` goes beyond ``licence``."""
    within = {
        "items": grant.items <= licence.items,
        "purposes": grant.purposes <= licence.purposes,
        "regions": all(covers(licence.regions, region) for region in grant.regions),
    }
    return [name for name, is_within in within.items() if not is_within]
