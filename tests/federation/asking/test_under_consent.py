"""Records of other regions that a consent opened are owed, ended and traced as this region's own, on
both stores (guarantees G3, G7, G9)."""

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from consent.model import Consent
from consent.regions import LATE_SECONDS, GoneUnder
from consent.served import Changed
from consent.states import EXHAUSTED, REVOKED
from creditgate.refusal import Refused
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from gateway.consents.access import ALWAYS, Place
from gateway.federation.asking.claims import Decided
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.use_store import ToKeep
from gateway.federation.asking.uses import NOT_PASSED_ON
from tests.clock import NOW
from tests.consent.store import reason_of
from tests.federation.asking.test_uses import NORTH, SOUTH, Made, answer, uses
from tests.federation.asking.under_consent import DAY, HOUR, ITEM, SUBJECT, Elsewhere


@pytest.fixture
def elsewhere(records_engine: Engine) -> Elsewhere:
    """An empty store."""
    return Elsewhere(records_engine)


def deadline(elsewhere: Elsewhere, consent: Consent) -> int | None:
    """Return by when copies under a consent must be gone."""
    removal = elsewhere.consents.removals([consent.consent_id]).get(consent.consent_id)
    return None if removal is None else removal.deadline


def test_a_revocation_ends_what_another_region_gave_within_a_day(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent(data_life_seconds=10 * DAY)
    elsewhere.give(consent, elsewhere.ask(consent))
    elsewhere.revoke(consent, NOW + HOUR)
    assert deadline(elsewhere, consent) == NOW + HOUR + DAY
    assert elsewhere.consents.changes(limit=99)[-1].removal_deadline == NOW + HOUR + DAY
    assert elsewhere.said_gone(consent, NOW + 2 * HOUR, NOW + 2 * HOUR)
    assert not elsewhere.said_gone(consent, NOW + 3 * HOUR, NOW + 3 * HOUR)


def test_the_life_of_what_another_region_gave_ends_while_the_consent_goes_on(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent(data_life_seconds=HOUR)
    elsewhere.give(consent, elsewhere.ask(consent), NOW + 5)
    elsewhere.consents.look(consent.consent_id, NOW + 4 + HOUR)
    assert deadline(elsewhere, consent) is None
    elsewhere.consents.look(consent.consent_id, NOW + 5 + HOUR)
    assert deadline(elsewhere, consent) == NOW + 5 + HOUR


def test_what_anybody_may_have_is_not_owed_for_a_consent(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent()
    elsewhere.give(consent, elsewhere.ask(consent), opened=False)
    elsewhere.revoke(consent, NOW + HOUR)
    assert deadline(elsewhere, consent) is None


def test_nothing_is_given_under_a_consent_that_ended_while_the_region_answered(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent()
    request_id = elsewhere.ask(consent)
    elsewhere.revoke(consent, NOW)
    with pytest.raises(Changed):
        elsewhere.give(consent, request_id)
    with elsewhere.engine.connect() as connection:
        assert connection.execute(REGION_USES.select()).all() == []
    # What the region charged is kept all the same, and owed by nobody.
    lost = [each._replace(subject=NOT_PASSED_ON, opened=False) for each in uses(1)]
    assert elsewhere.keep(consent, lost, request_id, relied=False)
    assert elsewhere.consents.uses([consent.consent_id])[consent.consent_id].last_at is None


def test_chunks_under_several_consents_never_hold_two_of_them(elsewhere: Elsewhere) -> None:
    consents = [elsewhere.consent() for _ in range(2)]
    its = [each._replace(opened=True) for each in uses(1)]
    chunks = [
        ToKeep(
            answer(Made(request_id=elsewhere.ask(consent), region=region), 1)._replace(opened=1),
            its,
            consent,
        )
        for consent in (*consents, consents[0])
        for region in (NORTH, SOUTH)
    ]
    held: list[set[str]] = [set()]

    @event.listens_for(elsewhere.engine, "commit")
    def committed(_: object) -> None:
        held.append(set())

    @event.listens_for(elsewhere.engine, "before_cursor_execute")
    def noted(
        _c: object, _u: object, _statement: str, values: object, _x: object, _many: bool
    ) -> None:
        held[-1] |= {each.consent_id for each in consents if each.consent_id in str(values)}

    assert elsewhere.kept.keep_all(chunks) == [True] * 6
    assert sorted(map(len, held)) == [0, 1, 1]


def test_what_comes_after_its_question_used_the_consent_up_is_owed_and_taken_back(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.once(data_life_seconds=10 * DAY)
    request_id = elsewhere.ask(consent)
    spent = elsewhere.consents.settle(consent.consent_id, NOW + 1)
    assert (spent.state, deadline(elsewhere, consent)) == (EXHAUSTED, None)
    elsewhere.give(spent, request_id, NOW + 5)
    assert deadline(elsewhere, consent) == NOW + 5 + 10 * DAY
    told = elsewhere.consents.changes(limit=99)[-1]
    assert (told.state, told.removal_deadline) == (EXHAUSTED, NOW + 5 + 10 * DAY)
    written = elsewhere.read(consent)
    assert written.ended_at == spent.ended_at
    # Another region answers the same second: nothing more is to be told.
    elsewhere.keep(written, [uses(1)[0]._replace(opened=True)], request_id, NOW + 5, SOUTH)
    assert elsewhere.read(consent) == written
    assert elsewhere.revoke(consent, NOW + HOUR).state == REVOKED
    assert deadline(elsewhere, consent) == NOW + HOUR + DAY


def test_what_is_said_to_be_gone_is_not_given_again(elsewhere: Elsewhere) -> None:
    consent = elsewhere.once(data_life_seconds=10 * DAY)
    request_id = elsewhere.ask(consent)
    elsewhere.give(consent, request_id)
    elsewhere.consents.settle(consent.consent_id, NOW + 1)
    assert elsewhere.said_gone(consent, NOW + 2, NOW + 3)
    with pytest.raises(Refused) as refused:
        elsewhere.keep(elsewhere.read(consent), uses(1), request_id, NOW + 4, SOUTH)
    assert reason_of(refused.value) == "CONSENT_EXHAUSTED"


def test_what_need_not_be_kept_any_more_is_not_given_again(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent(data_life_seconds=HOUR)
    request_id = elsewhere.ask(consent)
    withheld = [each._replace(subject=NOT_PASSED_ON, opened=False) for each in uses(1)]
    elsewhere.keep(consent, withheld, request_id, relied=False)
    with pytest.raises(Refused) as refused:
        elsewhere.give(consent, request_id, NOW + HOUR)
    assert reason_of(refused.value) == "REQUEST_ID_REUSED"
    # Within the life it is given after all, and owed from when it came here first.
    assert not elsewhere.give(consent, request_id, NOW + HOUR - 1)
    elsewhere.consents.look(consent.consent_id, NOW + HOUR)
    assert deadline(elsewhere, consent) == NOW + HOUR


def test_answers_from_before_it_was_kept_are_owed_where_they_had_records(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent()
    elsewhere.give(consent, elsewhere.ask(consent))
    with elsewhere.engine.begin() as connection:
        connection.execute(update(REGION_ANSWERS).values(opened=None))
        connection.execute(update(REGION_USES).values(opened=None))
    elsewhere.revoke(consent, NOW + HOUR)
    assert deadline(elsewhere, consent) == NOW + HOUR + DAY
    (access,) = elsewhere.accesses.of_subject(SUBJECT, limit=9).accesses
    assert access.consent == consent.name


def test_a_use_is_told_with_its_record_and_region_and_no_empty_one_besides(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent()
    empty = elsewhere.ask(consent)
    request_id = elsewhere.ask(consent)
    elsewhere.give(consent, request_id, records=2)
    (second, first, nothing) = elsewhere.accesses.of_subject(SUBJECT, limit=9).accesses
    assert (first.record_id, second.record_id) == ("record-0000", "record-0001")
    for each in (first, second):
        assert (each.home_region, each.region, each.item) == (NORTH, "110000", ITEM)
        assert (each.request_id, each.consent, each.fee) == (request_id, consent.name, 25)
        assert each.usage_name == ""
    assert (nothing.record_id, nothing.item, nothing.request_id) == ("", ITEM, empty)
    named = elsewhere.accesses.of_subject(SUBJECT, consent=consent.name, limit=9)
    assert named.accesses == (second, first, nothing)
    other = elsewhere.consent()
    assert elsewhere.accesses.of_subject(SUBJECT, consent=other.name, limit=9).accesses == ()


def test_public_records_of_other_regions_are_uses_too_but_not_of_the_consent(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent()
    elsewhere.give(consent, elsewhere.ask(consent), opened=False)
    (public, nothing) = elsewhere.accesses.of_subject(SUBJECT, limit=9).accesses
    assert (public.home_region, public.consent) == (NORTH, "")
    assert nothing.record_id == ""
    (named,) = elsewhere.accesses.of_subject(SUBJECT, consent=consent.name, limit=9).accesses
    assert named == nothing


def test_uses_come_page_by_page_and_by_whom(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent()
    for _ in range(2):
        elsewhere.give(consent, elsewhere.ask(consent), records=2)
    every = elsewhere.accesses.of_subject(SUBJECT, limit=9).accesses
    assert len(every) == 4
    found, before = [], None
    while True:
        page = elsewhere.accesses.of_subject(SUBJECT, before=before, limit=1)
        found += page.accesses
        before = page.before
        if before is None:
            break
    assert tuple(found) == every
    assert elsewhere.accesses.of_subject(SUBJECT, operator_id="beta", limit=9).accesses == ()
    other = elsewhere.consent()
    elsewhere.give(other, elsewhere.ask(other))
    under = elsewhere.accesses.under_consent(consent, period=ALWAYS, after=Place(0, 0), limit=9)
    assert under == every[::-1]
    decided = elsewhere.accesses.answers(consent, period=ALWAYS, after=0, limit=9)
    assert [each.request_id for each in decided] == ["r-0", "r-1"]


@pytest.mark.parametrize(
    ("item", "fields", "subject", "opened"),
    [
        (ITEM, (), SUBJECT, True),
        ("public", (), SUBJECT, False),
        # Public here, but its region gave it under the consent alone.
        ("public", ("grade",), SUBJECT, True),
        (ITEM, (), "91000000DEM000012D", False),
    ],
)
def test_a_consent_opens_its_subjects_records_that_need_it_here_or_there(
    elsewhere: Elsewhere, item: str, fields: tuple[str, ...], subject: str, opened: bool
) -> None:
    passage: Any = SimpleNamespace(consent_items=frozenset({ITEM}))
    record = DisclosedRecord(subject=subject, served_fields=fields)
    decided = Decided(passage, None, {}, elsewhere.consent())
    assert decided.opens(record, item) is opened
    assert not decided._replace(consent=None).opens(record, item)


def asked_at(elsewhere: Elsewhere, consent: Consent, at: int = NOW, region: str = NORTH) -> None:
    elsewhere.regions.asking(consent.consent_id, region, at)


def gone(elsewhere: Elsewhere, now: int) -> list[GoneUnder]:
    return elsewhere.regions.gone(now, 100)


def test_a_region_is_told_once_its_copies_are_said_to_be_gone_and_none_may_come(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent(data_life_seconds=10 * DAY)
    asked_at(elsewhere, consent)
    elsewhere.give(consent, elsewhere.ask(consent))
    elsewhere.revoke(consent, NOW + HOUR)
    assert gone(elsewhere, NOW + HOUR) == []
    elsewhere.said_gone(consent, NOW + 2 * HOUR, NOW + 3 * HOUR)
    assert gone(elsewhere, NOW + 3 * HOUR - 1) == []
    told = [GoneUnder(NORTH, consent.consent_id, NOW + 2 * HOUR, NOW)]
    assert gone(elsewhere, NOW + 3 * HOUR) == told
    assert gone(elsewhere, NOW + 4 * HOUR) == told
    elsewhere.regions.told(told)
    assert gone(elsewhere, NOW + 9**9) == []


def test_of_what_never_came_a_region_is_told_at_the_end(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent(data_life_seconds=10 * DAY)
    other = elsewhere.consent(data_life_seconds=HOUR)
    third = elsewhere.consent(data_life_seconds=10 * DAY)
    for each in (consent, other, third):
        asked_at(elsewhere, each)
    elsewhere.revoke(consent, NOW + 1)
    # An answer may still be under way.
    assert gone(elsewhere, NOW + LATE_SECONDS - 1) == []
    late = NOW + LATE_SECONDS
    assert [each.consent_id for each in gone(elsewhere, late)] == [consent.consent_id]
    elsewhere.regions.told(gone(elsewhere, late))
    # The region knows by itself when the life of what it served is over.
    assert gone(elsewhere, late + HOUR - 1) == []
    assert [each.consent_id for each in gone(elsewhere, late + HOUR)] == [other.consent_id]
    elsewhere.regions.told(gone(elsewhere, late + HOUR))
    # One that was looked at in vain is looked at when it ends.
    elsewhere.revoke(third, NOW + DAY)
    assert [each.consent_id for each in gone(elsewhere, NOW + DAY)] == [third.consent_id]


def test_a_region_that_is_asked_again_is_told_again(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent(data_life_seconds=HOUR)
    asked_at(elsewhere, consent)
    elsewhere.give(consent, elsewhere.ask(consent))
    elsewhere.consents.look(consent.consent_id, NOW + HOUR)
    elsewhere.said_gone(consent, NOW + HOUR, NOW + HOUR)
    told = gone(elsewhere, NOW + HOUR)
    assert len(told) == 1
    again = NOW + HOUR + 1
    asked_at(elsewhere, consent, again)
    elsewhere.regions.told(told)
    consent = elsewhere.read(consent)
    elsewhere.give(consent, elsewhere.ask(consent, again), again)
    assert gone(elsewhere, again + LATE_SECONDS) == []
    elsewhere.consents.look(consent.consent_id, again + HOUR)
    elsewhere.said_gone(consent, again + HOUR, again + HOUR)
    assert [each.removed_at for each in gone(elsewhere, again + HOUR)] == [again + HOUR]


def test_a_region_that_knows_nothing_of_it_is_told_again_until_it_must(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent(data_life_seconds=DAY)
    asked_at(elsewhere, consent)
    elsewhere.revoke(consent, NOW)
    now, tries = NOW + LATE_SECONDS, 0
    while tries < 9 and (told := gone(elsewhere, now)):
        elsewhere.regions.unknown(told, now)
        tries, now = tries + 1, now + DAY
    assert (tries, now) == (3, NOW + LATE_SECONDS + 3 * DAY)


def test_no_region_waits_behind_one_that_cannot_be_told(elsewhere: Elsewhere) -> None:
    for region in (NORTH, NORTH, SOUTH):
        consent = elsewhere.consent()
        asked_at(elsewhere, consent, region=region)
        elsewhere.revoke(consent, NOW)
    told = elsewhere.regions.gone(NOW + LATE_SECONDS, 1)
    assert [each.region for each in told] == [NORTH, SOUTH]
