"""A concession is to one version, and two that cross are settled by one rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.clearing_disputes import Shown
from creditgate.v1.clearing_service_pb2 import ClearingStand
from gateway.federation.clearing.stands import (
    ASKING,
    HOME,
    UNDECIDED,
    Stand,
    claimed,
    conceded,
    next_stand,
    stand_of,
)

VERSIONS = st.sampled_from(["", *(letter * 64 for letter in "abcdef")])
SIDES = st.sampled_from([HOME, ASKING])


def claim(shown: Shown, stand: Stand, own: ClearingStand.ValueType) -> str:
    """Return the version that a side claims."""
    return shown.home if claimed(shown, stand, own) == HOME else shown.asking


def shown_by(own: ClearingStand.ValueType, mine: str, theirs: str) -> Shown:
    """Return what is shown where one side claims one version, and the other another."""
    return Shown(mine, theirs) if own == HOME else Shown(theirs, mine)


@given(VERSIONS, VERSIONS, VERSIONS, VERSIONS, SIDES, SIDES)
def test_who_conceded_claims_its_own_or_the_version_conceded_and_nothing_else(
    home: str,
    asking: str,
    later: str,
    latest: str,
    side: ClearingStand.ValueType,
    own: ClearingStand.ValueType,
) -> None:
    before = Shown(home, asking)
    stand = stand_of(before, side)
    granted = {home if own == HOME else asking, home if side == HOME else asking}
    assert conceded(stand, own) == (side != own)
    for theirs in (later, latest):
        mine = claim(before, stand, own)
        assert mine in granted
        if mine == theirs:
            return
        now = shown_by(own, mine, theirs)
        before, stand = now, next_stand(before, stand, now, own)
    assert claim(before, stand, own) in granted


@given(VERSIONS, VERSIONS)
def test_two_that_concede_to_each_other_agree_on_what_was_first_the_home_regions(
    home: str, asking: str
) -> None:
    before = Shown(home, asking)
    if home == asking:
        return
    at_home, at_asking = stand_of(before, ASKING), stand_of(before, HOME)
    now = Shown(claim(before, at_home, HOME), claim(before, at_asking, ASKING))
    assert claim(now, next_stand(before, at_home, now, HOME), HOME) == home
    assert claim(now, next_stand(before, at_asking, now, ASKING), ASKING) == home


@pytest.mark.parametrize("side", [HOME, ASKING])
def test_a_stand_that_names_no_version_of_those_shown_is_none(
    side: ClearingStand.ValueType,
) -> None:
    shown = Shown("a" * 64, "b" * 64)
    stand = Stand(side, "")
    assert claimed(shown, stand, HOME) == HOME
    assert claimed(shown, stand, ASKING) == ASKING
    assert next_stand(shown, stand, shown, HOME) == UNDECIDED
