"""A consent that is kept elsewhere ends here as it was ended there, once and for good."""

import pytest

from consent.model import Actor
from consent.states import EXPIRED, GRANTED, REVOKED
from creditgate.refusal import Refused
from tests.clock import NOW
from tests.consent.store import ConsentStore, reason_of
from tests.consent.world import DAY, act


def test_what_was_revoked_there_is_revoked_here_with_the_duty_that_follows(
    consents: ConsentStore,
) -> None:
    made = consents.granted()
    consents.use(made)
    ended = consents.follow(made.consent_id, REVOKED, act(NOW + 7, actor=Actor.GATEWAY))
    assert (ended.state, ended.ended_at, ended.version) == (REVOKED, NOW + 7, made.version + 1)
    (removal,) = consents.removals([made.consent_id]).values()
    assert removal.deadline == NOW + 7 + DAY


def test_what_expired_there_expires_here_before_its_time(consents: ConsentStore) -> None:
    made = consents.granted()
    assert consents.follow(made.consent_id, EXPIRED, act(NOW + 7)).state == EXPIRED


def test_an_end_that_is_told_again_or_otherwise_changes_nothing(consents: ConsentStore) -> None:
    made = consents.granted()
    ended = consents.follow(made.consent_id, REVOKED, act(NOW + 7))
    changes = len(consents.changes(limit=99))
    assert consents.follow(made.consent_id, REVOKED, act(NOW + 8)) == ended
    assert consents.follow(made.consent_id, EXPIRED, act(NOW + 9)) == ended
    assert len(consents.changes(limit=99)) == changes


def test_an_end_of_a_consent_that_is_not_here_is_refused(consents: ConsentStore) -> None:
    live = consents.granted()
    with pytest.raises(Refused) as refused:
        consents.follow("none", REVOKED, act())
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    kept = consents.get(live.consent_id)
    assert kept is not None
    assert kept.state == GRANTED
