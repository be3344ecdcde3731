"""Metadata policies (OpenID Federation 1.0, section 6.1)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.federation.trust.policy import resolved_metadata
from gateway.federation.trust.statement import EntityStatement, StatementInvalid
from tests.clock import NOW
from tests.federation.trust.signing import ANCHOR, LEAF, MIDDLE

KIND = "public_credit_region"
TEXTS = st.lists(st.sampled_from("abcdef"), max_size=5, unique=True)


def said(issuer: str, subject: str, **more: Any) -> EntityStatement:
    claims = {"iss": issuer, "sub": subject, "iat": NOW, "exp": NOW + 9, "jwks": {}, **more}
    return EntityStatement.model_validate(claims)


def resolved(fields: dict[str, Any], *policies: dict[str, Any]) -> Any:
    """Apply policies of one parameter each, the immediate superior's first."""
    superiors = [
        said(MIDDLE, LEAF, metadata_policy={KIND: {"p": operators}}) for operators in policies
    ]
    return resolved_metadata(said(LEAF, LEAF, metadata={KIND: fields}), superiors)[KIND].get("p")


@pytest.mark.parametrize(
    ("before", "operators", "after"),
    [
        ({"p": "a"}, {"value": "b"}, "b"),
        ({}, {"value": "b"}, "b"),
        ({"p": "a"}, {"value": None}, None),
        ({"p": ["a"]}, {"add": ["b", "a"]}, ["a", "b"]),
        ({}, {"add": ["b"]}, ["b"]),
        ({}, {"default": "d"}, "d"),
        ({"p": "a"}, {"default": "d"}, "a"),
        ({"p": "a"}, {"one_of": ["a", "b"]}, "a"),
        ({"p": ["a", "c"]}, {"subset_of": ["a", "b"]}, ["a"]),
        ({}, {"subset_of": ["a"]}, None),
        ({"p": ["a", "b"]}, {"superset_of": ["a"]}, ["a", "b"]),
        ({"p": "a"}, {"essential": True}, "a"),
        ({"p": "a"}, {"essential": False, "unknown": 1}, "a"),
    ],
)
def test_each_operator_does_what_the_specification_says(
    before: dict[str, Any], operators: dict[str, Any], after: Any
) -> None:
    assert resolved(before, operators) == after


@pytest.mark.parametrize(
    ("before", "operators"),
    [
        ({"p": "c"}, {"one_of": ["a", "b"]}),
        ({"p": ["b"]}, {"superset_of": ["a"]}),
        ({}, {"essential": True}),
        ({"p": "text"}, {"subset_of": ["a"]}),
    ],
)
def test_metadata_outside_a_policy_are_refused(
    before: dict[str, Any], operators: dict[str, Any]
) -> None:
    with pytest.raises(StatementInvalid):
        resolved(before, operators)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ({"value": "a"}, {"value": "b"}),
        ({"default": "a"}, {"default": "b"}),
        ({"one_of": ["a"]}, {"one_of": ["b"]}),
        ({"value": ["a", "c"]}, {"subset_of": ["a", "b"]}),
        ({"value": ["a"]}, {"superset_of": ["a", "b"]}),
        ({"value": ["a"]}, {"add": ["b"]}),
        ({"value": "c"}, {"one_of": ["a", "b"]}),
        ({"value": None}, {"essential": True}),
        ({"value": None}, {"default": "a"}),
        ({"add": ["c"]}, {"subset_of": ["a", "b"]}),
        ({"subset_of": ["a"]}, {"superset_of": ["b"]}),
        ({"subset_of": ["a"]}, {"one_of": ["a"]}),
    ],
)
def test_policies_that_contradict_each_other_are_refused(
    lower: dict[str, Any], upper: dict[str, Any]
) -> None:
    with pytest.raises(StatementInvalid):
        resolved({}, lower, upper)


@pytest.mark.parametrize(
    ("lower", "upper", "after"),
    [
        ({"value": ["b"]}, {"subset_of": ["a", "b"]}, ["b"]),
        ({"value": ["a", "b"]}, {"superset_of": ["a"], "essential": True}, ["a", "b"]),
        ({"add": ["b"]}, {"subset_of": ["a", "b", "c"]}, ["a", "b"]),
        ({"subset_of": ["a", "b"]}, {"superset_of": ["a"], "default": ["b"]}, ["a"]),
    ],
)
def test_policies_of_several_superiors_that_agree_hold_together(
    lower: dict[str, Any], upper: dict[str, Any], after: Any
) -> None:
    assert resolved({"p": ["a"]}, lower, upper) == after
    assert resolved({"p": ["a"]}, upper, lower) == after


@given(held=TEXTS, lower=TEXTS, upper=TEXTS)
def test_more_superiors_only_narrow(held: list[str], lower: list[str], upper: list[str]) -> None:
    alone = resolved({"p": held}, {"subset_of": lower})
    both = resolved({"p": held}, {"subset_of": lower}, {"subset_of": upper})
    assert set(both) == set(held) & set(lower) & set(upper)
    assert set(both) <= set(alone)


def test_what_the_immediate_superior_states_goes_before_the_leafs_own_word() -> None:
    leaf = said(LEAF, LEAF, metadata={KIND: {"p": "mine", "q": 1}})
    above = said(ANCHOR, LEAF, metadata={KIND: {"p": "theirs"}, "other": {"p": 1}})
    assert resolved_metadata(leaf, [above]) == {KIND: {"p": "theirs", "q": 1}}
