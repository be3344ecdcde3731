"""A deputy may do what it was appointed for, while it is appointed, and nothing more."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from consent.delegation import (
    INVITATION_SECONDS,
    MOST_DELEGATION_SECONDS,
    Delegation,
    Power,
    allows,
    invites,
    live,
    within,
)
from consent.model import ConsentTerms
from tests.clock import NOW
from tests.consent.world import (
    DAY,
    DEPUTY,
    EVALUATION,
    OPERATOR,
    OTHER_OPERATOR,
    TAX,
    accepted,
    any_terms,
    delegation,
    terms,
)


@st.composite
def any_delegation(draw: st.DrawFn) -> Delegation:
    """Draw a delegation with any limits, accepted or not, ended or not."""
    begins = NOW + draw(st.integers(-5, 5))
    taken = draw(st.booleans())
    return delegation(
        powers=draw(st.frozensets(st.sampled_from(list(Power)), min_size=1)),
        items=draw(st.frozensets(st.sampled_from([EVALUATION, TAX]))),
        purposes=draw(st.frozensets(st.sampled_from([1, 2, 3]))),
        operators=draw(st.frozensets(st.sampled_from([OPERATOR, OTHER_OPERATOR]))),
        valid_from=begins,
        valid_until=begins + draw(st.integers(1, 8)),
        deputy=DEPUTY if taken else "",
        accepted_at=begins if taken else None,
        ended_at=draw(st.none() | st.integers(NOW - 9, NOW + 9)),
    )


@given(
    any_delegation(),
    st.sampled_from(list(Power)),
    st.integers(NOW - 9, NOW + 15),
    any_terms(),
    st.sampled_from([OPERATOR, OTHER_OPERATOR, ""]),
)
def test_a_deputy_answers_exactly_within_its_powers_limits_and_term(
    given_delegation: Delegation, power: Power, now: int, asked: ConsentTerms, operator_id: str
) -> None:
    d = given_delegation
    expected = (
        d.deputy == DEPUTY
        and d.ended_at is None
        and d.valid_from <= now < d.valid_until
        and power in d.powers
        and (not d.items or {item.item for item in asked.items} <= d.items)
        and (not d.purposes or asked.purposes <= d.purposes)
        and (not d.operators or operator_id in d.operators)
    )
    assert allows(d, power, now, terms=asked, operator_id=operator_id) == expected


@given(any_delegation(), st.sampled_from(list(Power)), st.integers(NOW - 9, NOW + 15))
def test_without_terms_the_limits_are_not_asked_about(
    given_delegation: Delegation, power: Power, now: int
) -> None:
    d = given_delegation
    standing = live(d, now) and power in d.powers
    assert allows(d, power, now) == standing
    for operator_id in (OPERATOR, OTHER_OPERATOR):
        assert allows(d, power, now, operator_id=operator_id) == (
            standing and (not d.operators or operator_id in d.operators)
        )


@given(any_delegation(), st.integers(NOW - 9, NOW + 15))
def test_a_delegation_that_invites_has_nobody_acting_under_it(
    given_delegation: Delegation, now: int
) -> None:
    assert not (invites(given_delegation, now) and live(given_delegation, now))


def test_an_end_holds_whatever_the_clock_says() -> None:
    ended = accepted(ended_at=NOW + DAY)
    assert not live(ended, NOW)


def test_an_invitation_is_open_for_a_week_and_no_longer_than_its_term() -> None:
    assert invites(delegation(), NOW + INVITATION_SECONDS - 1)
    assert not invites(delegation(), NOW + INVITATION_SECONDS)
    assert not invites(delegation(valid_until=NOW + 60), NOW + 60)


def test_within_asks_for_each_limit() -> None:
    limited = accepted(
        items=frozenset({TAX}), purposes=frozenset({1}), operators=frozenset({OPERATOR})
    )
    assert within(limited, {TAX}, {1}, OPERATOR)
    assert not within(limited, {TAX, EVALUATION}, {1}, OPERATOR)
    assert not within(limited, {TAX}, {1, 2}, OPERATOR)
    assert not within(limited, {TAX}, {1}, OTHER_OPERATOR)
    assert not allows(limited, Power.ANSWER, NOW, terms=terms(), operator_id=OPERATOR)


@pytest.mark.parametrize(
    "wrong",
    [
        {"powers": frozenset[Power]()},
        {"label": ""},
        {"label": "x" * 101},
        {"label": "a\u202eb"},
        {"valid_until": NOW},
        {"valid_until": NOW + MOST_DELEGATION_SECONDS + 1},
        {"items": frozenset({"Not An Item"})},
        {"purposes": frozenset({0})},
        {"operators": frozenset({""})},
        {"deputy": DEPUTY},
        {"accepted_at": NOW},
        {"subject": "91000000DEM000011B"},
    ],
)
def test_what_is_no_delegation_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        delegation(**wrong)
