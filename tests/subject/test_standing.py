"""Lists of consents go by what time and counts have made of them, on both stores."""

import pytest

from consent.changing import Act
from consent.delegation import Delegation, Power
from consent.model import MOST_ANSWER_SECONDS, Actor
from consent.removals import Removal
from consent.sql import SqlConsents
from consent.states import EXPIRED, FINAL, GRANTED, LIVE, PAUSED, REVOKED
from consent.uses import Use
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from gateway.signin.identity import Identity
from gateway.storage.engines import Engines
from gateway.subject.acting import Acting
from gateway.subject.standing import Standing, found, standing, waiting
from operators.administrators import BASIC_ACR
from tests.clock import NOW
from tests.consenting import DAY, requested, terms
from tests.people import COMPANY

ITEM = "payment.tax"
DELETE = DataLifeEnd.DATA_LIFE_END_DELETE
IDENTITY = Identity(
    "https://provider.example",
    "x",
    "X (invented)",
    COMPANY,
    NOW,
    BASIC_ACR,
    "representative:x",
)


def acting(now: int, *delegations: Delegation) -> Acting:
    """Return the representative, or a deputy, at ``now``."""
    return Acting(COMPANY, IDENTITY, delegations, now)


@pytest.fixture
def consents(engines: Engines) -> SqlConsents:
    """Those of a store."""
    return SqlConsents(engines.records)


def kept(consents: SqlConsents, at: int = NOW, **changed: object) -> str:
    """Keep a request made ``at``, and return its id."""
    consent = requested(COMPANY, terms((ITEM,)))
    changes = {
        "consent_id": f"{at:010x}-{consent.consent_id[11:]}",
        "requested_at": at,
        "changed_at": at,
        "answer_until": at + DAY,
        **changed,
    }
    consent = consent.model_copy(update=changes)
    return consents.add(consent, Act(Actor.OPERATOR, "", "", at)).consent_id


def test_a_request_waits_until_its_time_is_over_whether_that_was_written_or_not(
    consents: SqlConsents,
) -> None:
    first = kept(consents, NOW - 5)
    second = kept(consents, NOW)
    assert [each.consent.consent_id for each in waiting(consents, acting(NOW))] == [second, first]
    over = NOW - 5 + DAY
    assert [each.consent.consent_id for each in waiting(consents, acting(over))] == [second]
    lapsed = standing(consents, first, over)
    assert lapsed is not None
    assert lapsed.state == EXPIRED
    assert lapsed.consent.state == EXPIRED, "what was told stays, also when a clock is set back"
    ended = found(consents, acting(over), FINAL)
    assert [each.consent.consent_id for each in ended.consents] == [first]


def test_the_request_that_may_wait_longest_is_found(consents: SqlConsents) -> None:
    longest = kept(consents, NOW, answer_until=NOW + MOST_ANSWER_SECONDS)
    last = acting(NOW + MOST_ANSWER_SECONDS - 1)
    assert [each.consent.consent_id for each in waiting(consents, last)] == [longest]


def test_consents_in_force_are_found_page_by_page_without_the_dead_between(
    consents: SqlConsents,
) -> None:
    live: list[str] = []
    for number in range(30):
        consent_id = kept(consents, NOW + number)
        act = Act(Actor.SUBJECT, "", "", NOW + number)
        consents.move(consent_id, "grant", act)
        if number % 3 == 0:
            consents.move(consent_id, "revoke", act)
        else:
            live.append(consent_id)
        if number % 3 == 1:
            consents.move(consent_id, "pause", act)
    seen: list[str] = []
    before = ""
    while True:
        page = found(consents, acting(NOW + 30), LIVE, before=before, limit=7)
        seen += [each.consent.consent_id for each in page.consents]
        assert {each.state for each in page.consents} <= {GRANTED, PAUSED}
        if not page.next_before:
            break
        before = page.next_before
    assert seen == live[::-1]
    ended = found(consents, acting(NOW + 30), FINAL, limit=99).consents
    assert len(ended) == 30 - len(live)
    assert {each.state for each in ended} == {REVOKED}
    # All are over once their time is.
    assert not found(consents, acting(NOW + 400 * DAY), LIVE).consents


def test_no_page_is_offered_that_would_be_empty(consents: SqlConsents) -> None:
    for number in range(3):
        consents.move(
            kept(consents, NOW + number), "grant", Act(Actor.SUBJECT, "", "", NOW + number)
        )
    kept(consents, NOW - 1)
    assert found(consents, acting(NOW + 3), LIVE, limit=2).next_before
    assert not found(consents, acting(NOW + 3), LIVE, limit=3).next_before


def test_a_deputy_finds_what_lies_within_its_limits(consents: SqlConsents) -> None:
    kept(consents)
    limited = Delegation(
        delegation_id="d",
        subject=COMPANY,
        appointed_by="representative:y",
        label="x",
        powers=frozenset(Power),
        items=frozenset({"other.item"}),
        valid_from=NOW,
        valid_until=NOW + DAY,
        deputy=IDENTITY.representative,
        accepted_at=NOW,
    )
    assert not waiting(consents, acting(NOW, limited))
    whole = limited.model_copy(update={"items": frozenset({ITEM})})
    assert len(waiting(consents, acting(NOW, whole))) == 1
    assert not waiting(consents, acting(NOW + DAY, whole))


@pytest.mark.parametrize(("last_at", "offered"), [(NOW, True), (None, False)])
def test_what_was_taken_back_where_it_was_given_is_not_offered_once_more(
    last_at: int | None,
    offered: bool,
) -> None:
    duty = Removal("c", "alpha", NOW + DAY, DELETE, None, None, NOW + DAY, NOW + DAY)
    ended = requested(COMPANY, terms([ITEM])).model_copy(update={"state": EXPIRED})
    assert Standing(ended, EXPIRED, Use(1, last_at)).revocable(duty) is offered
