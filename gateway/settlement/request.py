"""Requests of settlement checked: faults by field."""

from dataclasses import dataclass
from typing import Final

from creditgate.refusal import Violation, invalid
from creditgate.request_ids import REQUEST_ID_FORM, is_request_id
from creditgate.transparency.usage_evidence import MOST_BYTES
from creditgate.v1 import settlement_service_pb2 as pb
from gateway.settle.month import Month, month_in
from gateway.settle.paging import Filters, id_of, position_of

MOST: Final = 1_000
USUAL: Final = 100
_MOST_REASON: Final = 500
_OTHER_PAGE: Final = "use the next_page_token of an earlier page of the same listing"


@dataclass(frozen=True, slots=True)
class ClosingsAsk:
    """Which closings are asked for: after (month, operator), `limit` of them."""

    filters: Filters
    after: tuple[str, str]
    limit: int


@dataclass(frozen=True, slots=True)
class JournalAsk:
    """Which entries of the journal are asked for: behind one, ``limit`` of them."""

    filters: Filters
    after: int
    limit: int


def month_to_close(request: pb.ClosePeriodRequest, now: int) -> Month:
    """Return the month to close; raises Refused INVALID_REQUEST unless it is over."""
    faults = request_id_faults(request.request_id)
    month = month_in("month", request.month, faults)
    if month is not None and now < month.until:
        faults.append(Violation("month", "name a month that is over (UTC)"))
    if faults or month is None:
        raise invalid(*faults)
    return month


def settled_month(name: str) -> Month:
    """Return the month of a settlement; raises Refused INVALID_REQUEST."""
    faults: list[Violation] = []
    month = month_in("month", name, faults)
    if month is None:
        raise invalid(*faults)
    return month


def closings_ask(request: pb.ListClosingsRequest) -> ClosingsAsk:
    """Return what a ListClosings call asks; raises Refused INVALID_REQUEST."""
    filters: Filters = (request.operator_id, request.month)
    faults = _listing_faults(request.month, request.page_size, operator_id=request.operator_id)
    after = id_of(request.page_token, filters)
    month, _, operator_id = (after or "").partition(":")
    if after is None:
        faults.append(Violation("page_token", _OTHER_PAGE))
    if faults:
        raise invalid(*faults)
    return ClosingsAsk(filters, (month, operator_id), request.page_size or USUAL)


def journal_ask(request: pb.ListJournalRequest) -> JournalAsk:
    """Return what a ListJournal call asks; raises Refused INVALID_REQUEST."""
    filters: Filters = (request.month, request.operator_id, request.account)
    faults = _listing_faults(
        request.month, request.page_size, operator_id=request.operator_id, account=request.account
    )
    after = position_of(request.page_token, filters)
    if after is None:
        faults.append(Violation("page_token", _OTHER_PAGE))
    if faults or after is None:
        raise invalid(*faults)
    return JournalAsk(filters, after, request.page_size or USUAL)


def require_credit(request: pb.CreateCreditNoteRequest) -> None:
    """Raise Refused INVALID_REQUEST unless a CreateCreditNote call is well formed."""
    faults = request_id_faults(request.request_id)
    if not request.operator_id:
        faults.append(Violation("operator_id", "name the operator that was overcharged"))
    if not 0 < len(request.evidence) <= MOST_BYTES:
        faults.append(Violation("evidence", f"give 1 to {MOST_BYTES} bytes"))
    if not 0 < len(request.reason.strip()) <= _MOST_REASON:
        faults.append(Violation("reason", f"use 1 to {_MOST_REASON} characters"))
    if faults:
        raise invalid(*faults)


def request_id_faults(request_id: str) -> list[Violation]:
    """Return what is wrong with an idempotency key."""
    if is_request_id(request_id):
        return []
    return [Violation("request_id", f"use {REQUEST_ID_FORM}")]


def _listing_faults(month: str, page_size: int, **names: str) -> list[Violation]:
    faults = [
        # PostgreSQL cannot even look for a NUL.
        Violation(field, "use a name without NUL characters")
        for field, name in names.items()
        if "\0" in name
    ]
    if month:
        month_in("month", month, faults)
    if not 0 <= page_size <= MOST:
        faults.append(Violation("page_size", f"use 1 to {MOST}, or 0 for {USUAL}"))
    return faults
