"""The decision rules told again, slowly: what `operators.rules` is compared with.

Nothing of the rules is used here. Regions are not combined as codes but tried out one by
one on districts, so that a mistake in the algebra of codes cannot be made twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from creditgate.scopes import known_scopes
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from operators.model import Client, Licence, Operator, ScopeGrant

DISTRICTS = ("110101", "110102", "110201", "310101", "310201", "440101")
STAGES = ("PURPOSE_NOT_ALLOWED", "ITEM_NOT_ALLOWED", "REGION_NOT_ALLOWED")
OPERATORS_SCOPES = ("catalogue:read", "consents:", "credit.", "usage:")


@dataclass(frozen=True)
class World:
    """What administrators decided."""

    operators: Sequence[Operator]
    licences: Sequence[Licence]
    clients: Sequence[Client]
    grants: Sequence[ScopeGrant]


@dataclass(frozen=True)
class Answer:
    """What may be taken: pairs of item and district, under which licence."""

    licence: str
    pairs: frozenset[tuple[str, str]]
    grants: frozenset[str]
    quota: int


def in_district(codes: frozenset[str], district: str) -> bool:
    """Tell whether a district lies in one of the regions."""
    return "*" in codes or {district[:2], district[:4], district} & codes != set()


def in_force(thing: Licence | ScopeGrant, now: int) -> bool:
    """Tell whether a licence or grant stands."""
    ended = thing.revoked_at if isinstance(thing, Licence) else thing.withdrawn_at
    if ended is not None or now < thing.valid_from:
        return False
    return thing.valid_until is None or now < thing.valid_until


def why_not_call(
    world: World, client_id: str, scope: str, token_scopes: frozenset[str], now: int
) -> str | None:
    """Return the reason a call is refused for, None when it may be made."""
    found = [client for client in world.clients if client.client_id == client_id]
    if not found or found[0].removed_at is not None:
        return "CLIENT_NOT_ACTIVE"
    (client,) = found
    for_operator = client.role == ClientRole.CLIENT_ROLE_OPERATOR
    if for_operator:
        states = [one.state for one in world.operators if one.operator_id == client.operator_id]
        if not states:
            return "CLIENT_NOT_ACTIVE"
        if states == [OperatorState.OPERATOR_STATE_REVOKED]:
            return "OPERATOR_REVOKED"
        if states == [OperatorState.OPERATOR_STATE_SUSPENDED]:
            return "OPERATOR_SUSPENDED"
        if not standing_licences(world, client, now):
            return "NO_LICENCE"
    role_allows = {
        ClientRole.CLIENT_ROLE_OPERATOR: scope.startswith(OPERATORS_SCOPES),
        ClientRole.CLIENT_ROLE_PUBLISHER: scope.startswith(("catalogue:read", "disclosure:")),
        ClientRole.CLIENT_ROLE_ADMINISTRATOR: not scope.startswith(
            ("accesses:", "consents:", "credit.", "disclosure:", "federation.")
        ),
    }[client.role]
    if not (role_allows and scope in known_scopes() and scope in token_scopes):
        return "SCOPE_NOT_GRANTED"
    return None if standing_grants(world, client, scope, now) else "SCOPE_NOT_GRANTED"


def standing_licences(world: World, client: Client, now: int) -> list[Licence]:
    """Return the licences in force of a client's operator, by number."""
    held = [one for one in world.licences if one.operator_id == client.operator_id]
    return sorted((one for one in held if in_force(one, now)), key=lambda one: one.number)


def standing_grants(world: World, client: Client, scope: str, now: int) -> list[ScopeGrant]:
    """Return the grants in force of one scope to a client."""
    grantee = client.operator_id or client.client_id
    return [
        one
        for one in world.grants
        if one.grantee == grantee and one.scope == scope and in_force(one, now)
    ]


def answer(
    world: World,
    client_id: str,
    scope: str,
    token_scopes: frozenset[str],
    items: frozenset[str],
    purpose: int,
    now: int,
) -> Answer | str:
    """Return what may be taken, or the reason for which nothing may."""
    refusal = why_not_call(world, client_id, scope, token_scopes, now)
    if refusal is not None:
        return refusal
    (client,) = [client for client in world.clients if client.client_id == client_id]
    if client.role != ClientRole.CLIENT_ROLE_OPERATOR:
        return "SCOPE_NOT_GRANTED"
    grants = standing_grants(world, client, scope, now)
    furthest = -1
    for licence in standing_licences(world, client, now):
        given = under(licence, grants, items, purpose)
        if isinstance(given, Answer):
            return given
        furthest = max(furthest, given)
    return STAGES[furthest]


def under(
    licence: Licence, grants: Sequence[ScopeGrant], items: frozenset[str], purpose: int
) -> Answer | int:
    """Return what one licence gives, or how far down the stages it came."""
    grants = [grant for grant in grants if not grant.purposes or purpose in grant.purposes]
    if purpose not in licence.purposes or not grants:
        return 0
    granted = {
        item: [grant for grant in grants if not grant.items or item in grant.items]
        for item in licence.items
    }
    open_items = {item for item, opening in granted.items() if opening}
    places = {
        item: {
            district
            for district in DISTRICTS
            if in_district(licence.regions, district)
            and any(not one.regions or in_district(one.regions, district) for one in granted[item])
        }
        for item in open_items
    }
    if not open_items & (items or open_items) or not items <= open_items:
        return 1
    if any(not places[item] for item in items) or not any(places.values()):
        return 2
    taken = {item for item in items or open_items if places[item]}
    return Answer(
        licence.number,
        frozenset((item, district) for item in taken for district in places[item]),
        frozenset(one.grant_id for one in grants if not one.items or one.items & taken),
        licence.daily_record_quota,
    )
