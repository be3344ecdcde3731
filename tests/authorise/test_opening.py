"""A consent opens to its operator what it names of its own subject, and nothing else (G3)."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.model import GRADE, ONCE, RECORDS, Consent, ConsentItem
from consent.states import (
    EXHAUSTED,
    EXPIRED,
    GRANTED,
    PAUSED,
    REFUSED,
    REQUESTED,
    REVOKED,
)
from creditgate.refusal import Refused, reason_name
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authorise.gate import Gate, Passage
from gateway.authorise.opening import (
    Opening,
    Openings,
    opened,
    require_alone,
    require_no_consent,
)
from gateway.consents.rules import pinned
from gateway.disclose.model import LiveRevision
from operators.decision import Ask
from tests.authorise.world import CONSENT, after, item, licensed, lines_of, view_of
from tests.consenting import requested, terms
from tests.meter.world import company
from tests.operators.things import CREDIT, READ

FIRST, SECOND = company(1), company(2)
NOW = 500
ITEMS = ("penalty", "rating", "tax")
PLACES = [(code, region) for code in ITEMS for region in ("110101", "310101", "319900")]
LINES = lines_of(*PLACES)
ASK = Ask("alpha-one", READ, frozenset({READ}), frozenset(), CREDIT)
VIEW = view_of(
    *licensed(item("penalty"), item("rating", CONSENT, result="grade"), item("tax", CONSENT))
)
FOUND = [
    LiveRevision(subject, 100 * who + line_no, line_no, 0, 1_000, b"")
    for who, subject in enumerate((FIRST, SECOND))
    for line_no in LINES
]


def passage_for(*items: str) -> Passage:
    """Return what alpha may take of items, none for all it may have."""
    return Gate().passage(VIEW, LINES, ASK._replace(items=frozenset(items)), NOW)


def consented(*items: str | ConsentItem, state: Any = GRANTED, **changed: Any) -> Consent:
    """Return a consent of the first company for [400, 600), to all fields where none are
    named."""
    usual = {"purposes": frozenset({CREDIT}), "valid_from": 400, "valid_until": 600}
    agreed = pinned(VIEW.catalogue, terms(items or ("rating",), **usual | changed))
    return requested(FIRST, agreed).model_copy(update={"state": state, "version": 2})


def opening(
    consent: Consent | None,
    *items: str,
    subjects: Sequence[str] | None = (FIRST,),
    purpose: int = CREDIT,
    now: int = NOW,
) -> Opening:
    """Return what a consent opens of what is asked for."""
    return Openings().opening(consent, passage_for(*items), subjects, purpose, now)


def refused(*args: Any, **more: Any) -> tuple[str, str]:
    """Return why a consent opens nothing, and the field it is about."""
    with pytest.raises(Refused) as told:
        opening(*args, **more)
    assert FIRST not in told.value.message
    return reason_name(told.value.reason), told.value.metadata.get("field", "")


def taken(passage: Passage, given: Opening | None) -> set[tuple[str, str, str]]:
    """Return subject, item and region of what passes."""
    rows = [row for row in opened(passage, FOUND, given, None) if row.line_no in passage.prices]
    return {(row.subject, *PLACES[row.line_no - 1]) for row in rows}


@given(
    agreed=st.sets(st.sampled_from(ITEMS), min_size=1),
    regions=st.sets(st.sampled_from(["*", "11", "31", "3101", "319900"]), min_size=1),
    named=st.sets(st.sampled_from(ITEMS)),
    form=st.sampled_from([RECORDS, GRADE]),
    subjects=st.sampled_from([None, (FIRST,), (SECOND,), (SECOND, FIRST)]),
    purpose=st.sampled_from([CREDIT, CREDIT, Purpose.PURPOSE_BIDDING]),
    now=st.sampled_from([399, 400, 599, 600]),
)
def test_a_consent_opens_what_it_says_and_no_more(
    agreed: set[str],
    regions: set[str],
    named: set[str],
    form: int,
    subjects: tuple[str, ...] | None,
    purpose: int,
    now: int,
) -> None:
    consent = consented(*sorted(agreed), regions=frozenset(regions), answer_form=form)
    passage = passage_for(*named)
    covered = agreed - ({"tax"} if form == GRADE else set())
    asked_by_name = named - {"penalty"}
    if not 400 <= now < 600:
        expected = ("CONSENT_NOT_BEGUN" if now < 400 else "CONSENT_EXPIRED", "")
    elif subjects is not None and FIRST not in subjects:
        expected = ("CONSENT_EXCEEDED", "subject")
    elif purpose != CREDIT:
        expected = ("CONSENT_EXCEEDED", "purpose")
    elif not asked_by_name <= covered:
        expected = ("CONSENT_EXCEEDED", "items")
    else:
        made = opening(consent, *named, subjects=subjects, purpose=purpose, now=now)
        assert taken(passage, made) == {
            (subject, code, region)
            for subject in (FIRST, SECOND)
            for code, region in PLACES
            if (not named or code in named)
            and (
                code == "penalty"
                or (
                    subject == FIRST
                    and code in covered
                    and any(within == "*" or region.startswith(within) for within in regions)
                )
            )
        }
        return
    assert refused(consent, *named, subjects=subjects, purpose=purpose, now=now) == expected


@pytest.mark.parametrize("agreed", [("rating", "tax"), ("rating",)])
@pytest.mark.parametrize("regions", [("*",), ("11",)])
def test_to_ask_about_who_consents_alone_opens_as_much(
    agreed: tuple[str, ...], regions: tuple[str, ...]
) -> None:
    made = opening(consented(*agreed, regions=frozenset(regions)))
    own = [row for row in FOUND if row.subject == FIRST]
    alone = opened(made.passage, own, made, (FIRST,))
    assert list(alone) == list(opened(made.passage, own, made, (FIRST, SECOND)))


def test_without_a_consent_what_needs_one_is_left_out_and_refused_by_name() -> None:
    passage = passage_for()
    require_no_consent(passage)
    assert {code for _, code, _ in taken(passage, None)} == {"penalty"}
    require_no_consent(passage_for("penalty"))
    with pytest.raises(Refused) as told:
        require_no_consent(passage_for("penalty", "rating"))
    assert reason_name(told.value.reason) == "CONSENT_REQUIRED"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (REQUESTED, "CONSENT_NOT_GRANTED"),
        (REFUSED, "CONSENT_NOT_GRANTED"),
        (PAUSED, "CONSENT_PAUSED"),
        (REVOKED, "CONSENT_REVOKED"),
        (EXPIRED, "CONSENT_EXPIRED"),
    ],
)
def test_a_consent_that_is_not_live_opens_nothing_also_where_no_item_is_named(
    state: Any, reason: str
) -> None:
    for named in ((), ("penalty",), ("rating",)):
        assert refused(consented(state=state), *named) == (reason, "")


def test_a_pause_is_worth_waiting_for() -> None:
    with pytest.raises(Refused) as told:
        opening(consented(state=PAUSED))
    assert told.value.retry_after == 1


def test_an_unknown_consent_and_another_operators_are_refused_alike() -> None:
    told: set[tuple[str, int | None]] = set()
    for consent in (None, *(consented(state=state) for state in (GRANTED, REVOKED, PAUSED))):
        other = consent and consent.model_copy(update={"operator_id": "beta"})
        with pytest.raises(Refused) as refusal:
            opening(other)
        assert reason_name(refusal.value.reason) == "CONSENT_UNKNOWN"
        told.add((refusal.value.message, refusal.value.retry_after))
    assert len(told) == 1


def test_a_consent_that_was_used_up_opens_what_it_did_until_its_time_is_over() -> None:
    """For retries, which only the ledger knows; see `gateway.meter.rules`."""
    consent = consented(state=EXHAUSTED, access_mode=ONCE)
    assert opening(consent).relied.consent is consent
    assert refused(consent, now=600) == ("CONSENT_EXHAUSTED", "")
    assert refused(consent, "tax") == ("CONSENT_EXCEEDED", "items")


def test_content_is_cut_to_the_fields_consented_to() -> None:
    cut = ConsentItem(item="rating", fields=frozenset({"note"}))
    assert opening(consented(cut, "tax")).what.masks == {"rating": ("note",), "tax": ()}


def test_what_an_item_declares_later_is_not_part_of_the_consent() -> None:
    """Nor is what it declared once: old records may have it."""
    consent = consented("rating")
    rating = item("rating", CONSENT, result="grade")
    named = {field.name: field for field in rating.content_fields}
    later = named["note"].model_copy(update={"name": "later"})
    for fields in ((*rating.content_fields, later), (later,)):
        changed = rating.model_copy(update={"content_fields": fields})
        view = after(VIEW, changed)
        passage = Gate().passage(view, LINES, ASK, NOW)
        made = Openings().opening(consent, passage, (FIRST,), CREDIT, NOW)
        assert made.what.masks == {"rating": ("grade", "note")}


def test_a_grade_is_the_result_alone_and_nothing_of_an_item_without_one() -> None:
    consent = consented("rating", "tax", answer_form=GRADE)
    assert opening(consent).what.masks == {"rating": ("grade",)}
    assert refused(consent, "tax") == ("CONSENT_EXCEEDED", "items")


def test_what_became_public_needs_no_consent_any_more() -> None:
    """And is neither cut nor counted."""
    assert opening(consented("penalty")).what.masks == {}
    assert {code for _, code, _ in taken(passage_for(), opening(consented("penalty")))} == {
        "penalty"
    }


def test_items_of_others_are_not_asked_for_by_name_under_one_subjects_consent() -> None:
    require_alone(passage_for("rating"), (FIRST,))
    require_alone(passage_for("penalty"), (FIRST, SECOND))
    require_alone(passage_for(), (FIRST, SECOND))
    with pytest.raises(Refused) as told:
        require_alone(passage_for("rating"), (FIRST, SECOND))
    assert (reason_name(told.value.reason), told.value.metadata) == (
        "CONSENT_EXCEEDED",
        {"field": "subject"},
    )


def test_an_item_of_which_no_fields_are_named_is_not_opened() -> None:
    agreed = terms(["rating"], purposes=frozenset({CREDIT}), valid_from=400, valid_until=600)
    consent = requested(FIRST, agreed).model_copy(update={"state": GRANTED})
    assert opening(consent).what.masks == {}
    assert refused(consent, "rating") == ("CONSENT_EXCEEDED", "items")


def test_what_was_opened_once_is_judged_by_the_time_of_each_call() -> None:
    openings, passage, consent = Openings(), passage_for(), consented()
    first = openings.opening(consent, passage, (FIRST,), CREDIT, NOW)
    assert openings.opening(consent, passage, None, CREDIT, 599) is first
    assert openings.remembered(consent.name, passage, (FIRST,), 599) is first
    for now in (399, 600):
        with pytest.raises(Refused, match="validity"):
            openings.opening(consent, passage, (FIRST,), CREDIT, now)
    with pytest.raises(Refused, match="does not cover"):
        openings.opening(consent, passage, (SECOND,), CREDIT, NOW)
