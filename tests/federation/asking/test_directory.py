"""Directories: no is certain, yes proves nothing, and the note binds all of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.merkle import ProofInvalid
from gateway.federation.asking.directory_note import (
    LIFE_SECONDS,
    directory_of,
    named_by,
    note_of,
    open_directory_note,
)
from gateway.federation.asking.subject_filter import SubjectFilter, filter_of
from tests.clock import NOW
from tests.federation.asking.keys import TestLogKey
from tests.installation import company

REGION = "https://north.invalid"
KEY = bytes(range(32))

subjects = st.sets(st.integers(0, 10**9 - 1).map(company), max_size=200)


@given(subjects)
def test_nobody_of_whom_there_is_something_is_denied(among: set[str]) -> None:
    made = filter_of(sorted(among), KEY)
    assert all(made.may_hold(subject) for subject in among)


def test_yes_is_said_of_some_of_whom_there_is_nothing_so_that_it_proves_nothing() -> None:
    made = filter_of(map(company, range(300)), KEY)
    said = sum(made.may_hold(company(number)) for number in range(1_000, 11_000))
    assert 100 <= said <= 500


@pytest.mark.parametrize("count", [0, 1, 700, 1_024])
def test_a_directory_does_not_tell_how_many_it_holds(count: int) -> None:
    made = filter_of(map(company, range(count)), KEY)
    assert len(made.bits) == 1_024
    set_ = sum(bit.bit_count() for bit in made.bits)
    assert 3_050 <= set_ <= 3_400


def test_asked_anew_in_an_epoch_the_same_is_told_and_in_the_next_another() -> None:
    among = [company(number) for number in range(50)]
    assert filter_of(among, KEY) == filter_of(reversed(among), KEY)
    assert filter_of(among, KEY).bits != filter_of(among, bytes(32)).bits


def test_a_note_names_one_directory_of_one_region() -> None:
    log, other = TestLogKey("north.invalid/log"), TestLogKey("north.invalid/log")
    made = filter_of([company(1)], KEY)
    note = note_of(named_by(REGION, NOW, made), log)
    named = open_directory_note(note, REGION, log.verifier)
    directory = directory_of(named, made.bits)
    assert directory.may_hold(company(1))
    assert directory.stands(NOW + LIFE_SECONDS - 1)
    assert not directory.stands(NOW + LIFE_SECONDS)
    for region, key in (("https://south.invalid", log), (REGION, other)):
        with pytest.raises(ProofInvalid):
            open_directory_note(note, region, key.verifier)
    with pytest.raises(ProofInvalid):
        open_directory_note(note.replace(str(NOW), str(NOW + 1)), REGION, log.verifier)
    with pytest.raises(ProofInvalid):
        directory_of(named, bytes(len(made.bits)))


def test_a_filter_of_no_known_size_is_not_read() -> None:
    with pytest.raises(ValueError, match="size"):
        SubjectFilter.read(9, KEY, bytes(512))
    with pytest.raises(ValueError, match="size"):
        SubjectFilter.read(10, KEY, bytes(512))
