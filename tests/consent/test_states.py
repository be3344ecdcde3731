"""No sequence of moves and instants revives a dead consent (G3)."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.model import ONCE, Consent
from consent.states import (
    BY_ITSELF,
    EXHAUSTED,
    EXPIRED,
    FINAL,
    GRANTED,
    OPEN,
    PAUSED,
    REQUESTED,
    REVOKED,
    Move,
    due_at,
    effective_state,
    ended_by_itself_at,
    moved,
)
from creditgate.v1.consent_service_pb2 import ConsentState
from tests.clock import NOW
from tests.consent.world import STATES, any_consent

MOVES: tuple[Move, ...] = get_args(Move)
INSTANTS = st.integers(NOW - 10, NOW + 20)


@given(st.sampled_from(STATES), st.lists(st.sampled_from(MOVES), max_size=20), st.booleans())
def test_no_sequence_of_moves_leaves_the_final_states(
    start: ConsentState.ValueType, moves: list[Move], served: bool
) -> None:
    state, dead = start, start in FINAL
    for move in moves:
        after = moved(state, move, held=served)
        if dead and after is not None:
            assert (move, after) == ("revoke", REVOKED)
            assert served
            assert state in BY_ITSELF
        state = state if after is None else after
        dead = dead or state in FINAL
    assert dead == (state in FINAL)


@pytest.mark.parametrize("ended", BY_ITSELF)
def test_what_ended_by_itself_is_taken_back_where_records_were_served(
    ended: ConsentState.ValueType,
) -> None:
    assert moved(ended, "revoke", held=True) == REVOKED
    assert moved(ended, "revoke", held=False) is None


@given(st.lists(st.sampled_from(MOVES), max_size=20), st.booleans())
def test_nothing_is_granted_before_the_subject_grants(moves: list[Move], served: bool) -> None:
    state, granted = REQUESTED, False
    for move in moves:
        after = moved(state, move, held=served)
        granted = granted or (move == "grant" and after is not None)
        state = state if after is None else after
        assert granted or state not in (GRANTED, PAUSED, EXHAUSTED)


def test_every_state_is_either_open_or_final() -> None:
    assert set(STATES) == OPEN | FINAL
    assert not OPEN & FINAL


@given(any_consent(), st.integers(0, 3), INSTANTS)
def test_time_and_use_make_nothing_live_that_was_not(
    consent: Consent, answered: int, now: int
) -> None:
    state = effective_state(consent, answered, now)
    assert state == consent.state or (consent.state in OPEN and state in BY_ITSELF)


@given(any_consent(), st.integers(0, 3), INSTANTS, st.integers(0, 30))
def test_what_time_has_ended_stays_ended(
    consent: Consent, answered: int, now: int, later: int
) -> None:
    if effective_state(consent, answered, now) in FINAL:
        assert effective_state(consent, answered + later % 2, now + later) in FINAL


@given(any_consent(), INSTANTS)
def test_a_consent_is_due_at_the_instant_at_which_time_ends_it(consent: Consent, now: int) -> None:
    due = due_at(consent)
    assert (due is None) == (consent.state in FINAL)
    if due is not None:
        assert (effective_state(consent, 0, now) == EXPIRED) == (now >= due)


@given(any_consent(), st.integers(0, 2), INSTANTS)
def test_only_a_granted_consent_within_its_validity_counts_as_granted(
    consent: Consent, answered: int, now: int
) -> None:
    live = effective_state(consent, answered, now) == GRANTED
    assert live == (
        consent.state == GRANTED
        and now < consent.terms.valid_until
        and not (answered and consent.terms.access_mode == ONCE)
    )


@given(any_consent(), st.none() | INSTANTS, INSTANTS)
def test_what_ended_by_itself_has_not_ended_later_than_that_is_found(
    consent: Consent, answered_at: int | None, now: int
) -> None:
    state = effective_state(consent, answered_at is not None, now)
    if consent.state in OPEN and state in FINAL:
        spent_at = answered_at if state == EXHAUSTED else None
        ended_at = ended_by_itself_at(consent, spent_at, now)
        assert ended_at <= now
        if state == EXPIRED:
            assert ended_at == due_at(consent)
        elif answered_at is not None:
            assert ended_at == min(answered_at, now)
