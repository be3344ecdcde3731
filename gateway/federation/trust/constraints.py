"""Constraints: what superiors allow of the chain below them. Pure.

Source: OpenID Federation 1.0, section 6.2: the length of the path, the names of entities, and
their types. Others cannot be kept here, so that a chain that has them is not believed.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.federation.trust.statement import EntityStatement, StatementInvalid

_ALWAYS: Final = "federation_entity"
_HOST: Final = re.compile(r"https://([a-z0-9.-]+)(?::[0-9]+)?(?:/|$)")
_Names = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(max_length=1_000)
]


class _Naming(BaseModel):
    """Hosts, and domains with a period before them (RFC 5280 section 4.2.1.10, for URIs)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    permitted: _Names | None = None
    excluded: _Names = ()

    def allows(self, entity_id: str) -> bool:
        """Tell whether an entity may have its name."""
        if self.permitted is None and not self.excluded:
            return True
        # Nothing that two readers may read in two ways: no user, no address in brackets.
        read = _HOST.match(entity_id.lower())
        if read is None:
            return False
        host = read[1]
        if any(_is_within(host, each) for each in self.excluded):
            return False
        return self.permitted is None or any(_is_within(host, each) for each in self.permitted)


class _Constraints(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    max_path_length: Annotated[int, Field(strict=True, ge=0)] | None = None
    naming_constraints: _Naming = _Naming()
    allowed_entity_types: frozenset[str] | None = None


def allowed_types(superiors: Sequence[EntityStatement]) -> frozenset[str] | None:
    """Return the entity types that the leaf of a chain may be of, None for any.

    ``superiors`` are the subordinate statements of the chain, the anchor's last. Raises
    StatementInvalid where the chain is not within their constraints.
    """
    types: frozenset[str] | None = None
    for below, superior in enumerate(superiors):
        constraints = _read(superior.constraints or {})
        # "The maximum number of Intermediate Entities between the Entity setting the constraint
        # and the Trust Chain subject."
        most = constraints.max_path_length
        if most is not None and below > most:
            raise StatementInvalid("the chain is longer than a superior allows")
        # They hold for all subordinates: whom the statement is about, and all below.
        for each in superiors[: below + 1]:
            if not constraints.naming_constraints.allows(each.sub):
                raise StatementInvalid("an entity of the chain has a name that is not allowed")
        allowed = constraints.allowed_entity_types
        if allowed is not None:
            types = allowed if types is None else types & allowed
    # "federation_entity" is allowed whatever else is.
    return None if types is None else types | {_ALWAYS}


def _read(constraints: Mapping[str, Any]) -> _Constraints:
    try:
        return _Constraints.model_validate(constraints)
    except ValidationError as error:
        raise StatementInvalid("the chain has constraints that are not understood here") from error


def _is_within(host: str, name: str) -> bool:
    # "When the constraint begins with a period, it MAY be expanded with one or more labels."
    name = name.lower()
    return host.endswith(name) if name.startswith(".") else host == name
