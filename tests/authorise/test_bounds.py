"""Bounds: a token's details narrow each subject's passage, and never add up (RFC 9396)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.refusal import Refused, reason_name
from gateway.authorise.bounds import (
    Bounds,
    Details,
    Ground,
    covering,
    record_bounds,
    subject_bounds,
)
from gateway.authorise.gate import Gate
from gateway.disclose.model import LiveRevision
from operators.authorization_details import AuthorizationDetail
from operators.decision import Ask
from tests.authorise.world import item, licensed, lines_of, view_of
from tests.examples import examples
from tests.operators.test_authorization_details import CONSENTS, SUBJECTS
from tests.operators.test_authorization_details import details as any_detail
from tests.operators.things import CREDIT, READ, licence

FIRST, SECOND = SUBJECTS
LINES = lines_of(
    ("penalty", "110101"), ("penalty", "310101"), ("rating", "110101"), ("rating", "310101")
)
VIEW = view_of(*licensed(item("penalty"), item("rating")))
GROUND = Ground(VIEW, LINES, 5)
ASK = Ask("alpha-one", READ, frozenset({READ}), frozenset(), CREDIT)
# Every revision there could be, and one of a revenue line that is news.
FOUND = [
    LiveRevision(subject, 10 * number + line_no, line_no, 0, 100, b"")
    for number, subject in enumerate(SUBJECTS)
    for line_no in (*LINES, 9)
]


def detail(**fields: Any) -> AuthorizationDetail:
    """Return a detail."""
    return AuthorizationDetail.model_validate({"type": "public_credit_data", **fields})


def bounds(
    *details: AuthorizationDetail,
    subjects: Any = SUBJECTS,
    consent: str = "",
    ground: Ground = GROUND,
) -> Bounds:
    """Return the bounds of a call for subjects."""
    return subject_bounds(Gate(), ground, ASK, details, subjects, consent)


def taken(limits: Bounds) -> set[tuple[str, int]]:
    """Return subject and revenue line of what passes."""
    passage, rows = limits.applied(FOUND)
    return {(row.subject, row.line_no) for row in rows if row.line_no in passage.prices}


def refused(*details: AuthorizationDetail, **more: Any) -> str:
    """Return why a call for subjects is refused."""
    with pytest.raises(Refused) as told:
        bounds(*details, **more)
    return reason_name(told.value.reason)


def test_each_subject_is_served_within_its_own_detail() -> None:
    limits = bounds(
        detail(subjects=[FIRST], items=["penalty"]), detail(subjects=[SECOND], regions=["31"])
    )
    assert taken(limits) == {(FIRST, 1), (FIRST, 2), (SECOND, 2), (SECOND, 4)}


def test_two_details_of_one_subject_do_not_add_up() -> None:
    limits = bounds(detail(items=["penalty"]), detail(items=["rating"]))
    assert taken(limits) == {(subject, line) for subject in SUBJECTS for line in (1, 2)}


def test_a_detail_that_does_not_allow_the_ask_gives_way_to_the_next() -> None:
    limits = bounds(detail(purposes=["RESEARCH"]), detail(items=["rating"]))
    assert {line for _, line in taken(limits)} == {3, 4}


def test_a_subject_outside_all_details_is_refused_whoever_it_is() -> None:
    assert refused(detail(subjects=[FIRST])) == "SUBJECT_NOT_ALLOWED"


def test_the_refusal_that_came_furthest_is_given() -> None:
    assert refused(detail(period={"from": 6})) == "DETAILS_NOT_IN_FORCE"
    assert refused(detail(period={"from": 6}), detail(purposes=["BIDDING"])) == (
        "PURPOSE_NOT_ALLOWED"
    )
    assert refused(detail(purposes=["BIDDING"]), detail(items=["secret"])) == "ITEM_NOT_ALLOWED"


def test_a_detail_that_rests_on_a_consent_is_used_by_naming_it() -> None:
    resting = detail(consent="consents/1")
    assert refused(resting) == "CONSENT_REQUIRED"
    assert refused(resting, consent="consents/2") == "CONSENT_REQUIRED"
    assert taken(bounds(resting, consent="consents/1"))


def test_subjects_of_two_licences_are_served_together_each_line_under_its_own() -> None:
    entries = licensed(item("penalty"), item("rating"))
    licences = (licence(number="L-1"), licence(number="L-2", items={"rating"}))
    ground = GROUND._replace(view=view_of(*entries, *licences))
    apart = (
        detail(subjects=[FIRST], items=["penalty"]),
        detail(subjects=[SECOND], items=["rating"]),
    )
    limits = bounds(*apart, ground=ground)
    assert taken(limits) == {(FIRST, 1), (FIRST, 2), (SECOND, 3), (SECOND, 4)}
    resting = limits.passage.resting
    assert resting is not None
    assert resting.of_line == {1: ("L-1",), 2: ("L-1",), 3: ("L-2",), 4: ("L-2",)}
    assert limits.passage.allow.alone() is None
    second = bounds(*apart, subjects=(SECOND,), ground=ground)
    assert second.passage.allow.licence == "L-2"
    assert second.passage.resting is None


def test_bounds_stand_while_every_detail_they_rest_on_does() -> None:
    limits = bounds(
        detail(subjects=[FIRST], period={"until": 90}),
        detail(subjects=[SECOND], period={"until": 8}),
    )
    assert limits.passage.allow.stands_until == 8


def test_a_record_is_served_under_the_detail_that_lets_it_through() -> None:
    limits = record_bounds(
        Gate(),
        GROUND,
        ASK,
        (detail(items=["penalty"]), detail(subjects=[SECOND], items=["rating"])),
        "",
    )
    one_by_one = {
        (row.subject, row.line_no)
        for row in FOUND
        if len(limits.applied([row])[1]) == 1 and row.line_no in LINES
    }
    assert one_by_one == {
        (FIRST, 1),
        (FIRST, 2),
        (SECOND, 1),
        (SECOND, 2),
        (SECOND, 3),
        (SECOND, 4),
    }
    assert limits.applied([])[1] == ()


def allows(one: AuthorizationDetail, subject: str, line_no: int, consent: str) -> bool:
    """Tell whether a detail by itself allows a use at GROUND, asked for item by item."""
    line = LINES[line_no]
    return bool(
        one.covers_subject(subject)
        and one.consent in (None, consent)
        and one.in_force(GROUND.now)
        and one.covers_purpose(CREDIT)
        and line.item in (one.items or {line.item})
        and any(
            code in ("*", line.region) or line.region.startswith(code)
            for code in one.regions or {"*"}
        )
    )


@settings(max_examples=examples(300))
@given(
    st.lists(any_detail, min_size=1, max_size=3).map(tuple),
    st.sampled_from(CONSENTS),
    st.sampled_from([frozenset[str](), frozenset({"penalty"}), frozenset({"penalty", "rating"})]),
)
def test_nothing_passes_that_no_single_detail_allows(
    details: Details, consent: str, items: frozenset[str]
) -> None:
    gate = Gate()
    ask = ASK._replace(items=items)
    for subject in SUBJECTS:
        own = [row for row in FOUND if row.subject == subject]
        try:
            limits = subject_bounds(gate, GROUND, ask, details, (subject,), consent)
        except Refused:
            passing = set[int]()
        else:
            passage, rows = limits.applied(own)
            passing = {row.line_no for row in rows if row.line_no in passage.prices}
        assert not passing or any(
            all(allows(one, subject, line_no, consent) for line_no in passing) for one in details
        )


def test_what_a_detail_does_not_cover_is_told_without_looking_anything_up() -> None:
    with pytest.raises(Refused) as told:
        covering((detail(subjects=[FIRST]),), SECOND, "")
    assert FIRST not in told.value.message
    assert SECOND not in told.value.message
