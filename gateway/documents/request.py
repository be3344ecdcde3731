"""Requests for documents and uses checked: faults by field."""

import re
from typing import Final, NamedTuple

from creditgate.refusal import Violation, invalid
from creditgate.v1 import statement_document_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.documents.uses import UsesWanted
from gateway.documents.words import LANGUAGES, Language, language_named
from gateway.instants import period_of
from gateway.settle.month import Month, month_in, shifted
from gateway.settle.paging import Filters, id_of
from gateway.settle.request import MOST_ENTRIES, USUAL_ENTRIES, month_asked
from gateway.settle.usage import UsePlace

MOST_MONTHS = 12
_MOST_NAME = 200
_PLACE: Final = re.compile(r"(0|[1-9]\d{0,17})\.(\d{1,9})", re.ASCII)


class DocumentAsk(NamedTuple):
    """Which document is asked for: of ``months``, in order."""

    months: tuple[Month, ...]
    source: str
    region: str
    form: pb.StatementForm.ValueType
    language: Language


def document_ask(request: pb.GetStatementDocumentRequest, now: int) -> DocumentAsk:
    """Return what a GetStatementDocument call asks for; raises Refused INVALID_REQUEST."""
    first = month_asked(request.month, now)
    faults = [*_name_faults(request)]
    last = month_in("last_month", request.last_month, faults) if request.last_month else first
    if last is not None and not first.from_ <= last.from_ <= now:
        faults.append(Violation("last_month", "name a month not before month, and begun (UTC)"))
    elif last is not None and last.from_ >= shifted(first, MOST_MONTHS).from_:
        faults.append(Violation("last_month", f"ask for {MOST_MONTHS} months at most"))
    if request.form not in set(pb.StatementForm.values()) - {0}:
        faults.append(Violation("form", "state the form of the document"))
    if request.language not in {"", *LANGUAGES}:
        faults.append(Violation("language", 'use "zh" or "en"'))
    if faults or last is None:
        raise invalid(*faults)
    months = [first]
    while months[-1].from_ < last.from_:
        months.append(shifted(months[-1], 1))
    return DocumentAsk(
        tuple(months),
        request.source,
        request.region,
        request.form,
        language_named(request.language),
    )


def filters(request: usage_pb.ListStatementUsesRequest, operator_id: str) -> Filters:
    """Return what every page of one listing of uses has in common."""
    narrowed = request.item, request.source, request.region, request.purpose
    period = request.period.start_time.seconds, request.period.end_time.seconds
    return operator_id, request.month, *narrowed, request.component_id, *period


def uses_wanted(
    request: usage_pb.ListStatementUsesRequest, operator_id: str, now: int
) -> UsesWanted:
    """Return what a ListStatementUses call asks about ``operator_id``; raises Refused
    INVALID_REQUEST."""
    month = month_asked(request.month, now)
    faults = [*_name_faults(request)]
    if request.purpose not in Purpose.values():
        faults.append(Violation("purpose", "use a purpose of the vocabulary, or none"))
    if not 0 <= request.page_size <= MOST_ENTRIES:
        faults.append(Violation("page_size", f"use 1 to {MOST_ENTRIES}, or 0 for {USUAL_ENTRIES}"))
    begin = _place(id_of(request.page_token, filters(request, operator_id)))
    if begin is None:
        faults.append(
            Violation("page_token", "use the next_page_token of an earlier page of the same uses")
        )
    from_, until = period_of("period", request.period, faults)
    if faults or begin is None:
        raise invalid(*faults)
    return UsesWanted(
        operator_id,
        month,
        request.item,
        request.source,
        request.region,
        request.purpose,
        request.component_id,
        month.from_ if from_ is None else from_,
        month.until if until is None else until,
        request.page_size or USUAL_ENTRIES,
        begin,
    )


def _place(token: str | None) -> UsePlace | None:
    """Return where a page begins, None for no such token."""
    if token == "":
        return UsePlace(0, 0)
    match = None if token is None else _PLACE.fullmatch(token)
    return None if match is None else UsePlace(int(match[1]), int(match[2]))


def _name_faults(
    request: pb.GetStatementDocumentRequest | usage_pb.ListStatementUsesRequest,
) -> list[Violation]:
    names = ["source", "region"]
    if isinstance(request, usage_pb.ListStatementUsesRequest):
        names += ["item", "component_id"]
    return [
        Violation(name, f"use {_MOST_NAME} characters at most")
        for name in names
        if len(getattr(request, name)) > _MOST_NAME
    ]
