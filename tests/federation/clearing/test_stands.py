"""A concession is to one version, and two that cross are settled by one rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.clearing import ClearingEntry, Dispute, disputes_of
from gateway.federation.clearing.stands import (
    ASKING,
    HOME,
    UNDECIDED,
    Stand,
    claimed,
    next_stand,
    stand_of,
)

NORTH, SOUTH = "https://north.invalid", "https://south.invalid"
UNTIL = 1_775_001_600
ENTRY = ClearingEntry(NORTH, SOUTH, "q-1", 0, "record-1", 1, "xzcf", UNTIL - 9_000, 10)
VERSIONS = st.sampled_from([None, *(ENTRY._replace(fee=fee) for fee in range(6))])
SIDES = st.sampled_from([HOME, ASKING])


def dispute_between(home: ClearingEntry | None, asking: ClearingEntry | None) -> Dispute | None:
    """Return what is in dispute, None where both have the same."""
    if home == asking:
        return None
    ours, theirs = ([] if each is None else [each] for each in (home, asking))
    (found,) = disputes_of(ours, theirs, NORTH, UNTIL)
    return found


@given(VERSIONS, VERSIONS, VERSIONS, VERSIONS, SIDES)
def test_who_conceded_claims_its_own_or_the_version_conceded_and_nothing_else(
    home: ClearingEntry | None,
    asking: ClearingEntry | None,
    later: ClearingEntry | None,
    latest: ClearingEntry | None,
    side: int,
) -> None:
    before = dispute_between(home, asking)
    if before is None:
        return
    for own, other in ((NORTH, SOUTH), (SOUTH, NORTH)):
        stand = stand_of(before, HOME if side == HOME else ASKING)
        granted = {before.version(own), home if side == HOME else asking}
        dispute = before
        for theirs in (later, latest):
            mine = claimed(dispute, stand, own)
            assert mine in granted
            now = dispute_between(*((mine, theirs) if own == NORTH else (theirs, mine)))
            if now is None:
                break
            dispute, stand = now, next_stand(dispute, stand, now, other)
        else:
            assert claimed(dispute, stand, own) in granted


@given(VERSIONS, VERSIONS)
def test_two_that_concede_to_each_other_agree_on_what_was_first_the_home_regions(
    home: ClearingEntry | None, asking: ClearingEntry | None
) -> None:
    before = dispute_between(home, asking)
    if before is None:
        return
    at_home, at_asking = stand_of(before, ASKING), stand_of(before, HOME)
    now = dispute_between(claimed(before, at_home, NORTH), claimed(before, at_asking, SOUTH))
    assert now is not None
    assert claimed(now, next_stand(before, at_home, now, SOUTH), NORTH) == home
    assert claimed(now, next_stand(before, at_asking, now, NORTH), SOUTH) == home


@pytest.mark.parametrize("side", [HOME, ASKING])
def test_a_stand_that_names_no_version_of_those_shown_is_none(side: int) -> None:
    dispute = dispute_between(ENTRY, ENTRY._replace(fee=9))
    assert dispute is not None
    stand = Stand(HOME if side == HOME else ASKING, "")
    assert claimed(dispute, stand, NORTH) == ENTRY
    assert next_stand(dispute, stand, dispute, SOUTH) == UNDECIDED
