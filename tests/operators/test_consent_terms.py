"""A detail that asks for a consent says of whom, for what and until when; others ask for none."""

import json
from typing import Any

import pytest

from operators.asked_details import AskedDetails, DetailsFault, read_details
from operators.authorization_details import AuthorizationDetail
from operators.consent_terms import AskedConsentTerms
from tests.meter.world import company
from tests.operators.test_authorization_details import ALL_TERMS, ASKING, DETAIL, TERMS, fault


def asking(**changed: Any) -> dict[str, Any]:
    """Return a detail that asks for a consent; None removes a field."""
    return {name: value for name, value in {**ASKING, **changed}.items() if value is not None}


def read(*details: object) -> AskedDetails:
    """Return what details say."""
    return read_details(json.dumps(details))


def test_the_terms_are_read_beside_the_detail_a_token_would_carry() -> None:
    asked = read(asking(consent_terms=ALL_TERMS))
    assert asked.consent_terms is not None
    assert asked.consent_terms.as_json() == ALL_TERMS
    assert [type(detail) for detail in asked.details] == [AuthorizationDetail]
    assert asked.details[0].as_json() == asking(consent_terms=None)


def test_details_without_terms_ask_for_no_consent() -> None:
    assert read(DETAIL, DETAIL).consent_terms is None


def test_what_the_terms_leave_out_is_the_records_in_full() -> None:
    terms = AskedConsentTerms.model_validate(TERMS)
    assert (terms.answer_form, terms.fields, terms.times_per_day, terms.message) == (
        "RECORDS",
        {},
        0,
        "",
    )
    assert terms.as_json() == TERMS


@pytest.mark.parametrize(
    "changed",
    [
        {"consent": "consents/c-1"},
        {"subjects": None},
        {"subjects": [company(1), company(2)]},
        {"items": None},
        {"purposes": None},
        {"regions": None},
        {"period": None},
        {"period": {"from": 5}},
    ],
)
def test_nobody_is_asked_for_a_consent_to_what_is_not_named(changed: dict[str, Any]) -> None:
    with pytest.raises(DetailsFault, match="consent") as told:
        read(asking(**changed))
    assert told.value.pointer == "/0"


@pytest.mark.parametrize("others", [[DETAIL], [asking()], [DETAIL, DETAIL]])
def test_a_request_for_a_consent_asks_for_nothing_else(others: list[dict[str, Any]]) -> None:
    assert fault(*others, asking()).endswith("/consent_terms")


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"access_mode": "ALWAYS"}, "/0/consent_terms/access_mode"),
        ({"times_per_day": True}, "/0/consent_terms/times_per_day"),
        ({"data_life": 0}, "/0/consent_terms/data_life"),
        ({"data_life_end": "KEEP"}, "/0/consent_terms/data_life_end"),
        ({"answer_form": "BOTH"}, "/0/consent_terms/answer_form"),
        ({"fields": ["finding"]}, "/0/consent_terms/fields"),
        ({"fields": {"penalty": "finding"}}, "/0/consent_terms/fields/penalty"),
        ({"fields": {"payment.tax": []}}, "/0/consent_terms/fields"),
        ({"message": "one\ntwo"}, "/0/consent_terms/message"),
        # A right-to-left override could make other words of it.
        ({"message": "safe\u202e"}, "/0/consent_terms/message"),
        # Marks in a pile are drawn over the words of others.
        ({"message": "a" + "\u0300" * 5}, "/0/consent_terms/message"),
        ({"message": "\u3164"}, "/0/consent_terms/message"),
        ({"until": 5}, "/0/consent_terms/until"),
    ],
)
def test_a_fault_of_the_terms_is_pointed_at(changed: dict[str, Any], pointer: str) -> None:
    assert fault(asking(consent_terms={**TERMS, **changed})) == pointer


def test_only_what_was_sent_is_pointed_at() -> None:
    asked = read(asking())
    assert asked.pointer(0, "consent_terms/data_life") == "/0/consent_terms/data_life"
    assert asked.pointer(0, "consent_terms/times_per_day") == "/0/consent_terms"
    assert asked.pointer(0, "consent") == "/0"
    assert asked.pointer(0, "items", "rating") == "/0/items/1"
