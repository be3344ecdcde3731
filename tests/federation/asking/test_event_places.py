"""Positions of a log that was begun anew are told from those of the one before."""

from gateway.federation.asking.event_places import (
    LAST_SEQUENCE,
    UNNAMED_LOG,
    log_in,
    log_of,
    place,
    sequence_in,
    told_by,
)
from tests.federation.trust.test_anew import FIRST, FOLLOWS, SECOND, STRANGER, keyed


def test_a_log_whose_key_is_linked_to_the_former_is_the_same_and_any_other_is_not() -> None:
    log = log_of(keyed(FIRST))
    assert log_of(keyed(SECOND, FOLLOWS)) == log
    # By `log begin` and `log rotate --stolen` no note leads from the former.
    assert len({log, log_of(keyed(SECOND)), log_of(keyed(STRANGER)), UNNAMED_LOG}) == 4


def test_a_region_that_names_no_log_has_places_too() -> None:
    assert log_of(keyed(FIRST)._replace(log_keys={})) == UNNAMED_LOG


def test_a_place_is_a_position_and_its_log_and_fits_into_the_store() -> None:
    log = log_of(keyed(FIRST))
    for sequence in (0, 1, LAST_SEQUENCE):
        at = place(log, sequence)
        assert (log_in(at), sequence_in(at)) == (log, sequence)
        assert at < 1 << 63


def test_places_in_a_log_from_before_are_no_positions_of_the_present_one() -> None:
    former, present = keyed(FIRST), keyed(STRANGER)
    places = [place(log_of(former), 8), place(log_of(present), 8), place(UNNAMED_LOG, 8)]
    assert told_by(present, places) == [1, 2]
