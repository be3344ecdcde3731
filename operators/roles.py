"""Which scopes a client of each role may ever hold, whatever is granted to it."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from creditgate.scopes import known_scopes
from creditgate.v1.operator_service_pb2 import ClientRole

# A part that ends in ":" or "." stands for every known scope that starts so.
_PARTS: Final[Mapping[ClientRole.ValueType, tuple[str, ...]]] = {
    ClientRole.CLIENT_ROLE_OPERATOR: (
        "accesses:read",
        "catalogue:read",
        "consents:",
        "credit.conformance:",
        "credit.licences:",
        "credit.recognitions:",
        "credit.records:",
        "credit.regions:",
        "credit.reports:",
        "prices:read",
        "sharing:read",
        "usage:",
    ),
    ClientRole.CLIENT_ROLE_PUBLISHER: ("catalogue:read", "disclosure:"),
    ClientRole.CLIENT_ROLE_REGION: (
        "catalogue:read",
        "credit.conformance:",
        "federation.",
        "usage:",
    ),
    ClientRole.CLIENT_ROLE_ADMINISTRATOR: (
        "administrators:",
        "alerts:",
        "audit.",
        "brakes:",
        "catalogue:",
        "clearings:",
        "clients:",
        "conformance.",
        "credit.conformance:read",
        "credit.reports:revoke",
        "licences:",
        "limits:",
        "mappings:",
        "operators:",
        "policy:",
        "prices:",
        "proposals:",
        "recognition.",
        "regions:",
        "scopes:",
        "settlement:",
        "sharing:",
        "statements:",
        "usage:read",
        "witnesses:",
    ),
}


@cache
def scopes_of_role(role: ClientRole.ValueType) -> frozenset[str]:
    """Return the scopes that a client of ``role`` may hold; none for an unknown role."""
    parts = _PARTS.get(role, ())
    return frozenset(
        scope
        for scope in known_scopes()
        if any(scope == part or (part[-1] in ":." and scope.startswith(part)) for part in parts)
    )
