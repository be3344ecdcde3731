"""A consent opens what its terms say, to whom it was given, and nothing more (G3, G11)."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from consent.model import DAY_SECONDS, ONCE, TIMES_PER_DAY, Consent, ConsentTerms
from consent.rules import ConsentAsk, Cover, Gap, cover, removal_deadline, used_up
from consent.states import EXHAUSTED, FINAL, GRANTED, REVOKED
from creditgate.v1.consent_service_pb2 import ConsentState
from creditgate.v1.refusal_pb2 import RefusalReason
from tests.clock import NOW
from tests.consent.world import (
    EVALUATION,
    OPERATOR,
    OTHER_COMPANY,
    OTHER_OPERATOR,
    PURPOSE,
    STATES,
    TAX,
    any_terms,
    consent,
    once,
    terms,
)
from tests.people import COMPANY

_R = RefusalReason


PARTS = ("state", *ConsentAsk._fields)
APART = [(), *zip(PARTS), *combinations(PARTS, 2)]


@st.composite
def consents_and_asks(draw: st.DrawFn) -> tuple[Consent, ConsentAsk]:
    """Draw a consent and an ask that it meets, but for one or two things."""
    agreed = draw(any_terms())
    apart = draw(st.sampled_from(APART))
    standing = STATES if "state" in apart else (GRANTED, EXHAUSTED)
    met = ConsentAsk(
        operator_id=OPERATOR,
        subject=COMPANY,
        items=draw(st.frozensets(st.sampled_from([item.item for item in agreed.items]))),
        purpose=draw(st.sampled_from(sorted(agreed.purposes))),
        now=draw(st.integers(agreed.valid_from, agreed.valid_until - 1)),
    )
    other = {
        "operator_id": OTHER_OPERATOR,
        "subject": OTHER_COMPANY,
        "items": draw(st.frozensets(st.sampled_from([EVALUATION, TAX, "payment.other"]))),
        "purpose": draw(st.sampled_from([1, 2, 3])),
        "now": draw(
            st.sampled_from([agreed.valid_from - 1, agreed.valid_until, agreed.valid_until + 9])
        ),
    }
    ask = met._replace(**{name: other[name] for name in apart if name in other})
    return consent(state=draw(st.sampled_from(standing)), terms=agreed), ask


@given(consents_and_asks())
def test_cover_is_given_exactly_by_a_live_consent_that_names_it_all(
    met: tuple[Consent, ConsentAsk],
) -> None:
    given_consent, ask = met
    agreed = given_consent.terms
    # One that is used up is left to the ledger, which alone knows a retry.
    opens = (
        given_consent.state in (GRANTED, EXHAUSTED)
        and agreed.valid_from <= ask.now < agreed.valid_until
        and ask.operator_id == given_consent.operator_id
        and ask.subject == given_consent.subject
        and ask.purpose in agreed.purposes
        and ask.items <= {item.item for item in agreed.items}
    )
    found = cover(given_consent, ask)
    assert isinstance(found, Cover) == opens
    if isinstance(found, Cover):
        assert found.fields_by_item == {item.item: item.fields for item in agreed.items}
        assert found.regions == agreed.regions
        assert found.version == given_consent.version
        assert found.until == agreed.valid_until


@given(consents_and_asks())
def test_of_another_operators_consent_nothing_is_told(
    met: tuple[Consent, ConsentAsk],
) -> None:
    given_consent, ask = met
    if ask.operator_id != given_consent.operator_id:
        assert cover(given_consent, ask) == Gap(_R.REFUSAL_REASON_CONSENT_UNKNOWN)


@given(consents_and_asks())
def test_only_what_exceeds_a_live_consent_is_told_apart(
    met: tuple[Consent, ConsentAsk],
) -> None:
    given_consent, ask = met
    found = cover(given_consent, ask)
    if isinstance(found, Gap):
        exceeded = found.reason == _R.REFUSAL_REASON_CONSENT_EXCEEDED
        assert exceeded == (found.field in ("subject", "purpose", "items"))
        assert bool(found.field) == exceeded
        if exceeded:
            assert given_consent.state in (GRANTED, EXHAUSTED)


def test_a_dead_consent_tells_its_operator_why_before_anything_else() -> None:
    ask = ConsentAsk(OPERATOR, OTHER_COMPANY, frozenset({"payment.other"}), 7, NOW)
    for state in sorted(FINAL - {EXHAUSTED}):
        found = cover(consent(state=state), ask)
        assert isinstance(found, Gap)
        assert found.reason != _R.REFUSAL_REASON_CONSENT_EXCEEDED


@given(any_terms(), st.integers(0, 5), st.data())
def test_one_more_answer_is_too_many_exactly_when_the_mode_says_so(
    agreed: ConsentTerms, answered: int, data: st.DataObject
) -> None:
    today = data.draw(st.integers(0, answered))
    most_in_all = 1 if agreed.access_mode == ONCE else 10**9
    most_a_day = agreed.times_per_day if agreed.access_mode == TIMES_PER_DAY else 10**9
    allowed = answered + 1 <= most_in_all and today + 1 <= most_a_day
    assert used_up(agreed, answered, today) == (not allowed)


@given(
    any_terms(),
    st.sampled_from(sorted(FINAL)),
    st.integers(NOW, NOW + 5),
    st.integers(0, 5 * DAY_SECONDS),
)
def test_no_copy_outlives_its_data_life_nor_a_day_from_a_revocation(
    agreed: ConsentTerms, state: ConsentState.ValueType, last_served_at: int, after: int
) -> None:
    ended_at = last_served_at + after
    deadline = removal_deadline(agreed, state, last_served_at, ended_at)
    assert deadline <= last_served_at + agreed.data_life_seconds
    if state == REVOKED:
        assert deadline <= ended_at + DAY_SECONDS
    else:
        assert deadline == last_served_at + agreed.data_life_seconds


def test_a_revocation_leaves_a_day_for_copies_with_longer_lives() -> None:
    agreed = terms(data_life_seconds=90 * DAY_SECONDS)
    assert removal_deadline(agreed, REVOKED, NOW, NOW + 5) == NOW + 5 + DAY_SECONDS


def test_one_that_is_used_up_opens_retries_within_its_validity_and_none_after() -> None:
    spent = consent(state=EXHAUSTED, terms=once(valid_until=NOW + 10))
    ask = ConsentAsk(OPERATOR, COMPANY, frozenset({TAX}), PURPOSE, NOW + 9)
    assert isinstance(cover(spent, ask), Cover)
    over = ask._replace(now=NOW + 10)
    assert cover(spent, over) == Gap(_R.REFUSAL_REASON_CONSENT_EXHAUSTED)
    unwritten = consent(state=GRANTED, terms=spent.terms)
    assert cover(unwritten, over) == Gap(_R.REFUSAL_REASON_CONSENT_EXPIRED)
