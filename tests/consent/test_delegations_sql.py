"""Delegations are invited, accepted once, and ended at once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from consent.changing import Act
from consent.delegation import INVITATION_SECONDS, Delegation, Power, live
from consent.delegations_sql import MOST_A_DAY, MOST_OPEN, SqlDelegations
from consent.model import Actor
from consent.tables import DELEGATION
from creditgate.refusal import Refused
from tests.clock import NOW
from tests.consent.store import ConsentStore, reason_of
from tests.consent.world import (
    DAY,
    DEPUTY,
    OTHER_COMPANY,
    OTHER_OPERATOR,
    SIGNER,
    TAX,
    accepted,
    act,
    delegation,
)
from tests.people import COMPANY

DIGEST = sha256(b"the secret of the link").digest()


@pytest.fixture
def delegations(records_engine: Engine) -> SqlDelegations:
    """The delegations of an empty store."""
    return SqlDelegations(records_engine)


def invited(delegations: SqlDelegations, digest: bytes = DIGEST, **changes: Any) -> Delegation:
    """Write an invitation."""
    return delegations.invite(delegation(**changes), digest)


def taken(delegations: SqlDelegations, **changes: Any) -> Delegation:
    """Write a delegation and let the deputy accept it."""
    made = invited(delegations, **changes)
    return taken_up(delegations, DIGEST, made.valid_from)


def taken_up(delegations: SqlDelegations, digest: bytes, now: int) -> Delegation:
    """Let the deputy accept an invitation."""
    found = delegations.accept(digest, DEPUTY, now)
    assert found is not None
    return found


def test_an_invitation_is_kept_and_accepted_by_whoever_brings_its_secret(
    delegations: SqlDelegations,
) -> None:
    made = invited(delegations)
    assert delegations.get(made.delegation_id) == made
    assert not live(made, NOW)
    found = taken_up(delegations, DIGEST, NOW + 5)
    assert (found.deputy, found.accepted_at) == (DEPUTY, NOW + 5)
    assert live(found, NOW + 5)
    assert delegations.get(made.delegation_id) == found
    assert delegations.of_deputy(DEPUTY) == (found,)
    assert delegations.of_subject(COMPANY) == (found,)


def test_it_is_kept_what_whoever_accepts_is_called(
    delegations: SqlDelegations, records_engine: Engine
) -> None:
    def document() -> str:
        with records_engine.connect() as connection:
            return connection.execute(select(DELEGATION.c.document)).scalar_one()

    made = invited(delegations)
    assert (made.called, made.meant) == (made.label, "")
    # What has no name yet is read by a version that knows of none.
    assert "deputy_name" not in document()
    found = delegations.accept(DIGEST, DEPUTY, NOW, name="某人（虚构）")
    assert found is not None
    assert delegations.get(made.delegation_id) == found
    assert (found.deputy_name, found.called, found.meant) == (
        "某人（虚构）",
        "某人（虚构）",
        made.label,
    )
    # Who brings it again changes nothing.
    assert delegations.accept(DIGEST, DEPUTY, NOW + 1, name="别人") == found
    assert "某人（虚构）" in document()


def test_an_invitation_is_accepted_once(delegations: SqlDelegations) -> None:
    found = taken(delegations)
    assert delegations.accept(DIGEST, "representative:third", NOW + 1) is None
    assert delegations.accept(DIGEST, DEPUTY, NOW + 2) == found
    assert delegations.of_deputy("representative:third") == ()


def test_of_many_who_bring_one_secret_at_once_one_becomes_deputy(
    delegations: SqlDelegations,
) -> None:
    start = Barrier(8)

    def accept(digest: bytes, number: int) -> Delegation | None:
        start.wait()
        return delegations.accept(digest, f"representative:{number}", NOW)

    with ThreadPoolExecutor(8) as threads:
        for round_no in range(10):
            digest = round_no.to_bytes(32)
            made = invited(delegations, digest)
            answers = threads.map(partial(accept, digest), range(8))
            found = [each for each in answers if each is not None]
            assert len(found) == 1
            assert delegations.get(made.delegation_id) == found[0]


@pytest.mark.parametrize(
    ("digest", "deputy", "now"),
    [
        (sha256(b"another secret").digest(), DEPUTY, NOW),
        (DIGEST, SIGNER, NOW),
        (DIGEST, "", NOW),
        (DIGEST, DEPUTY, NOW + INVITATION_SECONDS),
    ],
    ids=["unknown secret", "who made it", "nobody", "too late"],
)
def test_an_invitation_that_does_not_hold_makes_no_deputy(
    delegations: SqlDelegations, digest: bytes, deputy: str, now: int
) -> None:
    made = invited(delegations)
    assert delegations.accept(digest, deputy, now) is None
    assert delegations.get(made.delegation_id) == made


def test_an_invitation_that_was_withdrawn_makes_no_deputy(delegations: SqlDelegations) -> None:
    made = invited(delegations)
    delegations.end(made.delegation_id, SIGNER, NOW + 1)
    assert delegations.accept(DIGEST, DEPUTY, NOW + 2) is None


def test_a_delegation_ends_at_once_and_its_first_end_stands(delegations: SqlDelegations) -> None:
    found = taken(delegations)
    ended = delegations.end(found.delegation_id, SIGNER, NOW + 10)
    assert (ended.ended_at, ended.ended_by) == (NOW + 10, SIGNER)
    assert delegations.end(found.delegation_id, DEPUTY, NOW + 20) == ended
    assert delegations.of_deputy(DEPUTY) == ()
    assert delegations.of_subject(COMPANY) == (ended,)
    assert delegations.accept(DIGEST, DEPUTY, NOW + 11) is None
    with pytest.raises(Refused) as caught:
        delegations.end("none", SIGNER, NOW)
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"


def test_a_subject_has_so_many_delegations_and_no_more(delegations: SqlDelegations) -> None:
    made = [invited(delegations, number.to_bytes(32)) for number in range(MOST_OPEN)]
    with pytest.raises(Refused) as caught:
        invited(delegations)
    assert reason_of(caught.value) == "STATE_CONFLICT"
    invited(delegations, b"o" * 32, subject=OTHER_COMPANY)
    delegations.end(made[0].delegation_id, SIGNER, NOW)
    invited(delegations, valid_from=NOW + DAY)
    assert len(delegations.of_subject(COMPANY)) == MOST_OPEN + 1


def test_a_subject_makes_so_many_delegations_a_day_and_no_more(
    delegations: SqlDelegations,
) -> None:
    for number in range(MOST_A_DAY):
        made = invited(delegations, number.to_bytes(32), valid_from=NOW + number)
        delegations.end(made.delegation_id, SIGNER, NOW + number)
    for at in (NOW + MOST_A_DAY, NOW + DAY - 1):
        with pytest.raises(Refused) as caught:
            invited(delegations, valid_from=at)
        assert reason_of(caught.value) == "RATE_EXCEEDED"
        assert caught.value.retry_after
    invited(delegations, b"o" * 32, subject=OTHER_COMPANY)
    invited(delegations, valid_from=NOW + DAY)


def test_one_that_is_written_again_is_none_too_many(delegations: SqlDelegations) -> None:
    made = [invited(delegations, number.to_bytes(32)) for number in range(MOST_OPEN)]
    with pytest.raises(IntegrityError):
        delegations.invite(made[-1], (MOST_OPEN - 1).to_bytes(32))


def test_delegations_whose_term_is_over_make_room(delegations: SqlDelegations) -> None:
    for number in range(MOST_OPEN):
        invited(delegations, number.to_bytes(32), valid_until=NOW + DAY)
    invited(delegations, valid_from=NOW + DAY, valid_until=NOW + 2 * DAY)


def test_those_that_nobody_ended_are_listed_first(delegations: SqlDelegations) -> None:
    ended = delegations.end(taken(delegations).delegation_id, DEPUTY, NOW + 1)
    long = invited(delegations, b"l" * 32, valid_until=NOW + 90 * DAY)
    short = invited(delegations, b"s" * 32, valid_until=NOW + DAY)
    assert delegations.of_subject(COMPANY) == (long, short, ended)
    assert delegations.of_subject(OTHER_COMPANY) == ()
    assert delegations.get("none") is None


def test_nobody_is_the_deputy_of_invitations_that_wait(delegations: SqlDelegations) -> None:
    invited(delegations)
    assert delegations.of_deputy("") == ()


@pytest.mark.parametrize("begun", [accepted(), delegation(ended_at=NOW)])
def test_only_what_has_not_begun_is_an_invitation(
    delegations: SqlDelegations, begun: Delegation
) -> None:
    with pytest.raises(ValueError, match="no deputy and no end"):
        delegations.invite(begun, DIGEST)


def answer(consents: ConsentStore, delegation_id: str, signer: str = DEPUTY) -> str:
    """Let a deputy grant a new consent at NOW + 60, and return why it may not, or ""."""
    made = consents.requested()
    also = {"signer": signer, "delegation": delegation_id}
    try:
        granted = consents.move(made.consent_id, "grant", act(NOW + 60), also=also)
    except Refused as refused:
        assert consents.get(made.consent_id) == made
        return reason_of(refused)
    assert (granted.signer, granted.delegation) == (signer, delegation_id)
    return ""


def test_a_deputy_answers_a_consent_within_its_delegation(
    consents: ConsentStore, delegations: SqlDelegations
) -> None:
    assert answer(consents, taken(delegations).delegation_id) == ""


@pytest.mark.parametrize(
    "limits",
    [
        {"powers": frozenset({Power.SEE, Power.REVOKE})},
        {"items": frozenset({TAX})},
        {"operators": frozenset({OTHER_OPERATOR})},
        {"valid_until": NOW + 60},
        {"subject": OTHER_COMPANY},
    ],
    ids=lambda limits: str(*limits),
)
def test_a_deputy_answers_no_consent_outside_its_delegation(
    consents: ConsentStore, delegations: SqlDelegations, limits: dict[str, Any]
) -> None:
    assert answer(consents, taken(delegations, **limits).delegation_id) == "STATE_CONFLICT"


def test_nobody_answers_under_a_delegation_that_is_not_theirs_or_not_in_force(
    consents: ConsentStore, delegations: SqlDelegations
) -> None:
    found = taken(delegations)
    assert answer(consents, found.delegation_id, "representative:third") == "STATE_CONFLICT"
    assert answer(consents, "none") == "STATE_CONFLICT"
    waiting = invited(delegations, b"w" * 32)
    assert answer(consents, waiting.delegation_id) == "STATE_CONFLICT"
    delegations.end(found.delegation_id, SIGNER, NOW + 59)
    assert answer(consents, found.delegation_id) == "STATE_CONFLICT"


def withdrawal(
    consents: ConsentStore, consent_id: str, delegation_id: str, deputy: str = DEPUTY
) -> str:
    """Let a deputy end a consent at NOW + 60, and return why it may not, or ""."""
    before = consents.get(consent_id)
    under = Act(Actor.SUBJECT, deputy, "", NOW + 60, delegation_id)
    try:
        consents.move(consent_id, "revoke", under)
    except Refused as refused:
        assert consents.get(consent_id) == before
        return reason_of(refused)
    return ""


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"powers": frozenset({Power.REVOKE})}, ""),
        ({"powers": frozenset({Power.SEE, Power.ANSWER})}, "STATE_CONFLICT"),
        ({"powers": frozenset(Power), "items": frozenset({TAX})}, "STATE_CONFLICT"),
        ({"powers": frozenset(Power), "valid_until": NOW + 60}, "STATE_CONFLICT"),
        ({"powers": frozenset(Power), "subject": OTHER_COMPANY}, "STATE_CONFLICT"),
    ],
    ids=["may", "no power", "other item", "over", "other company"],
)
def test_a_deputy_ends_a_consent_only_within_its_delegation(
    consents: ConsentStore, delegations: SqlDelegations, limits: dict[str, Any], why: str
) -> None:
    found = taken(delegations, **limits)
    granted = consents.granted()
    assert withdrawal(consents, granted.consent_id, found.delegation_id, "another") != ""
    assert withdrawal(consents, granted.consent_id, found.delegation_id) == why


def test_nobody_ends_a_consent_under_a_delegation_that_was_ended_meanwhile(
    consents: ConsentStore, delegations: SqlDelegations
) -> None:
    found = taken(delegations, powers=frozenset({Power.REVOKE}))
    granted = consents.granted()
    delegations.end(found.delegation_id, SIGNER, NOW + 59)
    assert withdrawal(consents, granted.consent_id, found.delegation_id) == "STATE_CONFLICT"
