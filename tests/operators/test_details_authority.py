"""What a token may carry: never a detail wider than licence and grants (RFC 9396)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.v1.vocabulary_pb2 import Purpose
from operators.authorization_details import AuthorizationDetail, DetailPeriod
from operators.details_authority import fault_of
from tests.examples import examples
from tests.operators import naive
from tests.operators.naive import DISTRICTS, Answer, World, in_district
from tests.operators.strategies import INSTANTS, details, worlds
from tests.operators.test_rules import authority
from tests.operators.things import READ, Thing, authority_of, client, grant, licence, operator

FIRM = (operator(), client(), grant())


def detail(**fields: object) -> AuthorizationDetail:
    """Return a detail."""
    return AuthorizationDetail.model_validate({"type": "public_credit_data", **fields})


def faulty(asked: AuthorizationDetail, *things: Thing, scope: str = READ) -> tuple[str, str | None]:
    """Return field and value of what is wrong with a detail."""
    fault = fault_of(authority_of(*things), "alpha-one", frozenset({scope}), asked, 10)
    assert fault is not None
    return fault.field, fault.value


@settings(max_examples=examples(200))
@given(worlds(), details(), INSTANTS)
def test_whatever_a_granted_detail_names_is_allowed(
    world: World, asked: AuthorizationDetail, now: int
) -> None:
    scopes = frozenset({READ})
    if fault_of(authority(world), "alpha-one", scopes, asked, now) is not None:
        return
    purposes = [Purpose.Value(f"PURPOSE_{name}") for name in asked.purposes]
    # With the detail, as the token carries it.
    carried = asked.model_copy(update={"period": DetailPeriod()}).as_json()
    answers = [
        naive.answer(world, "alpha-one", READ, scopes, asked.items, purpose, now, carried)
        for purpose in purposes or Purpose.values()
    ]
    allowed = [answer for answer in answers if isinstance(answer, Answer)]
    assert allowed
    if not purposes:
        return
    assert len(allowed) == len(answers)
    for answer in allowed:
        for district in DISTRICTS:
            if in_district(asked.regions, district):
                taken = {item for item, place in answer.pairs if place == district}
                assert taken >= asked.items if asked.items else taken


@settings(max_examples=examples(200))
@given(worlds(), INSTANTS, st.data())
def test_what_is_allowed_by_name_is_granted(world: World, now: int, data: st.DataObject) -> None:
    scopes = frozenset({READ})
    purpose = data.draw(st.sampled_from(Purpose.values()[1:3]))
    answer = naive.answer(world, "alpha-one", READ, scopes, frozenset(), purpose, now)
    if not isinstance(answer, Answer):
        return
    item, district = data.draw(st.sampled_from(sorted(answer.pairs)))
    asked = detail(
        items=[item],
        regions=[district],
        purposes=[Purpose.Name(purpose).removeprefix("PURPOSE_")],
        period={"from": now + 1},
    )
    assert fault_of(authority(world), "alpha-one", scopes, asked, now) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"items": ["penalty", "rating"]}, ("items", "rating")),
        ({"purposes": ["CREDIT_APPROVAL", "RESEARCH"]}, ("purposes", "RESEARCH")),
        ({"regions": ["1101", "31"]}, ("regions", "31")),
        ({"regions": ["*"]}, ("regions", "*")),
        ({"regions": ["31"]}, ("regions", None)),
        ({"items": ["penalty"], "regions": ["31"]}, ("regions", None)),
        ({"period": {"until": 10}}, ("period/until", None)),
    ],
)
def test_what_goes_beyond_the_licence_is_told(
    fields: dict[str, object], expected: tuple[str, str | None]
) -> None:
    assert faulty(detail(**fields), *FIRM, licence(regions={"11"})) == expected


def test_items_of_two_licences_are_granted_in_one_detail() -> None:
    licences = (licence(number="1"), licence(number="2", items={"rating"}))
    state = authority_of(*FIRM, *licences)
    both = detail(items=["penalty", "rating"])
    assert fault_of(state, "alpha-one", frozenset({READ}), both, 10) is None
    assert faulty(detail(items=["penalty", "merit"]), *FIRM, *licences) == ("items", "merit")


def test_a_detail_needs_the_scope_and_a_licence() -> None:
    assert faulty(detail(), *FIRM, licence(), scope="usage:read") == ("type", None)
    assert faulty(detail(), *FIRM) == ("type", None)
    assert faulty(detail(), operator(), licence(), client()) == ("type", None)


def test_a_purpose_left_out_need_not_be_allowed() -> None:
    only_one = licence(purposes={Purpose.PURPOSE_RESEARCH})
    asked = detail(items=["penalty"])
    state = authority_of(*FIRM, only_one)
    assert fault_of(state, "alpha-one", frozenset({READ}), asked, 10) is None
    assert faulty(detail(items=["rating"]), *FIRM, only_one) == ("items", "rating")
