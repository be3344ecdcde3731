"""Subjects' keys: registered, few, and gone for good once removed."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

from consent.subject_keys import MOST_A_DAY, MOST_KEYS, SqlSubjectKeys, SubjectKey
from creditgate.refusal import Refused
from tests.clock import NOW
from tests.consent.store import reason_of
from tests.consent.world import DAY, OTHER_COMPANY, SIGNER
from tests.people import COMPANY

JWK = '{"kty":"OKP","crv":"Ed25519","x":"invented"}'


@pytest.fixture
def keys(records_engine: Engine) -> SqlSubjectKeys:
    """The keys of an empty store."""
    return SqlSubjectKeys(records_engine)


def thumbprint(number: int) -> str:
    """Return something of the form of a thumbprint."""
    return f"{number:A>43}"


def register(
    keys: SqlSubjectKeys, number: int, subject: str = COMPANY, at: int = NOW
) -> SubjectKey:
    """Register an invented key."""
    return keys.register(subject, thumbprint(number), JWK, SIGNER, at)


def test_a_key_is_kept_for_its_subject(keys: SqlSubjectKeys) -> None:
    made = register(keys, 1)
    register(keys, 2, OTHER_COMPANY)
    assert keys.standing(COMPANY) == (made,)
    assert (made.jwk, made.registered_by, made.registered_at) == (JWK, SIGNER, NOW)


def test_a_key_registered_again_stays_as_it_was(keys: SqlSubjectKeys) -> None:
    made = register(keys, 1)
    assert keys.register(COMPANY, thumbprint(1), JWK, "somebody else", NOW + 9) == made
    assert keys.standing(COMPANY) == (made,)


def test_a_removed_key_does_not_come_back(keys: SqlSubjectKeys) -> None:
    register(keys, 1)
    keys.remove(OTHER_COMPANY, thumbprint(1), NOW)
    assert len(keys.standing(COMPANY)) == 1
    keys.remove(COMPANY, thumbprint(1), NOW + 1)
    keys.remove(COMPANY, thumbprint(1), NOW + 2)
    assert keys.standing(COMPANY) == ()
    with pytest.raises(Refused) as caught:
        register(keys, 1)
    assert reason_of(caught.value) == "STATE_CONFLICT"
    assert keys.standing(COMPANY) == ()


def test_a_subject_has_so_many_keys_and_no_more(keys: SqlSubjectKeys) -> None:
    made = [register(keys, number, at=NOW + number) for number in range(MOST_KEYS)]
    with pytest.raises(Refused) as caught:
        register(keys, 99)
    assert reason_of(caught.value) == "STATE_CONFLICT"
    assert keys.standing(COMPANY) == tuple(made)
    keys.remove(COMPANY, thumbprint(0), NOW)
    register(keys, 99)


def test_a_subject_brings_so_many_keys_a_day_and_no_more(keys: SqlSubjectKeys) -> None:
    for number in range(MOST_A_DAY):
        register(keys, number, at=NOW + number)
        keys.remove(COMPANY, thumbprint(number), NOW + number)
    for at in (NOW + MOST_A_DAY, NOW + DAY - 1):
        with pytest.raises(Refused) as caught:
            register(keys, 999, at=at)
        assert reason_of(caught.value) == "RATE_EXCEEDED"
        assert caught.value.retry_after
    register(keys, 999, OTHER_COMPANY)
    register(keys, 999, at=NOW + DAY)


def test_at_once_no_more_keys_are_registered_than_one_after_the_other(
    keys: SqlSubjectKeys,
) -> None:
    start = Barrier(12)

    def try_it(number: int) -> bool:
        start.wait()
        try:
            register(keys, number)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(12) as threads:
        assert sum(threads.map(try_it, range(12))) == MOST_KEYS
    assert len(keys.standing(COMPANY)) == MOST_KEYS


@pytest.mark.parametrize("wrong", ["", "x" * 42, "+" * 43])
def test_what_is_no_thumbprint_is_not_kept(keys: SqlSubjectKeys, wrong: str) -> None:
    with pytest.raises(ValidationError):
        keys.register(COMPANY, wrong, JWK, SIGNER, NOW)
    with pytest.raises(ValidationError):
        keys.register(COMPANY, thumbprint(1), "x" * 5_000, SIGNER, NOW)
    assert keys.standing(COMPANY) == ()
