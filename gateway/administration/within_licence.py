"""Which grants may be made: scopes of the grantee's role, within definition and licence. Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 9: no use
beyond the authorised scope.
"""

from collections.abc import Sequence
from typing import Final

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
from operators.scope_definition import BOUNDS, DAY_SECONDS, ScopeDefinition, wider_bounds
from operators.shapes import common_regions, covers

_OF_OPERATORS: Final = (ClientRole.CLIENT_ROLE_OPERATOR, ClientRole.CLIENT_ROLE_REGION)


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
    definition = authority.definitions.get(grant.scope)
    if definition is not None:
        faults = _definition_faults(definition, grant, role, at)
    elif grant.scope in scopes_of_role(role):
        faults = []
    else:
        allowed = ", ".join(sorted(scopes_of_role(role)))
        faults = [
            Violation(
                f"{at}.scope",
                f"use a scope of the grantee's role, or one defined of such: {allowed}",
            )
        ]
    if grant.grantee in authority.operators:
        standing_operator(authority, grant.grantee)
        # What lies outside its definition has nothing in common with a licence either.
        return faults + _licence_faults(authority, grant, None if faults else definition, at, now)
    live_client(authority, grant.grantee)
    return faults + bound_faults(authority, grant, f"{at}.")


def bound_faults(authority: Authority, grant: ScopeGrant, at: str) -> list[Violation]:
    """Return which bounds ``grant`` has although its grantee holds no licence to narrow."""
    if grant.grantee in authority.operators:
        return []
    return [
        Violation(f"{at}{name}", "leave empty: only operators hold licences to narrow")
        for name in BOUNDS
        if getattr(grant, name)
    ]


def _definition_faults(
    definition: ScopeDefinition, grant: ScopeGrant, role: ClientRole.ValueType, at: str
) -> list[Violation]:
    """Return in which ways ``grant`` is not one of its scope's definition."""
    if definition.retired_at is not None:
        return [Violation(f"{at}.scope", "this scope was retired; use another")]
    if role not in definition.roles or (definition.bounded and role not in _OF_OPERATORS):
        return [Violation(f"{at}.scope", "this scope is not for parties of the grantee's role")]
    faults = [
        Violation(f"{at}.{name}", "name only what the scope's definition covers")
        for name in wider_bounds(grant, definition)
        # Named nothing, it covers what the definition does.
        if getattr(grant, name)
    ]
    days = definition.longest_validity_days
    if days is None:
        return faults
    if grant.valid_from == 0 or grant.valid_until is None:
        return [*faults, Violation(f"{at}.validity", "needs both ends: the scope is time-boxed")]
    if grant.valid_until - grant.valid_from > days * DAY_SECONDS:
        mend = f"the scope may be granted for at most {days} days"
        faults.append(Violation(f"{at}.validity.end_time", mend))
    return faults


def _licence_faults(
    authority: Authority,
    grant: ScopeGrant,
    definition: ScopeDefinition | None,
    at: str,
    now: int,
) -> list[Violation]:
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
    within = [licence for licence, beyond in zip(licences, outside, strict=True) if not beyond]
    if within:
        if definition is None or any(_common(licence, definition, grant) for licence in within):
            return []
        return [Violation(f"{at}.scope", "this scope and the licence have nothing in common")]
    never = set.intersection(*map(set, outside))
    if never:
        mend = "name only what a licence in force or to come covers"
        return [Violation(f"{at}.{name}", mend) for name in sorted(never)]
    return [Violation(at, "no single licence covers all of it: make one grant for each")]


def _common(licence: Licence, definition: ScopeDefinition, grant: ScopeGrant) -> bool:
    """Tell whether licence, definition and grant together leave anything."""
    return all(
        (given := definition.narrowed(grant, scope)) is not None
        and (not given.items or given.items & licence.items)
        and (not given.purposes or given.purposes & licence.purposes)
        and (not given.regions or common_regions(given.regions, licence.regions))
        for scope in definition.scopes
    )


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
