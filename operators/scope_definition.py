"""Managed scopes: named OAuth scopes that stand for scopes of methods, within bounds.

A grant of a managed scope gives the scopes it stands for, but only within both the
grant's bounds and the definition's. Bounds only take away: licence, definition and grant
are met by what all three allow.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from creditgate.scopes import known_scopes
from creditgate.v1.operator_service_pb2 import ClientRole
from operators import shapes
from operators.kept import Kept
from operators.model import IN_ORDER, Instant, Items, Purposes, Regions, ScopeGrant
from operators.roles import scopes_of_role
from operators.shapes import common_regions, covers

SCOPE_DEFINITION: Final = "scope_definition"
DAY_SECONDS: Final = 86_400
BOUNDS: Final = ("items", "purposes", "regions")
_MOST_SCOPES: Final = 32
_MOST_DAYS: Final = 36_500


class ScopeDefinition(Kept):
    """A managed scope.

    ``scopes`` are those of methods that it stands for. Empty ``items``, ``purposes`` and
    ``regions`` set no bound; ``longest_validity_days`` is the most days a grant of it may
    stand, None for any. Retired it opens nothing, and its name is not used again.
    """

    name: Annotated[str, AfterValidator(shapes.scope_name)]
    scopes: Annotated[
        frozenset[Annotated[str, AfterValidator(shapes.scope_name)]],
        Field(min_length=1, max_length=_MOST_SCOPES),
        IN_ORDER,
    ]
    items: Items = frozenset()
    purposes: Purposes = frozenset()
    regions: Regions = frozenset()
    longest_validity_days: Annotated[int, Field(ge=1, le=_MOST_DAYS)] | None = None
    title_zh: Annotated[str, AfterValidator(shapes.display_name)]
    title_en: Annotated[str, AfterValidator(shapes.display_name)]
    description_zh: Annotated[str, AfterValidator(shapes.description)] = ""
    description_en: Annotated[str, AfterValidator(shapes.description)] = ""
    retired_at: Instant | None = None

    @property
    def roles(self) -> frozenset[ClientRole.ValueType]:
        """The roles whose clients may hold every scope it stands for."""
        return frozenset(
            role for role in ClientRole.values() if self.scopes <= scopes_of_role(role)
        )

    @property
    def bounded(self) -> bool:
        """Whether it bounds items, purposes or regions."""
        return any(getattr(self, bound) for bound in BOUNDS)

    def narrowed(self, grant: ScopeGrant, scope: str) -> ScopeGrant | None:
        """Return what ``grant``, a grant of this one, gives of ``scope``; None for nothing.

        The answer reads as a grant of ``scope`` itself. A grant without a start counts its
        days from 1970, so that a limit set later ends it: fail closed.
        """
        if self.retired_at is not None or scope not in self.scopes:
            return None
        bounds: dict[str, object] = {"scope": scope}
        for name in ("items", "purposes"):
            own: frozenset[object] = getattr(self, name)
            asked: frozenset[object] = getattr(grant, name)
            bounds[name] = both = own & asked if own and asked else own or asked
            if (own or asked) and not both:
                return None
        if self.regions and grant.regions:
            bounds["regions"] = common_regions(self.regions, grant.regions)
            if not bounds["regions"]:
                return None
        else:
            bounds["regions"] = self.regions or grant.regions
        bounds["valid_until"] = self._latest_end(grant)
        return grant.model_copy(update=bounds)

    def widens(self, before: "ScopeDefinition") -> bool:
        """Tell whether some grant could give more under it than under ``before``."""
        if self.retired_at is not None:
            return False
        days, days_before = self.longest_validity_days, before.longest_validity_days
        return (
            before.retired_at is not None
            or not self.scopes <= before.scopes
            or wider_bounds(self, before) != []
            or (days_before is not None and (days is None or days > days_before))
        )

    def _latest_end(self, grant: ScopeGrant) -> int | None:
        if self.longest_validity_days is None:
            return grant.valid_until
        latest = grant.valid_from + self.longest_validity_days * DAY_SECONDS
        return latest if grant.valid_until is None else min(latest, grant.valid_until)


def unfit_fields(definition: ScopeDefinition) -> dict[str, str]:
    """Return what is wrong with a definition about to be kept: the mend by field.

    No part of the model: a release whose methods have other scopes must still read what
    was kept before it.
    """
    faults: dict[str, str] = {}
    if definition.name in known_scopes():
        faults["name"] = "methods have a scope of this name; choose another"
    if not definition.scopes <= known_scopes():
        faults["scopes"] = "name scopes of methods; ListScopeDefinitions lists them as built in"
    elif not definition.roles:
        faults["scopes"] = "name only scopes that clients of one role may hold together"
    elif ClientRole.CLIENT_ROLE_OPERATOR not in definition.roles:
        faults |= {
            name: "leave empty: only scopes of operators are bounded so"
            for name in BOUNDS
            if getattr(definition, name)
        }
    return faults


def wider_bounds(
    asked: ScopeDefinition | ScopeGrant, held: ScopeDefinition | ScopeGrant
) -> list[str]:
    """Return the bounds in which ``asked`` allows what ``held`` does not."""
    wider: list[str] = []
    for name in ("items", "purposes"):
        own: frozenset[object] = getattr(asked, name)
        bound: frozenset[object] = getattr(held, name)
        if bound and not (own and own <= bound):
            wider.append(name)
    if held.regions and not (
        asked.regions and all(covers(held.regions, region) for region in asked.regions)
    ):
        wider.append("regions")
    return wider
