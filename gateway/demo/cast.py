"""Who plays in the demo: invented operators with what each is licensed for, and people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from creditgate.uscc import check_character
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from creditgate.v1.vocabulary_pb2 import Purpose

ADMINISTRATOR: Final = "administrator"
CONSOLE: Final = "console"
"""The client that people administer through."""
PEOPLE: Final[Mapping[str, AdministratorRole.ValueType]] = {
    "zhang-li": AdministratorRole.ADMINISTRATOR_ROLE_LICENSING,
    "wang-jun": AdministratorRole.ADMINISTRATOR_ROLE_LICENSING,
    "chen-fang": AdministratorRole.ADMINISTRATOR_ROLE_PRICING,
    "zhou-an": AdministratorRole.ADMINISTRATOR_ROLE_SECURITY,
    "wu-ping": AdministratorRole.ADMINISTRATOR_ROLE_SECURITY,
    "sun-yue": AdministratorRole.ADMINISTRATOR_ROLE_AUDIT,
}
"""Invented accounts of the development provider that administer, each in one role."""
PUBLISHER: Final = "publisher"
PUBLISHER_SCOPES: Final = (
    "catalogue:read",
    "disclosure:correct",
    "disclosure:publish",
    "disclosure:repair",
    "disclosure:withdraw",
)
REGISTRATION: Final = "registration.enterprise"
PENALTY: Final = "penalty.administrative"
EVALUATION: Final = "evaluation.public-credit"
DEBARMENT: Final = "debarment.international"
DISHONESTY: Final = "list.serious-dishonesty"

PRICE_PLAN: Final = "demo"
# The prices are odd on purpose: shares then leave micro-yuan over, which must go somewhere.
PRICES: Final = {"basic": 20_000, "adverse": 133_333, "evaluated": 500_001}
SHARING_RULE: Final = "demo"
SOURCE_PART, REGION_PART, PLATFORM_PART = 5_500, 2_500, 2_000


def invented_code(number: int) -> str:
    """Return the credit code of an invented company: district 000000 is assigned to none."""
    stem = f"91000000DEM0{number:05d}"
    return stem + check_character(stem)


@dataclass(frozen=True, slots=True)
class Grant:
    """A scope to grant; empty ``items`` and ``purposes`` mean all of the licence's."""

    scope: str
    items: tuple[str, ...] = ()
    purposes: tuple[Purpose.ValueType, ...] = ()


@dataclass(frozen=True, slots=True)
class Party:
    """An invented operator with one client. ``quota`` is in records a UTC day."""

    operator_id: str
    name: str
    uscc: str
    client_id: str
    licence: str
    items: tuple[str, ...]
    purposes: tuple[Purpose.ValueType, ...]
    quota: int
    grants: tuple[Grant, ...]


ALPHA: Final = Party(
    operator_id="alpha-credit",
    name="Alpha Credit (invented, 虚构)",
    uscc=invented_code(1),
    client_id="alpha-client",
    licence="DEMO-ALPHA",
    items=(REGISTRATION, PENALTY, DISHONESTY, DEBARMENT, EVALUATION),
    purposes=(
        Purpose.PURPOSE_CREDIT_APPROVAL,
        Purpose.PURPOSE_SUPPLIER_CHECK,
        Purpose.PURPOSE_POST_LOAN_MONITORING,
    ),
    quota=1_000_000,
    grants=(
        Grant("credit.records:read"),
        Grant("usage:read"),
        Grant("usage:cosign"),
        Grant("prices:read"),
        Grant("catalogue:read"),
        Grant("consents:request"),
        Grant("consents:read"),
        Grant("consents:revoke"),
        Grant("consents:watch"),
        Grant("accesses:read"),
        Grant("credit.conformance:acknowledge"),
        Grant("credit.conformance:answer"),
        Grant("credit.conformance:attest"),
        Grant("credit.conformance:contest"),
        Grant("credit.conformance:read"),
        Grant("credit.conformance:reconcile"),
        Grant("credit.conformance:watch"),
        Grant("credit.reports:issue"),
        Grant("credit.reports:read"),
        Grant("credit.reports:revoke"),
    ),
)
BETA: Final = Party(
    operator_id="beta-check",
    name="Beta Check (invented, 虚构)",
    uscc=invented_code(2),
    client_id="beta-client",
    licence="DEMO-BETA",
    items=(REGISTRATION, DEBARMENT),
    purposes=(Purpose.PURPOSE_SUPPLIER_CHECK, Purpose.PURPOSE_BIDDING),
    quota=10_000,
    grants=(
        Grant("credit.records:read", (DEBARMENT,), (Purpose.PURPOSE_SUPPLIER_CHECK,)),
        Grant("usage:read"),
    ),
)
GAMMA: Final = Party(
    operator_id="gamma-scores",
    name="Gamma Scores (invented, 虚构)",
    uscc=invented_code(3),
    client_id="gamma-client",
    licence="DEMO-GAMMA",
    items=(REGISTRATION,),
    purposes=(Purpose.PURPOSE_SUPPLIER_CHECK,),
    quota=1_000,
    grants=(Grant("credit.records:read"),),
)
"""A third operator, of the demo's own run: its licence is revoked before it first asks."""
