"""Consents asked for by an authorisation code: the terms a pushed request means.

A detail with ``consent_terms`` (`operators.asked_details.AskedDetail`) asks the subject
for a consent; the rules of consents are those of every other way to ask for one.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from consent.model import BACKDATED_MEND, GRADE, MOST_BACKDATED_SECONDS, ConsentTerms
from creditgate.consent_artefact import ACCESS_MODES, ANSWER_FORMS, DATA_LIFE_ENDS
from creditgate.refusal import Violation
from creditgate.signed_document import PURPOSES
from gateway.catalogue.faults import faults_of
from operators.asked_details import AskedDetails, DetailsFault
from operators.authorization_details import AuthorizationDetail
from operators.consent_terms import AskedConsentTerms

TermsFaults = Callable[[str, ConsentTerms], Sequence[Violation]]
"""What an operator may not ask for now: given its id and the terms, violations by proto
field of ``RequestConsentRequest``."""

_ITEM: Final = re.compile(r"items\[([0-9]+)\]\.(item|fields)")
# Where the terms' own fields stand in a detail.
_PLACES: Final = {
    "validity.start_time": "period/from",
    "validity.end_time": "period/until",
    "purposes": "purposes",
    "regions": "regions",
    "times_per_day": "consent_terms/times_per_day",
    "data_life_seconds": "consent_terms/data_life",
    "items": "consent_terms/fields",
}


def terms_of(detail: AuthorizationDetail, asked: AskedConsentTerms, now: int) -> ConsentTerms:
    """Return the terms of the consent that ``detail`` asks for.

    Where its period names no beginning, or one that is just past, they hold from ``now``
    (seconds, UTC). Raises pydantic.ValidationError for what no consent may have.
    """
    return ConsentTerms.model_validate(
        {
            "items": [
                {"item": item, "fields": asked.fields.get(item, frozenset())}
                for item in sorted(detail.items)
            ],
            "purposes": [_number(PURPOSES, name) for name in detail.purposes],
            "answer_form": _number(ANSWER_FORMS, asked.answer_form),
            "access_mode": _number(ACCESS_MODES, asked.access_mode),
            "times_per_day": asked.times_per_day,
            "valid_from": max(now, detail.period.start),
            "valid_until": detail.period.until,
            "data_life_seconds": asked.data_life,
            "data_life_end": _number(DATA_LIFE_ENDS, asked.data_life_end),
            "regions": detail.regions,
        }
    )


def require_askable(
    asked: AskedDetails, operator_id: str, faults: TermsFaults | None, now: int
) -> None:
    """Raise DetailsFault unless the consent that details ask for may be asked for now.

    ``faults`` is None where no consents are kept; then none may be.
    """
    (detail,), terms = asked.details, asked.consent_terms
    assert terms is not None
    if faults is None or not operator_id:
        raise DetailsFault(
            asked.pointer(0, "consent_terms"), "the client cannot ask for consents here"
        )
    if not terms.fields.keys() <= detail.items:
        raise DetailsFault(
            asked.pointer(0, "consent_terms/fields"), "name fields of the detail's items alone"
        )
    if terms.fields and terms.answer_form == ANSWER_FORMS[GRADE]:
        raise DetailsFault(
            asked.pointer(0, "consent_terms/fields"),
            "answer form GRADE opens the grade alone: name none",
        )
    if 0 < detail.period.start < now - MOST_BACKDATED_SECONDS:
        raise DetailsFault(asked.pointer(0, "period/from"), BACKDATED_MEND)
    try:
        meant = terms_of(detail, terms, now)
    except ValidationError as error:
        raise _of_model(asked, error) from None
    for violation in faults(operator_id, meant):
        raise _of_violation(asked, meant, violation)


def _number(names: Any, name: str) -> int:
    return next(number for number, each in names.items() if each == name)


def _of_model(asked: AskedDetails, error: ValidationError) -> DetailsFault:
    fault = faults_of(error)[0]
    place = _PLACES.get(str(next(iter(fault.where), "")), "consent_terms")
    return DetailsFault(asked.pointer(0, place), fault.mend)


def _of_violation(asked: AskedDetails, terms: ConsentTerms, violation: Violation) -> DetailsFault:
    field = violation.field.removeprefix("terms.")
    item = _ITEM.fullmatch(field)
    if item is None:
        return DetailsFault(
            asked.pointer(0, _PLACES.get(field, "consent_terms")), violation.description
        )
    if item[2] == "fields":
        return DetailsFault(asked.pointer(0, "consent_terms/fields"), violation.description)
    pointer = asked.pointer(0, "items", terms.items[int(item[1])].item)
    return DetailsFault(pointer, violation.description)
