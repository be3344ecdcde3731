"""Months as requests name them: those that have a name, and the same words wherever one is wrong."""

from collections.abc import Callable

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1 import statement_document_pb2 as document_pb
from gateway.documents.request import document_ask
from gateway.settle.month import month_before, month_named
from gateway.settle.request import month_asked
from gateway.settlement.request import (
    closings_ask,
    journal_ask,
    month_to_close,
    settled_month,
)
from tests.clock import NOW

FORM = document_pb.StatementForm.STATEMENT_FORM_CSV
ASKS: dict[str, Callable[[str], object]] = {
    "statement": lambda name: month_asked(name, NOW),
    "closing": lambda name: month_to_close(pb.ClosePeriodRequest(month=name, request_id="r"), NOW),
    "settlement": settled_month,
    "closings": lambda name: closings_ask(pb.ListClosingsRequest(month=name)),
    "journal": lambda name: journal_ask(pb.ListJournalRequest(month=name)),
    "document": lambda name: document_ask(
        document_pb.GetStatementDocumentRequest(month="1970-01", last_month=name, form=FORM), NOW
    ),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("name", ["1969-12", "9999-01", "2026-13", "2026-4", "２０２６-04", "x"])
def test_month_that_has_no_name_is_refused_with_the_bounds(
    ask: Callable[[str], object], name: str
) -> None:
    with pytest.raises(Refused) as refused:
        ask(name)
    (violation,) = refused.value.violations
    assert violation.field in {"month", "last_month"}
    assert "from 1970-01 to 9998-12" in violation.description


def test_first_month_has_none_before_it() -> None:
    first, second = month_named("1970-01"), month_named("1970-02")
    assert first is not None
    assert second is not None
    assert (month_before(first), month_before(second)) == (None, first)
