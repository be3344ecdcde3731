"""What a subject takes back in the region that gave it is owed once, by the word that is of it, on
both stores (guarantees G3, G9)."""

import pytest
from sqlalchemy import Engine

from consent.model import Consent
from consent.states import EXPIRED, GRANTED
from creditgate.refusal import Refused
from gateway.consents.access import ALWAYS, Place
from tests.clock import NOW
from tests.consent.store import reason_of
from tests.federation.asking.test_uses import NORTH, SOUTH, uses
from tests.federation.asking.under_consent import DAY, HOUR, SUBJECT, Elsewhere


@pytest.fixture
def elsewhere(records_engine: Engine) -> Elsewhere:
    """An empty store."""
    return Elsewhere(records_engine)


def owed(elsewhere: Elsewhere, consent: Consent | None) -> list[tuple[int, bool]]:
    """Return the duties for a consent: by when copies must be gone, and whether they are said to
    be."""
    assert consent is not None
    found = elsewhere.consents.duties([consent.consent_id], limit=9).get(consent.consent_id)
    listed = () if found is None else found.listed
    return [(each.deadline, each.acknowledged_at is not None) for each in listed]


def given(elsewhere: Elsewhere, consent: Consent, at: int, region: str = NORTH) -> None:
    """Have a question asked and answered by a region."""
    elsewhere.give(consent, elsewhere.ask(elsewhere.read(consent), at), at, region)


def with_a_life_over(elsewhere: Elsewhere) -> Consent:
    """Return a consent of which the first hour's copies are to be gone, and others were given."""
    consent = elsewhere.consent(data_life_seconds=HOUR)
    given(elsewhere, consent, NOW)
    elsewhere.consents.look(consent.consent_id, NOW + HOUR)
    return elsewhere.read(consent)


def test_it_is_owed_though_the_copies_of_an_earlier_life_are_said_to_be_gone(
    elsewhere: Elsewhere,
) -> None:
    consent = with_a_life_over(elsewhere)
    elsewhere.said_gone(consent, NOW + HOUR, NOW + HOUR)
    consent = elsewhere.read(consent)
    given(elsewhere, consent, NOW + 2 * HOUR)
    part = elsewhere.taken_back(consent, NOW + 2 * HOUR + 1)
    assert owed(elsewhere, part) == [(NOW + 3 * HOUR, False)]
    assert elsewhere.read(consent).state == GRANTED


def test_what_another_region_gave_and_is_gone_hides_nothing(elsewhere: Elsewhere) -> None:
    consent = with_a_life_over(elsewhere)
    elsewhere.said_gone(consent, NOW + HOUR, NOW + HOUR)
    consent = elsewhere.read(consent)
    given(elsewhere, consent, NOW + 2 * HOUR, SOUTH)
    assert owed(elsewhere, elsewhere.taken_back(consent, NOW + 2 * HOUR + 1, SOUTH))


def test_what_is_said_to_be_gone_is_not_owed_once_more(elsewhere: Elsewhere) -> None:
    consent = with_a_life_over(elsewhere)
    elsewhere.said_gone(consent, NOW + HOUR, NOW + HOUR)
    assert owed(elsewhere, elsewhere.taken_back(consent, NOW + HOUR + 1)) == []


def test_what_is_owed_already_is_not_owed_once_more(elsewhere: Elsewhere) -> None:
    consent = with_a_life_over(elsewhere)
    assert owed(elsewhere, elsewhere.taken_back(consent, NOW + HOUR + 1)) == []
    assert owed(elsewhere, consent) == [(NOW + HOUR, False)]


def test_nothing_is_written_of_a_consent_that_is_over_and_whose_copies_are_gone(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent(valid_until=NOW + DAY)
    given(elsewhere, consent, NOW)
    assert elsewhere.consents.settle(consent.consent_id, NOW + DAY).state == EXPIRED
    elsewhere.said_gone(consent, NOW + DAY, NOW + DAY)
    assert elsewhere.taken_back(consent, NOW + DAY + 1) is None


def test_a_word_of_before_it_was_given_is_not_of_it(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent()
    given(elsewhere, consent, NOW)
    part = elsewhere.taken_back(consent, NOW + HOUR)
    assert part is not None
    with pytest.raises(Refused) as refused:
        elsewhere.said_gone(part, NOW - 10 * DAY, NOW + HOUR)
    assert reason_of(refused.value) == "INVALID_REQUEST"
    assert owed(elsewhere, part) == [(NOW + HOUR + DAY, False)]


def test_a_word_of_an_earlier_life_is_of_that_alone(elsewhere: Elsewhere) -> None:
    consent = with_a_life_over(elsewhere)
    # Sooner after the word than a clock may be wrong.
    given(elsewhere, consent, NOW + HOUR + 5)
    part = elsewhere.taken_back(consent, NOW + HOUR + 6)
    assert elsewhere.said_gone(consent, NOW + HOUR, NOW + HOUR + 7)
    assert owed(elsewhere, consent) == [(NOW + HOUR, True)]
    assert owed(elsewhere, part) == [(NOW + 2 * HOUR + 5, False)]


def test_the_same_word_again_is_of_nothing_more(elsewhere: Elsewhere) -> None:
    consent = with_a_life_over(elsewhere)
    elsewhere.said_gone(consent, NOW + HOUR, NOW + HOUR)
    given(elsewhere, elsewhere.read(consent), NOW + HOUR + 5)
    part = elsewhere.taken_back(consent, NOW + HOUR + 6)
    assert not elsewhere.said_gone(consent, NOW + HOUR, NOW + HOUR + 7)
    assert owed(elsewhere, part) == [(NOW + 2 * HOUR + 5, False)]


def test_one_word_by_the_consent_is_of_its_parts_too(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent()
    given(elsewhere, consent, NOW)
    part = elsewhere.taken_back(consent, NOW + HOUR)
    assert elsewhere.said_gone(consent, NOW + HOUR, NOW + HOUR)
    assert owed(elsewhere, part) == [(NOW + HOUR + DAY, True)]


def test_what_is_said_to_be_gone_by_the_name_of_the_part_is_owed_by_no_other(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent(data_life_seconds=HOUR, valid_until=NOW + DAY)
    given(elsewhere, consent, NOW)
    part = elsewhere.taken_back(consent, NOW + 1)
    assert part is not None
    assert elsewhere.said_gone(part, NOW + 2, NOW + 2)
    elsewhere.consents.look(consent.consent_id, NOW + HOUR)
    elsewhere.consents.settle(consent.consent_id, NOW + DAY)
    assert owed(elsewhere, consent) == []


def test_what_others_gave_is_owed_by_the_consent_as_before(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent(data_life_seconds=HOUR)
    given(elsewhere, consent, NOW, SOUTH)
    given(elsewhere, consent, NOW + HOUR - 5)
    elsewhere.consents.look(consent.consent_id, NOW + HOUR)
    assert elsewhere.taken_back(consent, NOW + HOUR + 1) is not None
    # The life of what is left is over: that is told now, not when the other's would be.
    assert elsewhere.consents.lives_due(NOW + HOUR + 1, 9) == (consent.consent_id,)
    elsewhere.consents.look(consent.consent_id, NOW + HOUR + 1)
    assert owed(elsewhere, consent) == [(NOW + HOUR, False)]


def test_nothing_that_a_region_gave_is_passed_on_once_it_was_taken_back_there(
    elsewhere: Elsewhere,
) -> None:
    consent = elsewhere.consent()
    request_id = elsewhere.ask(consent)
    elsewhere.regions.asking(consent.consent_id, NORTH, NOW)
    assert owed(elsewhere, elsewhere.taken_back(consent, NOW + 1)) == []
    with pytest.raises(Refused) as refused:
        elsewhere.give(consent, request_id, NOW + 2)
    assert reason_of(refused.value) == "CONSENT_REVOKED"
    assert elsewhere.keep(consent, uses(1), request_id, NOW + 2, SOUTH)


def test_a_region_is_told_by_the_word_that_is_of_what_it_gave(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent(valid_until=NOW + DAY)
    elsewhere.regions.asking(consent.consent_id, NORTH, NOW)
    given(elsewhere, consent, NOW, SOUTH)
    given(elsewhere, consent, NOW + HOUR)
    elsewhere.consents.settle(consent.consent_id, NOW + DAY)
    part = elsewhere.taken_back(consent, NOW + DAY + 1)
    assert part is not None
    # All that is left of the whole was gone before the other was given.
    assert elsewhere.said_gone(consent, NOW + 1, NOW + DAY + 2)
    assert elsewhere.regions.gone(NOW + DAY + 3, 9) == []
    assert elsewhere.said_gone(part, NOW + DAY + 2, NOW + DAY + 3)
    told = elsewhere.regions.gone(NOW + DAY + 3, 9)
    assert [(each.region, each.removed_at) for each in told] == [(NORTH, NOW + DAY + 2)]


def test_from_a_part_its_uses_are_found_and_no_others(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent()
    request_id = elsewhere.ask(consent)
    elsewhere.give(consent, request_id, records=2)
    given(elsewhere, consent, NOW, SOUTH)
    every = elsewhere.accesses.of_subject(SUBJECT, consent=consent.name, limit=9).accesses
    (first, second) = [each for each in every if each.home_region == NORTH]
    assert len(every) == 3

    part = elsewhere.taken_back(consent, NOW + 1)
    assert part is not None
    named = elsewhere.accesses.of_subject(SUBJECT, consent=part.name, limit=9)
    assert named.accesses == (first, second)
    traced = elsewhere.accesses.under_consent(part, period=ALWAYS, after=Place(0, 0), limit=9)
    assert traced == (second, first)
    answers = elsewhere.accesses.answers(part, period=ALWAYS, after=0, limit=9)
    assert [each.request_id for each in answers] == [request_id]
    assert elsewhere.consents.uses([part.consent_id])[part.consent_id].answered == 1


def test_the_uses_of_the_whole_are_all_of_it_as_before(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent()
    given(elsewhere, consent, NOW)
    given(elsewhere, consent, NOW, SOUTH)
    elsewhere.taken_back(consent, NOW + 1)
    every = elsewhere.accesses.of_subject(SUBJECT, consent=consent.name, limit=9).accesses
    assert {each.home_region for each in every} == {NORTH, SOUTH}
    assert elsewhere.consents.uses([consent.consent_id])[consent.consent_id].answered == 2


def test_a_part_of_which_nothing_was_given_has_no_uses(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent()
    given(elsewhere, consent, NOW, SOUTH)
    elsewhere.regions.asking(consent.consent_id, NORTH, NOW)
    part = elsewhere.taken_back(consent, NOW + 1)
    assert part is not None
    assert elsewhere.accesses.of_subject(SUBJECT, consent=part.name, limit=9).accesses == ()


def test_a_part_is_no_request_of_its_own(elsewhere: Elsewhere) -> None:
    consent = elsewhere.consent()
    given(elsewhere, consent, NOW)
    asked = elsewhere.consents.asked_of("alpha", SUBJECT, NOW - DAY)
    assert elsewhere.taken_back(consent, NOW + 1) is not None
    assert elsewhere.consents.asked_of("alpha", SUBJECT, NOW - DAY) == asked
