"""Requests checked: from proto messages to what settlement works on, faults by field."""

from dataclasses import dataclass
from typing import Final

from creditgate.refusal import Violation, invalid
from creditgate.request_ids import REQUEST_ID_FORM, is_request_id
from creditgate.v1.usage_service_pb2 import ListUsageRequest
from gateway.instants import period_of
from gateway.settle.month import Month, month_in
from gateway.settle.paging import Filters
from gateway.settle.usage import UsePlace
from gateway.settle.usage_pages import usage_begin

MOST_ENTRIES: Final = 1_000
USUAL_ENTRIES: Final = 100


@dataclass(frozen=True, slots=True)
class UsageAsk:
    """Which usage is asked for: [from_, until) in seconds UTC, None unbounded; "" any request.

    ``begin`` is where an earlier page ended.
    """

    operator_id: str
    from_: int | None
    until: int | None
    request_id: str
    page_size: int
    begin: UsePlace

    @property
    def filters(self) -> Filters:
        """What every page of one listing must have in common."""
        return self.operator_id, self.from_, self.until, self.request_id


def usage_ask(request: ListUsageRequest, operator_id: str) -> UsageAsk:
    """Return what a ListUsage call asks about ``operator_id``; raises Refused INVALID_REQUEST."""
    faults: list[Violation] = []
    from_, until = period_of("period", request.period, faults)
    if request.request_id and not is_request_id(request.request_id):
        faults.append(Violation("request_id", f"use {REQUEST_ID_FORM}"))
    if not 0 <= request.page_size <= MOST_ENTRIES:
        faults.append(Violation("page_size", f"use 1 to {MOST_ENTRIES}, or 0 for {USUAL_ENTRIES}"))
    begin = usage_begin(request.page_token, (operator_id, from_, until, request.request_id))
    if begin is None:
        faults.append(
            Violation(
                "page_token",
                "use the next_page_token of an earlier page of the same operator_id, period and"
                " request_id",
            )
        )
    if faults or begin is None:
        raise invalid(*faults)
    page_size = request.page_size or USUAL_ENTRIES
    return UsageAsk(operator_id, from_, until, request.request_id, page_size, begin)


def month_asked(name: str, now: int) -> Month:
    """Return the month of a statement; raises Refused INVALID_REQUEST."""
    faults: list[Violation] = []
    month = month_in("month", name, faults)
    if month is None:
        raise invalid(*faults)
    if now < month.from_:
        raise invalid(Violation("month", "name a month that has begun (UTC)"))
    return month
