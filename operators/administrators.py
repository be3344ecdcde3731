"""Administrators (主管部门人员): people, their roles, and what each role lets them do. Pure.

Opinions on improving the social credit system (2025-03-31), article 10: security duties
lie with named people. Roles are least-privilege: nobody needs all of them for one task,
and what a person may do is judged at every call by the roles of that moment (G4).
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from creditgate.scopes import known_scopes
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from operators import shapes
from operators.kept import Kept
from operators.model import IN_ORDER, Instant

ADMINISTRATOR: Final = "administrator"
PRINCIPAL_PREFIX: Final = "administrator:"

STRONG_ACR: Final = "urn:creditgate:acr:strong"
"""``acr`` of a token whose person signed in by more than one factor."""
BASIC_ACR: Final = "urn:creditgate:acr:basic"
"""``acr`` of a token whose person signed in otherwise."""
FRESH_SECONDS: Final = 300
"""How long a strong sign-in is good for dangerous actions, in seconds."""

DANGEROUS_SCOPES: Final = frozenset(
    {
        "administrators:assign",
        "administrators:register",
        "administrators:remove",
        "brakes:release",
        "clearings:limit",
        "clearings:resolve",
        "clients:register",
        "clients:remove",
        "clients:rotate",
        "licences:issue",
        "licences:revoke",
        "limits:retire",
        "operators:revoke",
        "policy:set",
        "proposals:approve",
        "regions:admit",
        "scopes:define",
        "scopes:grant",
        "scopes:redefine",
        "settlement:close",
        "settlement:credit",
        "statements:issue",
        "witnesses:clear",
    }
)
"""What lets someone in, shuts someone out for good, or fixes what is owed: it takes a step-up
where the administration policy is guarded. Stopping for the time being does not, since an
emergency must not wait for a second factor."""

_LICENSING: Final = AdministratorRole.ADMINISTRATOR_ROLE_LICENSING
_PRICING: Final = AdministratorRole.ADMINISTRATOR_ROLE_PRICING
_SECURITY: Final = AdministratorRole.ADMINISTRATOR_ROLE_SECURITY
_AUDIT: Final = AdministratorRole.ADMINISTRATOR_ROLE_AUDIT

# A part that ends in ":" or "." stands for every known scope that starts so.
_PARTS: Final[Mapping[AdministratorRole.ValueType, tuple[str, ...]]] = {
    _LICENSING: (
        "alerts:",
        "brakes:engage",
        "brakes:read",
        "catalogue:",
        "clients:",
        "conformance.",
        "credit.conformance:read",
        "licences:",
        "limits:",
        "mappings:",
        "operators:",
        "policy:read",
        "proposals:",
        "recognition.",
        "regions:",
        "scopes:",
        "statements:",
    ),
    _PRICING: (
        "catalogue:read",
        "clearings:",
        "operators:read",
        "policy:read",
        "prices:",
        "proposals:",
        "settlement:",
        "sharing:",
        "usage:read",
    ),
    _SECURITY: (
        "administrators:",
        "alerts:",
        "brakes:",
        "clients:read",
        "clients:remove",
        "clients:rotate",
        "credit.conformance:read",
        "credit.reports:revoke",
        "licences:read",
        "licences:revoke",
        "limits:",
        "operators:history",
        "operators:read",
        "operators:revoke",
        "operators:suspend",
        "policy:",
        "proposals:",
        "regions:dismiss",
        "regions:read",
        "scopes:describe",
        "scopes:narrow",
        "scopes:read",
        "scopes:retire",
        "scopes:withdraw",
        "witnesses:",
    ),
    _AUDIT: (
        "administrators:read",
        "alerts:read",
        "audit.",
        "brakes:read",
        "catalogue:read",
        "clearings:read",
        "clients:read",
        "credit.conformance:read",
        "licences:read",
        "limits:read",
        "mappings:read",
        "operators:history",
        "operators:read",
        "policy:read",
        "prices:read",
        "proposals:read",
        "recognition.profiles:read",
        "recognition.rules:read",
        "recognition.transfers:read",
        "regions:read",
        "scopes:describe",
        "scopes:read",
        "settlement:read",
        "sharing:read",
        "usage:read",
        "witnesses:read",
    ),
}

_Roles = Annotated[
    frozenset[Annotated[int, AfterValidator(shapes.stated(AdministratorRole))]],
    Field(min_length=1),
    IN_ORDER,
]


class Administrator(Kept):
    """A person who administers the gateway. ``roles`` are AdministratorRoles.

    ``issuer`` and ``subject`` are what their identity provider calls itself and them
    (OpenID Connect Core, section 2): together they never come to mean another person.
    An administrator_id is not used again, and who was removed does not come back under it.
    """

    administrator_id: Annotated[str, AfterValidator(shapes.operator_id)]
    display_name: Annotated[str, AfterValidator(shapes.display_name)]
    issuer: Annotated[str, AfterValidator(shapes.issuer)]
    subject: Annotated[str, AfterValidator(shapes.subject_identifier)]
    roles: _Roles
    removed_at: Instant | None = None

    @property
    def principal(self) -> str:
        """Who acts, in tokens (``sub``) and in the history."""
        return PRINCIPAL_PREFIX + self.administrator_id

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of all their roles; none once removed."""
        if self.removed_at is not None:
            return frozenset()
        return frozenset[str]().union(*map(scopes_of_administrator_role, self.roles))


@cache
def scopes_of_administrator_role(role: int) -> frozenset[str]:
    """Return the scopes that an administrator in ``role`` may use; none for an unknown role."""
    parts = _PARTS.get(AdministratorRole.ValueType(role), ())
    return frozenset(
        scope
        for scope in known_scopes()
        if any(scope == part or (part[-1] in ":." and scope.startswith(part)) for part in parts)
    )
