"""A subject is told of every change that somebody else made to its consents."""

import pytest
from sqlalchemy import Engine

from consent.changing import Act
from consent.delegation import INVITATION_SECONDS
from consent.delegations_sql import SqlDelegations
from consent.model import Actor
from consent.notices import MOST_UNREAD, SqlNotices
from consent.states import EXPIRED, GRANTED, PAUSED, REQUESTED, REVOKED
from tests.clock import NOW
from tests.consent.store import ConsentStore
from tests.consent.world import DEPUTY, OTHER_COMPANY, SIGNER, act, delegation, terms
from tests.people import COMPANY


@pytest.fixture
def notices(records_engine: Engine) -> SqlNotices:
    """The notices of an empty store."""
    return SqlNotices(records_engine)


def test_what_others_did_is_told_newest_first_and_what_it_did_itself_is_not(
    consents: ConsentStore, notices: SqlNotices
) -> None:
    made = consents.granted(terms=terms(valid_until=NOW + 10))
    consents.requested(subject=OTHER_COMPANY)
    consents.move(made.consent_id, "pause", act(NOW + 1, Actor.ADMINISTRATOR, "root", "审计"))
    consents.settle(made.consent_id, NOW + 10)
    told = notices.notices(COMPANY, before=None, limit=10)
    assert [each.state for each in told] == [EXPIRED, PAUSED, REQUESTED]
    assert told[1].reason == "审计"
    assert notices.notices(COMPANY, before=None, limit=1) == told[:1]
    assert notices.notices(COMPANY, before=told[0].sequence, limit=10) == told[1:]
    assert notices.notices(COMPANY, before=1, limit=10) == ()


def test_what_a_deputy_did_is_told_with_the_delegation_it_was_done_under(
    consents: ConsentStore, notices: SqlNotices, records_engine: Engine
) -> None:
    delegations = SqlDelegations(records_engine)
    invited = delegations.invite(delegation(), b"secret")
    assert delegations.accept(b"secret", DEPUTY, NOW)
    made, mine = consents.requested(), consents.requested()
    newest = consents.head()
    notices.seen(SIGNER, COMPANY, newest)
    answer = {"signer": DEPUTY, "delegation": invited.delegation_id}
    consents.move(made.consent_id, "grant", act(by=DEPUTY), also=answer)
    consents.move(mine.consent_id, "grant", act())
    under = Act(Actor.SUBJECT, DEPUTY, "", NOW + 1, invited.delegation_id)
    consents.move(mine.consent_id, "revoke", under)
    assert notices.unread(SIGNER, COMPANY) == 2
    told = notices.notices(COMPANY, before=None, limit=2)
    assert [(each.consent_id, each.state) for each in told] == [
        (mine.consent_id, REVOKED),
        (made.consent_id, GRANTED),
    ]
    assert {each.delegation for each in told} == {invited.delegation_id}
    assert delegations.by_id([invited.delegation_id, "other"]) == {
        invited.delegation_id: delegations.get(invited.delegation_id)
    }


def test_who_accepted_is_told_to_each_person_until_they_have_seen_it(
    notices: SqlNotices, records_engine: Engine
) -> None:
    delegations = SqlDelegations(records_engine)
    for number in range(3):
        delegations.invite(delegation(), number.to_bytes(32))
    delegations.invite(delegation(subject=OTHER_COMPANY), b"o" * 32)
    assert notices.accepted(SIGNER, COMPANY) == ()
    digests = (b"o" * 32, *(number.to_bytes(32) for number in (1, 0)))
    _, first, second = (
        delegations.accept(digest, DEPUTY, NOW + at, name="某人")
        for at, digest in enumerate(digests)
    )
    assert notices.accepted(SIGNER, COMPANY) == (second, first)
    notices.accepted_seen(SIGNER, COMPANY, NOW + 1)
    assert notices.accepted(SIGNER, COMPANY) == (second,)
    assert notices.accepted(DEPUTY, COMPANY) == (second, first)
    # Nothing of consents is seen with it, nor the other way round.
    notices.seen(DEPUTY, COMPANY, NOW + 9)
    assert notices.accepted(DEPUTY, COMPANY) == (second, first)
    # An invitation waits for days.
    late = delegations.accept((2).to_bytes(32), DEPUTY, NOW + INVITATION_SECONDS - 1)
    notices.accepted_seen(SIGNER, COMPANY, NOW + INVITATION_SECONDS - 2)
    assert notices.accepted(SIGNER, COMPANY) == (late,)
    notices.accepted_seen(SIGNER, COMPANY, NOW + INVITATION_SECONDS)
    assert notices.accepted(SIGNER, COMPANY) == ()


def test_unread_are_those_a_person_has_not_seen(
    consents: ConsentStore, notices: SqlNotices
) -> None:
    made = consents.granted()
    consents.move(made.consent_id, "pause", act(actor=Actor.ADMINISTRATOR))
    newest = consents.head()
    assert notices.unread(SIGNER, COMPANY) == 2
    notices.seen(SIGNER, COMPANY, newest)
    assert notices.unread(SIGNER, COMPANY) == 0
    assert notices.unread(DEPUTY, COMPANY) == 2
    notices.seen(SIGNER, OTHER_COMPANY, newest)
    consents.move(made.consent_id, "revoke", act(actor=Actor.OPERATOR))
    assert notices.unread(SIGNER, COMPANY) == 1


def test_what_was_seen_is_never_unseen(consents: ConsentStore, notices: SqlNotices) -> None:
    for _ in range(3):
        consents.requested()
    notices.seen(SIGNER, COMPANY, 3)
    notices.seen(SIGNER, COMPANY, 1)
    assert notices.unread(SIGNER, COMPANY) == 0


def test_unread_notices_are_counted_up_to_a_limit(
    consents: ConsentStore, notices: SqlNotices
) -> None:
    for _ in range(MOST_UNREAD + 2):
        consents.requested()
    assert notices.unread(SIGNER, COMPANY) == MOST_UNREAD
