"""Invented consents and delegations for tests of the engine."""

from itertools import count
from typing import Any, Final

from hypothesis import strategies as st

from consent.changing import Act
from consent.delegation import Delegation, Power
from consent.model import (
    GRADE,
    ONCE,
    RECORDS,
    TIMES_PER_DAY,
    WITHIN_PERIOD,
    Actor,
    Consent,
    ConsentItem,
    ConsentTerms,
)
from consent.states import REQUESTED
from creditgate.v1.consent_service_pb2 import ConsentState, DataLifeEnd
from creditgate.v1.vocabulary_pb2 import Purpose
from tests.clock import NOW
from tests.people import COMPANY

DAY: Final = 86_400
OTHER_COMPANY: Final = "91000000DEM000012D"
OPERATOR: Final = "alpha"
OTHER_OPERATOR: Final = "beta"
SIGNER: Final = "representative:li-ming"
DEPUTY: Final = "representative:wang-fang"
PURPOSE: Final = Purpose.PURPOSE_CREDIT_APPROVAL
EVALUATION: Final = "evaluation.public-credit"
TAX: Final = "payment.tax"
DELETE: Final = DataLifeEnd.DATA_LIFE_END_DELETE
MODES: Final = (ONCE, WITHIN_PERIOD, TIMES_PER_DAY)
STATES: Final = tuple(number for number in ConsentState.values() if number)
_numbers = count(1)


def terms(**changes: Any) -> ConsentTerms:
    """Return terms that hold for 30 days from NOW, within the period, copies for 90 days."""
    whole: dict[str, Any] = {
        "items": (ConsentItem(item=EVALUATION), ConsentItem(item=TAX)),
        "purposes": frozenset({PURPOSE}),
        "access_mode": WITHIN_PERIOD,
        "valid_from": NOW,
        "valid_until": NOW + 30 * DAY,
        "data_life_seconds": 90 * DAY,
        "data_life_end": DELETE,
        "regions": frozenset({"*"}),
    }
    return ConsentTerms(**(whole | changes))


def once(**changes: Any) -> ConsentTerms:
    """Return terms that allow one answer."""
    return terms(access_mode=ONCE, **changes)


def consent(**changes: Any) -> Consent:
    """Return a consent asked for at NOW, to be answered within 7 days, with an id of its own."""
    number = next(_numbers)
    asked_at = changes.get("requested_at", NOW)
    whole: dict[str, Any] = {
        "consent_id": f"{asked_at:010x}-{number:024x}",
        "version": 1,
        "state": REQUESTED,
        "subject": COMPANY,
        "operator_id": OPERATOR,
        "client_id": "alpha-client",
        "request_id": f"r-{number}",
        "way": "inbox",
        "terms": terms(),
        "requested_at": asked_at,
        "answer_until": asked_at + 7 * DAY,
        "changed_at": asked_at,
    }
    return Consent(**(whole | changes))


def act(at: int = NOW, actor: Actor = Actor.SUBJECT, by: str = SIGNER, reason: str = "") -> Act:
    """Return what somebody does at an instant, the subject's representative if nobody else."""
    return Act(actor, by, reason, at)


def asked(at: int = NOW) -> Act:
    """Return an operator's asking."""
    return act(at, Actor.OPERATOR, "alpha-client")


def delegation(**changes: Any) -> Delegation:
    """Return an invitation made at NOW for 30 days, with every power and no limits."""
    whole: dict[str, Any] = {
        "delegation_id": f"d-{next(_numbers)}",
        "subject": COMPANY,
        "appointed_by": SIGNER,
        "label": "财务 王芳",
        "powers": frozenset(Power),
        "valid_from": NOW,
        "valid_until": NOW + 30 * DAY,
    }
    return Delegation(**(whole | changes))


def accepted(**changes: Any) -> Delegation:
    """Return a delegation that was accepted at NOW."""
    return delegation(**({"deputy": DEPUTY, "accepted_at": NOW} | changes))


@st.composite
def any_terms(draw: st.DrawFn) -> ConsentTerms:
    """Draw terms out of few items, purposes and instants, so that asks often meet them."""
    mode = draw(st.sampled_from(MODES))
    form = draw(st.sampled_from([RECORDS, GRADE]))
    fields = st.frozensets(st.sampled_from(["grade", "score"]))
    begins = NOW + draw(st.integers(-3, 3))
    return terms(
        items=tuple(
            ConsentItem(item=code, fields=frozenset() if form == GRADE else draw(fields))
            for code in draw(st.sets(st.sampled_from([EVALUATION, TAX]), min_size=1))
        ),
        purposes=draw(st.frozensets(st.sampled_from([1, 2, 3]), min_size=1)),
        answer_form=form,
        access_mode=mode,
        times_per_day=draw(st.integers(1, 3)) if mode == TIMES_PER_DAY else 0,
        valid_from=begins,
        valid_until=begins + draw(st.integers(1, 6)),
        data_life_seconds=draw(st.sampled_from([1, 3, DAY, 2 * DAY])),
    )


@st.composite
def any_consent(draw: st.DrawFn) -> Consent:
    """Draw a consent in any state, of one of two operators and subjects."""
    return consent(
        state=draw(st.sampled_from(STATES)),
        operator_id=draw(st.sampled_from([OPERATOR, OTHER_OPERATOR])),
        subject=draw(st.sampled_from([COMPANY, OTHER_COMPANY])),
        terms=draw(any_terms()),
        answer_until=NOW + draw(st.integers(0, 6)),
    )
