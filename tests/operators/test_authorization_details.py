"""Authorization details: read with a pointer to each fault, narrowed and never widened."""

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.v1.vocabulary_pb2 import Purpose
from operators import shapes
from operators.asked_details import (
    MOST_CHARACTERS,
    DetailsFault,
    details_schema,
    read_details,
)
from operators.authorization_details import (
    AuthorizationDetail,
    intersection,
    narrows,
    wider_field,
)
from operators.shapes import END_OF_TIME, covers
from tests.examples import examples
from tests.meter.world import company

TYPE = "public_credit_data"
DETAIL = {"type": TYPE}
FULL: dict[str, Any] = {
    "type": TYPE,
    "locations": ["urn:creditgate:records"],
    "items": ["penalty", "rating"],
    "subjects": [company(1)],
    "purposes": ["CREDIT_APPROVAL"],
    "regions": ["11", "3101"],
    "period": {"from": 5, "until": 10},
    "consent": "consents/c-1",
}


def fault(*details: object) -> str:
    """Return the pointer to what is wrong with details."""
    return fault_in(json.dumps(details)).pointer


def fault_in(text: str) -> DetailsFault:
    """Return what is wrong with a parameter."""
    with pytest.raises(DetailsFault) as raised:
        read_details(text)
    return raised.value


def test_what_is_read_is_what_was_written() -> None:
    (detail,) = read_details(json.dumps([FULL])).details
    assert detail.as_json() == FULL
    (bare,) = read_details(json.dumps([DETAIL])).details
    assert bare.as_json() == DETAIL


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"type": "payment"}, "/1/type"),
        ({"type": None}, "/1/type"),
        ({"items": ["penalty", "Penalty"]}, "/1/items/1"),
        ({"items": ["penalty", "penalty"]}, "/1/items"),
        ({"items": []}, "/1/items"),
        ({"items": "penalty"}, "/1/items"),
        ({"items": None}, "/1/items"),
        ({"items": [f"i{number}" for number in range(65)]}, "/1/items"),
        ({"items": [["penalty"]]}, "/1/items/0"),
        ({"subjects": [company(1), company(2), company(3)[:-1] + "I"]}, "/1/subjects/2"),
        ({"subjects": [company(number) for number in range(257)]}, "/1/subjects"),
        ({"purposes": ["CREDIT_APPROVAL", "UNSPECIFIED"]}, "/1/purposes/1"),
        ({"purposes": [1]}, "/1/purposes/0"),
        ({"regions": ["11", "111"]}, "/1/regions/1"),
        ({"regions": [str(100_000 + number) for number in range(65)]}, "/1/regions"),
        ({"locations": ["a b"]}, "/1/locations/0"),
        ({"locations": list("abcde")}, "/1/locations"),
        ({"period": {"from": 5, "until": 5}}, "/1/period"),
        ({"period": {"from": -1}}, "/1/period/from"),
        ({"period": {"until": END_OF_TIME + 1}}, "/1/period/until"),
        ({"period": {"until": "2027-01-01T00:00:00Z"}}, "/1/period/until"),
        ({"period": {"until": True}}, "/1/period/until"),
        ({"period": {"till": 5}}, "/1/period/till"),
        ({"consent": "c-1"}, "/1/consent"),
        ({"actions": ["read"]}, "/1/actions"),
        ({'sub"jects/~': ["x"]}, "/1"),
    ],
)
def test_a_fault_is_pointed_at(wrong: dict[str, object], pointer: str) -> None:
    assert fault(DETAIL, {**DETAIL, **wrong}) == pointer


@pytest.mark.parametrize(
    ("document", "pointer"),
    [([], ""), ([DETAIL] * 17, ""), ([DETAIL, "x"], "/1"), ([DETAIL, {}], "/1/type")],
)
def test_a_fault_of_the_whole_is_pointed_at(document: list[object], pointer: str) -> None:
    assert fault(*document) == pointer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[" * 8_000,
        '[{"type":"public_credit_data","type":"public_credit_data"}]',
        '[{"type":"public_credit_data","period":{"from":' + "9" * 5_000 + "}}]",
        json.dumps([DETAIL]) + " " * MOST_CHARACTERS,
    ],
)
def test_what_is_no_array_of_details_is_refused_as_a_whole(text: str) -> None:
    assert fault_in(text).pointer == ""


def test_a_fault_repeats_no_value() -> None:
    told = fault_in(json.dumps([{**DETAIL, "items": ["SECRET-item"], "SECRET": 1}]))
    assert "SECRET-item" not in str(told)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*FULL, "from", "until", "x"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=3))
def test_whatever_is_sent_is_read_or_refused(document: list[object]) -> None:
    try:
        details = read_details(json.dumps(document)).details
    except DetailsFault as told:
        assert re.fullmatch("(/[A-Za-z0-9_-]+)*", told.pointer)
    else:
        read = read_details(json.dumps([detail.as_json() for detail in details]))
        assert read.details == details


def fits(value: Any, rule: dict[str, Any]) -> bool:
    """Tell whether a value is valid by the keywords the published schema uses."""
    if "$ref" in rule:
        return fits(value, SCHEMA["$defs"][rule["$ref"].removeprefix("#/$defs/")])
    match rule["type"]:
        case "array":
            return (
                isinstance(value, list)
                and rule["minItems"] <= len(value) <= rule.get("maxItems", len(value))
                and not (rule.get("uniqueItems") and len(set(map(repr, value))) < len(value))
                and all(fits(item, rule["items"]) for item in value)
            )
        case "object":
            known = rule.get("properties", {})
            others = rule["additionalProperties"]
            return (
                isinstance(value, dict)
                and (value.keys() <= known.keys() or others is not False)
                and value.keys() >= set(rule.get("required", ()))
                and all(fits(item, known.get(name, others)) for name, item in value.items())
            )
        case "integer":
            most = rule.get("maximum", value)
            return type(value) is int and rule["minimum"] <= value <= most
        case _:
            return (
                isinstance(value, str)
                and len(value) <= rule.get("maxLength", len(value))
                and value in rule.get("enum", [value])
                and value == rule.get("const", value)
                and re.search(rule.get("pattern", ""), value) is not None
            )


SCHEMA = details_schema()
TERMS: dict[str, Any] = {"access_mode": "ONCE", "data_life": 3_600, "data_life_end": "DELETE"}
ALL_TERMS: dict[str, Any] = {
    "access_mode": "TIMES_PER_DAY",
    "times_per_day": 3,
    "data_life": 86_400,
    "data_life_end": "ANONYMISE",
    "answer_form": "GRADE",
    "fields": {"penalty": ["amount", "finding"]},
    "message": "About your loan.",
}
ASKING: dict[str, Any] = {
    **{name: value for name, value in FULL.items() if name != "consent"},
    "consent_terms": TERMS,
}
VALID: list[Any] = [
    [DETAIL],
    [FULL],
    [DETAIL] * 16,
    [{**DETAIL, "period": {}}],
    [ASKING],
    [{**ASKING, "consent_terms": ALL_TERMS}],
]
INVALID: list[Any] = [
    [],
    [DETAIL] * 17,
    DETAIL,
    None,
    [{}],
    [{"type": "payment"}],
    [{**DETAIL, "more": 1}],
    *([{**DETAIL, name: None}] for name in FULL),
    *([{**DETAIL, name: []}] for name in FULL),
    [{**DETAIL, "items": ["a", "a"]}],
    [{**DETAIL, "purposes": ["PURPOSE_BIDDING"]}],
    [{**DETAIL, "regions": ["3"]}],
    [{**DETAIL, "period": {"from": -1}}],
    [{**DETAIL, "period": {"until": None}}],
    [{**DETAIL, "consent": "c-1"}],
    [{**ASKING, "consent_terms": None}],
    *([{**ASKING, "consent_terms": {**TERMS, name: None}}] for name in ALL_TERMS),
    *(
        [{**ASKING, "consent_terms": {key: TERMS[key] for key in TERMS if key != name}}]
        for name in TERMS
    ),
    [{**ASKING, "consent_terms": {**TERMS, "access_mode": "CONSENT_ACCESS_MODE_ONCE"}}],
    [{**ASKING, "consent_terms": {**TERMS, "times_per_day": 0}}],
    [{**ASKING, "consent_terms": {**TERMS, "data_life": "3600s"}}],
    [{**ASKING, "consent_terms": {**TERMS, "fields": {"penalty": []}}}],
    [{**ASKING, "consent_terms": {**TERMS, "fields": {"penalty": ["a", "a"]}}}],
    [{**ASKING, "consent_terms": {**TERMS, "message": "m" * 501}}],
    [{**ASKING, "consent_terms": {**TERMS, "validity": 5}}],
]


@pytest.mark.parametrize("document", VALID)
def test_what_the_published_schema_allows_is_read(document: Any) -> None:
    assert fits(document, SCHEMA)
    assert read_details(json.dumps(document)).details


@pytest.mark.parametrize("document", INVALID)
def test_what_the_published_schema_forbids_is_refused(document: Any) -> None:
    assert not fits(document, SCHEMA)
    fault_in(json.dumps(document))


def test_the_published_schema_has_no_null() -> None:
    assert "null" not in json.dumps(SCHEMA)


def test_the_published_schema_tells_each_field_and_limit() -> None:
    schema = AuthorizationDetail.model_json_schema()
    assert schema["properties"].keys() == FULL.keys()
    assert schema["required"] == ["type"]
    assert schema["additionalProperties"] is False
    limits = {
        name: (field["minItems"], field.get("maxItems"), field["uniqueItems"])
        for name, field in schema["properties"].items()
        if field.get("type") == "array"
    }
    assert limits == {
        "locations": (1, 4, True),
        "items": (1, 64, True),
        "subjects": (1, 256, True),
        "purposes": (1, None, True),
        "regions": (1, 64, True),
    }
    names = schema["properties"]["purposes"]["items"]["enum"]
    assert [f"PURPOSE_{name}" for name in names] == Purpose.keys()[1:]


@pytest.mark.parametrize(
    ("field", "check"),
    [
        ("items", shapes.item_code),
        ("regions", shapes.region_code),
        ("subjects", shapes.credit_code),
    ],
)
@given(data=st.data())
def test_the_published_patterns_let_pass_whatever_the_server_takes(
    field: str, check: Any, data: st.DataObject
) -> None:
    schema = AuthorizationDetail.model_json_schema()
    pattern = schema["properties"][field]["items"]["pattern"]
    text = data.draw(
        st.from_regex(pattern, fullmatch=True)
        | st.text(max_size=20)
        | st.integers(0, 10**6).map(company)
    )
    try:
        check(text)
    except ValueError:
        # A check character is more than a pattern can tell.
        assert field == "subjects" or not re.fullmatch(pattern, text)
    else:
        assert re.fullmatch(pattern, text)


# A world small enough to try every use one by one.

ITEMS, SUBJECTS = ("penalty", "rating"), (company(1), company(2))
PURPOSES = (Purpose.PURPOSE_CREDIT_APPROVAL, Purpose.PURPOSE_BIDDING)
DISTRICTS = ("110101", "110102", "310101")
CONSENTS = ("", "consents/1", "consents/2")
INSTANTS = (0, 4, 5, 9, 10)
Use = tuple[str, str, int, str, str, int, str]


def some(*values: str) -> st.SearchStrategy[list[str]]:
    """Return lists of some of the values, each once."""
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


details = st.fixed_dictionaries(
    {"type": st.just(TYPE)},
    optional={
        "locations": some("urn:a", "urn:b"),
        "items": some(*ITEMS),
        "subjects": some(*SUBJECTS),
        "purposes": some("CREDIT_APPROVAL", "BIDDING"),
        "regions": some("*", "11", "1101", "110102", "31"),
        "period": st.sampled_from(
            [{"from": 0}, {"from": 5}, {"until": 5}, {"from": 4, "until": 9}]
        ),
        "consent": st.sampled_from(CONSENTS[1:]),
    },
).map(AuthorizationDetail.model_validate)


def uses(detail: AuthorizationDetail) -> set[Use]:
    """Return every use a detail allows."""
    return set(_uses(detail))


def _uses(detail: AuthorizationDetail) -> Iterator[Use]:
    for use in product(
        ("urn:a", "urn:b"), ITEMS, PURPOSES, DISTRICTS, SUBJECTS, INSTANTS, CONSENTS
    ):
        location, item, purpose, district, subject, now, consent = use
        if (
            location in (detail.locations or {location})
            and item in (detail.items or {item})
            and detail.covers_purpose(purpose)
            and covers(detail.regions or {"*"}, district)
            and detail.covers_subject(subject)
            and detail.in_force(now)
            and detail.consent in (None, consent)
        ):
            yield use


@settings(max_examples=examples(300))
@given(details, details)
def test_what_narrows_allows_nothing_more(
    asked: AuthorizationDetail, held: AuthorizationDetail
) -> None:
    if narrows(asked, held):
        assert uses(asked) <= uses(held)
    else:
        assert wider_field(asked, held) in AuthorizationDetail.model_fields


@settings(max_examples=examples(300))
@given(details, details)
def test_an_intersection_allows_exactly_what_both_allow(
    first: AuthorizationDetail, second: AuthorizationDetail
) -> None:
    both = intersection(first, second)
    assert (set() if both is None else uses(both)) == uses(first) & uses(second)
    if both is not None:
        assert narrows(both, first)
        assert narrows(both, second)
        assert read_details(json.dumps([both.as_json()])).details == (both,)


@given(details)
def test_a_detail_narrows_itself_and_the_bare_one(detail: AuthorizationDetail) -> None:
    bare = AuthorizationDetail.model_validate(DETAIL)
    assert narrows(detail, detail)
    assert narrows(detail, bare)
    assert intersection(detail, bare) == detail


@pytest.mark.parametrize(
    ("held", "wider", "field"),
    [
        ({"items": ["penalty"]}, {"items": ["penalty", "rating"]}, "items"),
        ({"items": ["penalty"]}, {}, "items"),
        ({"subjects": [company(1)]}, {"subjects": [company(2)]}, "subjects"),
        ({"subjects": [company(1)]}, {}, "subjects"),
        ({"purposes": ["BIDDING"]}, {"purposes": ["BIDDING", "RESEARCH"]}, "purposes"),
        ({"regions": ["1101"]}, {"regions": ["11"]}, "regions"),
        ({"regions": ["1101"]}, {}, "regions"),
        ({"period": {"from": 5, "until": 10}}, {"period": {"from": 5, "until": 11}}, "period"),
        ({"period": {"from": 5, "until": 10}}, {"period": {"from": 4, "until": 10}}, "period"),
        ({"consent": "consents/1"}, {}, "consent"),
        ({"consent": "consents/1"}, {"consent": "consents/2"}, "consent"),
        ({"locations": ["urn:a"]}, {"locations": ["urn:a", "urn:b"]}, "locations"),
    ],
)
def test_the_field_that_widens_is_told(
    held: dict[str, object], wider: dict[str, object], field: str
) -> None:
    asked = AuthorizationDetail.model_validate({**DETAIL, **wider})
    bound = AuthorizationDetail.model_validate({**DETAIL, **held})
    assert wider_field(asked, bound) == field
    assert not narrows(asked, bound)


def test_more_common_regions_than_one_detail_may_name_are_nothing() -> None:
    first = ["11", *(f"12{number:02}" for number in range(63))]
    second = ["12", *(f"11{number:02}" for number in range(63))]
    one, other = (
        AuthorizationDetail.model_validate({**DETAIL, "regions": regions})
        for regions in (first, second)
    )
    assert intersection(one, other) is None
