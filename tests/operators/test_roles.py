"""Roles: what a client may ever be granted."""

import pytest

from creditgate.scopes import known_scopes
from creditgate.v1.operator_service_pb2 import ClientRole
from operators.roles import scopes_of_role

OPERATOR, PUBLISHER, ADMINISTRATOR, REGION = (
    scopes_of_role(role)
    for role in (
        ClientRole.CLIENT_ROLE_OPERATOR,
        ClientRole.CLIENT_ROLE_PUBLISHER,
        ClientRole.CLIENT_ROLE_ADMINISTRATOR,
        ClientRole.CLIENT_ROLE_REGION,
    )
)


def test_only_operators_may_hold_the_scope_of_records() -> None:
    assert "credit.records:read" in OPERATOR
    credit = {scope for scope in PUBLISHER | ADMINISTRATOR if scope.startswith("credit.")}
    # What operators were found to hold, and reports that must go; nothing of the records.
    assert credit == {"credit.conformance:read", "credit.reports:revoke"}


def test_only_publishers_may_write_the_disclosure() -> None:
    assert "disclosure:publish" in PUBLISHER
    assert not any(scope.startswith("disclosure:") for scope in OPERATOR | ADMINISTRATOR)


def test_only_administrators_may_decide_who_may() -> None:
    deciding = {
        scope
        for scope in known_scopes()
        if scope.startswith(("operators:", "licences:", "clients:", "scopes:", "prices:"))
    }
    assert deciding
    assert deciding <= ADMINISTRATOR
    # Prices are told to those who pay them.
    assert deciding & (OPERATOR | PUBLISHER) == {"prices:read"}


def test_every_scope_belongs_to_a_role() -> None:
    assert known_scopes() == OPERATOR | PUBLISHER | ADMINISTRATOR | REGION


def test_only_regions_may_ask_as_regions_and_read_records_no_other_way() -> None:
    asked = {scope for scope in known_scopes() if scope.startswith("federation.")}
    assert asked <= REGION
    assert not asked & (OPERATOR | PUBLISHER | ADMINISTRATOR)
    assert "credit.records:read" not in REGION


@pytest.mark.parametrize("role", [0, 99])
def test_an_unknown_role_may_hold_nothing(role: ClientRole.ValueType) -> None:
    assert scopes_of_role(role) == frozenset()
