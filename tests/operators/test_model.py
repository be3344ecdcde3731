"""Things of the authority log: whole or not at all, and read back as written."""

import json
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from operators.authority import Authority
from operators.log import Change
from operators.model import Client, Licence, Operator, ScopeGrant
from tests.operators.naive import World
from tests.operators.strategies import worlds
from tests.operators.things import (
    CREDIT,
    Thing,
    changes_of,
    client,
    grant,
    licence,
    named,
    operator,
)

OFFICE = ClientRole.CLIENT_ROLE_ADMINISTRATOR


@given(worlds())
def test_a_thing_is_read_back_as_written(world: World) -> None:
    things: list[Thing] = [*world.operators, *world.licences, *world.clients, *world.grants]
    for thing in things:
        document = json.loads(json.dumps(thing.as_document()))
        back = type(thing).from_document(document, version=3, changed_at=7)
        assert back == thing.model_copy(update={"version": 3, "changed_at": 7})
        assert "version" not in document


def test_equal_things_make_equal_documents() -> None:
    ways = [licence(items=[*items]) for items in (("penalty", "rating"), ("rating", "penalty"))]
    assert len({json.dumps(way.as_document()) for way in ways}) == 1


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (operator, {"operator_id": "A"}),
        (operator, {"uscc": "91000000MA00000010"}),
        (operator, {"state": OperatorState.OPERATOR_STATE_UNSPECIFIED}),
        (operator, {"state": 99}),
        (operator, {"display_name": " "}),
        (licence, {"valid_until": 0}),
        (licence, {"valid_from": -1}),
        (licence, {"items": []}),
        (licence, {"items": ["Penalty"]}),
        (licence, {"items": [f"i{number}" for number in range(1001)]}),
        (licence, {"purposes": []}),
        (licence, {"purposes": [0]}),
        (licence, {"purposes": [CREDIT, 999]}),
        (licence, {"regions": []}),
        (licence, {"regions": ["1"]}),
        (licence, {"daily_record_quota": -1}),
        (licence, {"daily_record_quota": 1 << 63}),
        (licence, {"daily_record_quota": 1.5}),
        (client, {"operator_id": ""}),
        (client, {"role": OFFICE}),
        (client, {"role": 0, "operator_id": ""}),
        (client, {"certificate_thumbprints": []}),
        (client, {"certificate_thumbprints": ["A" * 42]}),
        (client, {"certificate_thumbprints": [c * 42 + "A" for c in "ABCDEFGHI"]}),
        (client, {"jwks": "{}"}),
        (grant, {"valid_until": 0}),
        (grant, {"scope": "read"}),
        (grant, {"grantee": ""}),
        (grant, {"unheard_of": 1}),
        (licence, {"unheard_of": 1}),
    ],
)
def test_what_does_not_fit_does_not_exist(make: Any, changed: dict[str, object]) -> None:
    make()
    with pytest.raises(ValidationError):
        make(**changed)


def test_things_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        operator().state = OperatorState.OPERATOR_STATE_REVOKED


def test_a_grant_without_end_stands_until_withdrawn() -> None:
    assert grant(valid_from=5).in_force(5)
    assert not grant(valid_from=5).in_force(4)
    assert not grant(valid_from=5, withdrawn_at=9).in_force(8)
    assert [grant(valid_until=9).in_force(now) for now in (8, 9)] == [True, False]


def test_an_operators_scopes_are_granted_to_the_operator_others_to_the_client() -> None:
    assert client().grantee == "alpha"
    assert client(client_id="office", role=OFFICE, operator_id="").grantee == "office"


def _state(authority: Authority) -> tuple[object, ...]:
    return (
        authority.sequence,
        authority.operators,
        authority.licences,
        authority.clients,
        authority.grants,
        {owner: held for owner, held in authority.licences_of.items() if held},
        {owner: held for owner, held in authority.grants_of.items() if held},
    )


@given(worlds(), worlds())
def test_folding_one_by_one_and_all_at_once_is_the_same(world: World, later: World) -> None:
    things: list[Thing] = [*world.grants, *world.clients, *world.licences, *world.operators]
    things += [*later.licences, *later.grants, *later.operators]
    changes = changes_of(things)
    whole = Authority.empty().advanced(changes)
    stepwise = Authority.empty()
    for change in changes:
        stepwise = stepwise.advanced([change])
    assert _state(stepwise) == _state(whole)
    assert whole.sequence == len(things)


def test_indexes_follow_a_thing_through_its_versions() -> None:
    things = (licence(number="L-2"), licence(number="L-1"), grant(), grant(withdrawn_at=3))
    authority = Authority.empty().advanced(changes_of(things))
    assert [each.number for each in authority.licences_of["alpha"]] == ["L-1", "L-2"]
    assert [each.withdrawn_at for each in authority.grants_of["alpha"]] == [3]


def test_what_passes_to_another_owner_is_no_longer_the_first_ones() -> None:
    authority = Authority.empty()
    for number, thing in enumerate(
        (licence(), grant(), licence(operator_id="beta"), grant(grantee="beta")), 1
    ):
        authority = authority.advanced(changes_of([thing], number))
    assert authority.licences_of == {"alpha": (), "beta": (authority.licences["L-1"],)}
    assert authority.grants_of == {"alpha": (), "beta": (authority.grants["G-1"],)}


def test_a_change_makes_a_new_state_that_remembers_no_decision() -> None:
    before = Authority.empty().advanced(changes_of([operator()]))
    after = before.advanced(changes_of([operator(display_name="Other")], first=2))
    assert before.operators["alpha"].display_name == "Alpha Invented Credit"
    assert after.decisions is not before.decisions
    assert before.advanced([]) is before


def test_changes_of_other_kinds_are_passed_over() -> None:
    change = Change(7, "price_plan", "p", 1, {"anything": 1}, "office", 5, "test")
    authority = Authority.empty().advanced([change])
    assert (authority.sequence, authority.operators) == (7, {})


@pytest.mark.parametrize("thing", [operator(), licence(), client(), grant()], ids=type)
def test_a_document_not_understood_stops_the_fold(
    thing: Operator | Licence | Client | ScopeGrant,
) -> None:
    document = {**thing.as_document(), "only_below": 5}
    change = Change(1, *named(thing), 1, document, "office", 5, "test")
    with pytest.raises(ValidationError):
        Authority.empty().advanced([change])
