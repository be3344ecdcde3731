"""The decision rules told again, slowly: what `operators.rules` is compared with.

Nothing of the rules is used here. Regions are not combined as codes but tried out one by
one on districts, so that a mistake in the algebra of codes cannot be made twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from creditgate.scopes import known_scopes
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from operators.model import Client, Licence, Operator, ScopeGrant
from operators.scope_definition import ScopeDefinition

DISTRICTS = ("110101", "110102", "110201", "310101", "310201", "440101")
STAGES = ("PURPOSE_NOT_ALLOWED", "ITEM_NOT_ALLOWED", "REGION_NOT_ALLOWED")
DUTIES = (
    "consents:read",
    "consents:revoke",
    "consents:watch",
    "credit.conformance:acknowledge",
    "credit.conformance:answer",
    "credit.conformance:attest",
    "credit.conformance:contest",
    "credit.conformance:read",
    "credit.conformance:reconcile",
    "credit.conformance:watch",
    "credit.regions:watch",
)
OPERATORS_SCOPES = ("accesses:read", "catalogue:read", "consents:", "credit.", "usage:")


@dataclass(frozen=True)
class World:
    """What administrators decided."""

    operators: Sequence[Operator]
    licences: Sequence[Licence]
    clients: Sequence[Client]
    grants: Sequence[ScopeGrant]
    definitions: Sequence[ScopeDefinition] = ()


@dataclass(frozen=True)
class Opened:
    """A grant, with the definition of its scope where that is a managed one."""

    grant: ScopeGrant
    definition: ScopeDefinition | None

    @property
    def bounds(self) -> Sequence[ScopeGrant | ScopeDefinition]:
        """Everything that bounds it."""
        return [self.grant, *([] if self.definition is None else [self.definition])]

    def item(self, item: str) -> bool:
        """Tell whether it covers an item."""
        return all(not one.items or item in one.items for one in self.bounds)

    def purpose(self, purpose: int) -> bool:
        """Tell whether it covers a purpose."""
        return all(not one.purposes or purpose in one.purposes for one in self.bounds)

    def district(self, district: str) -> bool:
        """Tell whether it covers a district."""
        return all(not one.regions or in_district(one.regions, district) for one in self.bounds)

    def lasts(self, now: int) -> bool:
        """Tell whether it has not stood for longer than its definition allows."""
        days = None if self.definition is None else self.definition.longest_validity_days
        return days is None or now < self.grant.valid_from + days * 86_400

    def opens(self, scope: str, token_scopes: frozenset[str]) -> bool:
        """Tell whether a token of these scopes may use it for a method of ``scope``."""
        if self.definition is None:
            return self.grant.scope == scope and scope in token_scopes
        named = self.grant.items | self.definition.items or {"any"}
        leaves = (
            any(map(self.item, named)),
            any(map(self.purpose, Purpose.values())),
            any(map(self.district, DISTRICTS)),
        )
        return (
            self.definition.retired_at is None
            and scope in self.definition.scopes
            and all(leaves)
            and bool({scope, self.grant.scope} & token_scopes)
        )


@dataclass(frozen=True)
class Answer:
    """What may be taken: triples of licence, item and district; by which grants; and the quota
    of each licence."""

    shares: frozenset[tuple[str, str, str]]
    grants: frozenset[str]
    quotas: frozenset[tuple[str, int]]

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Items and districts, under whatever licence."""
        return frozenset((item, district) for _, item, district in self.shares)


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
        stopped = why_stopped(world, client, now)
        if stopped and scope not in DUTIES:
            return stopped
    role_allows = {
        ClientRole.CLIENT_ROLE_OPERATOR: scope.startswith(OPERATORS_SCOPES),
        ClientRole.CLIENT_ROLE_PUBLISHER: scope.startswith(("catalogue:read", "disclosure:")),
        ClientRole.CLIENT_ROLE_ADMINISTRATOR: not scope.startswith(
            ("accesses:", "consents:", "credit.", "disclosure:", "federation.")
        ),
    }[client.role]
    if not (role_allows and scope in known_scopes()):
        return "SCOPE_NOT_GRANTED"
    standing = standing_grants(world, client, scope, token_scopes, now)
    return None if standing else "SCOPE_NOT_GRANTED"


def why_stopped(world: World, client: Client, now: int) -> str | None:
    """Return the reason the operator of a client may not act for, None when it may."""
    (state,) = [one.state for one in world.operators if one.operator_id == client.operator_id]
    if state == OperatorState.OPERATOR_STATE_REVOKED:
        return "OPERATOR_REVOKED"
    if state == OperatorState.OPERATOR_STATE_SUSPENDED:
        return "OPERATOR_SUSPENDED"
    return None if standing_licences(world, client, now) else "NO_LICENCE"


def standing_licences(world: World, client: Client, now: int) -> list[Licence]:
    """Return the licences in force of a client's operator, by number."""
    held = [one for one in world.licences if one.operator_id == client.operator_id]
    return sorted((one for one in held if in_force(one, now)), key=lambda one: one.number)


def standing_grants(
    world: World, client: Client, scope: str, token_scopes: frozenset[str], now: int
) -> list[Opened]:
    """Return the grants in force that open one scope to a client with such a token."""
    grantee = client.operator_id or client.client_id
    defined = {one.name: one for one in world.definitions}
    held = [
        Opened(one, defined.get(one.scope))
        for one in world.grants
        if one.grantee == grantee and in_force(one, now)
    ]
    return [one for one in held if one.opens(scope, token_scopes) and one.lasts(now)]


def answer(
    world: World,
    client_id: str,
    scope: str,
    token_scopes: frozenset[str],
    items: frozenset[str],
    purpose: int,
    now: int,
    detail: Mapping[str, Any] | None = None,
) -> Answer | str:
    """Return what may be taken, or the reason for which nothing may.

    ``detail`` is the authorization detail as it stands in the token.
    """
    refusal = why_not_call(world, client_id, scope, token_scopes, now)
    if refusal is not None:
        return refusal
    (client,) = [client for client in world.clients if client.client_id == client_id]
    if client.role != ClientRole.CLIENT_ROLE_OPERATOR:
        return "SCOPE_NOT_GRANTED"
    stopped = why_stopped(world, client, now)
    if stopped is not None:
        return stopped
    detail = detail or {}
    period = detail.get("period", {})
    if not period.get("from", now) <= now < period.get("until", now + 1):
        return "DETAILS_NOT_IN_FORCE"
    named = [Purpose.Value(f"PURPOSE_{name}") for name in detail.get("purposes", ())]
    if named and purpose not in named:
        return "PURPOSE_NOT_ALLOWED"
    if any(item not in detail.get("items", items) for item in items):
        return "ITEM_NOT_ALLOWED"
    grants = standing_grants(world, client, scope, token_scopes, now)
    grants = [grant for grant in grants if grant.purpose(purpose)]
    licences = [one for one in standing_licences(world, client, now) if purpose in one.purposes]
    if not (grants and licences):
        return "PURPOSE_NOT_ALLOWED"
    reached = {
        (licence.number, item, district)
        for licence in licences
        for item in licence.items
        for grant in grants
        if grant.item(item) and item in detail.get("items", {item})
        for district in (None, *DISTRICTS)
        if district is None
        or (
            in_district(licence.regions, district)
            and in_district(frozenset(detail.get("regions", "*")), district)
            and grant.district(district)
        )
    }
    open_items = {item for _, item, _ in reached}
    if not open_items & (items or open_items) or not items <= open_items:
        return "ITEM_NOT_ALLOWED"
    shares = frozenset(
        (number, item, district)
        for number, item, district in reached
        if district is not None and item in (items or open_items)
    )
    taken = {item for _, item, _ in shares}
    if not taken or not items <= taken:
        return "REGION_NOT_ALLOWED"
    return Answer(
        shares,
        frozenset(one.grant.grant_id for one in grants if any(map(one.item, taken))),
        frozenset(
            (one.number, one.daily_record_quota)
            for one in licences
            if one.number in {number for number, _, _ in shares}
        ),
    )
