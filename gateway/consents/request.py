"""Requests about consents checked: from proto messages to what is worked on, faults by field."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import ValidationError

from consent.model import (
    CODE_PREFIX,
    MOST_FIELDS,
    MOST_ITEMS,
    MOST_REGIONS,
    PART_PREFIX,
    ConsentTerms,
)
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.authenticate.caller import Caller
from gateway.catalogue.faults import Where, faults_of, path_of
from gateway.consents.desk import AskedConsent
from gateway.instants import instant_faults, period_of

_MOST_REASON: Final = 500
_MOST_FAULTS: Final = 100
_USUAL_LANGUAGE: Final = "zh-CN"
_CONSENT: Final = re.compile(r"consents/([A-Za-z0-9._~-]{1,100})")
_NAME_MEND: Final = "use the name of a consent, consents/{consent_id}"
_ETAG: Final = re.compile("[1-9][0-9]{0,8}")
# Fields that the contract names otherwise than the model.
_TERMS: Final[Mapping[str, Where]] = {
    "valid_from": ("validity", "start_time"),
    "valid_until": ("validity", "end_time"),
    "data_life_seconds": ("data_life",),
}


def asked_consent(request: pb.RequestConsentRequest, caller: Caller) -> AskedConsent:
    """Return the consent a RequestConsent call asks for; raises Refused INVALID_REQUEST.

    What can be wrong with it beyond its form the desk finds.
    """
    found: list[Violation] = []
    terms = _terms(request.terms, found)
    answer_until = None
    if request.HasField("answer_until"):
        answer_until = request.answer_until.seconds
        found += instant_faults("answer_until", request.answer_until)
    for prefix in (CODE_PREFIX, PART_PREFIX):
        if request.request_id.startswith(prefix):
            found.append(Violation("request_id", f'use one that does not begin with "{prefix}"'))
    if found or terms is None:
        raise invalid(*found[:_MOST_FAULTS])
    return AskedConsent(
        operator_id=caller.operator_id,
        client_id=caller.client_id,
        subject=request.subject,
        terms=terms,
        message=request.message,
        language=request.language or _USUAL_LANGUAGE,
        answer_until=answer_until,
        request_id=request.request_id,
        way="inbox",
    )


def consent_id_of(field: str, name: str) -> str:
    """Return the id in a consent's resource name; raises Refused INVALID_REQUEST."""
    match = _CONSENT.fullmatch(name)
    if match is None:
        raise invalid(Violation(field, _NAME_MEND))
    return match[1]


def unknown_consent() -> Refused:
    """Return the refusal for a consent that is not there, or not the caller's (G11)."""
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
        "You are party to no consent of this name; ListConsents lists yours.",
    )


def revocation(request: pb.RevokeConsentRequest) -> tuple[str, int | None]:
    """Return the id of the consent to end and the version it must have, None for any.

    Raises Refused INVALID_REQUEST.
    """
    found: list[Violation] = []
    if len(request.reason) > _MOST_REASON or not request.reason.isprintable():
        found.append(
            Violation("reason", f"use at most {_MOST_REASON} printable characters, in one line")
        )
    if request.etag and _ETAG.fullmatch(request.etag) is None:
        found.append(Violation("etag", "use the etag of the consent as you read it, or none"))
    if _CONSENT.fullmatch(request.name) is None:
        found.append(Violation("name", _NAME_MEND))
    if found:
        raise invalid(*found)
    version = int(request.etag) if request.etag else None
    return consent_id_of("name", request.name), version


def _terms(message: pb.ConsentTerms, found: list[Violation]) -> ConsentTerms | None:
    crowded = _crowded(message)
    if crowded:
        found += crowded
        return None
    valid_from, valid_until = _validity(message.validity, found)
    if message.data_life.nanos:
        found.append(Violation("terms.data_life", "use whole seconds"))
    if message.answer_form == pb.CONSENT_ANSWER_FORM_GRADE:
        found += (
            Violation(
                f"terms.items[{index}].fields", "answer form GRADE opens the grade alone: name none"
            )
            for index, each in enumerate(message.items)
            if each.fields
        )
    fields = {
        "items": tuple(
            {"item": each.item, "fields": _once(index, each.fields, found)}
            for index, each in enumerate(message.items)
        ),
        # In the order sent, so that faults name the right place.
        "purposes": tuple(message.purposes),
        "answer_form": message.answer_form,
        "access_mode": message.access_mode,
        "times_per_day": message.times_per_day,
        "valid_from": valid_from,
        "valid_until": valid_until,
        "data_life_seconds": message.data_life.seconds,
        "data_life_end": message.data_life_end,
        "regions": tuple(message.regions),
    }
    try:
        return ConsentTerms.model_validate(fields)
    except ValidationError as error:
        found += (
            Violation(path_of(("terms", *_renamed(fault.where))), fault.mend)
            for fault in faults_of(error)
        )
        return None


def _crowded(message: pb.ConsentTerms) -> list[Violation]:
    """Return which lists are too long to be looked at one by one."""
    counts = {
        "items": (len(message.items), MOST_ITEMS),
        "purposes": (len(message.purposes), len(Purpose.values())),
        "regions": (len(message.regions), MOST_REGIONS),
    }
    for index, each in enumerate(message.items[:MOST_ITEMS]):
        counts[f"items[{index}].fields"] = len(each.fields), MOST_FIELDS
    return [
        Violation(f"terms.{name}", f"name at most {most}")
        for name, (count, most) in counts.items()
        if count > most
    ]


def _validity(validity: Interval, found: list[Violation]) -> tuple[int, int]:
    """Return the ends of a validity; some that fit where it is faulty, to look at the rest."""
    faults: list[Violation] = []
    from_, until = period_of("terms.validity", validity, faults)
    if from_ is None:
        faults.append(Violation("terms.validity.start_time", "required"))
    if until is None:
        faults.append(Violation("terms.validity.end_time", "required"))
    found += faults
    return (0, 1) if faults or from_ is None or until is None else (from_, until)


def _once(index: int, fields: Sequence[str], found: list[Violation]) -> tuple[str, ...]:
    if len(set(fields)) < len(fields):
        found.append(Violation(f"terms.items[{index}].fields", "name each field once"))
    return tuple(fields)


def _renamed(where: Where) -> Where:
    first = str(where[0]) if where else ""
    return (*_TERMS[first], *where[1:]) if first in _TERMS else where
