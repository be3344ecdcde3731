"""A month's statement as the window gives it, and which months there are to be shown."""

from creditgate.refusal import Refused
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.pages.troubles import NotShown
from gateway.portal.visit import Visit
from gateway.settle.month import Month, month_named


def month_shown(visit: Visit, name: str) -> Month:
    """Return the month called ``name`` (YYYY-MM). Raises NotShown for none, or one to come."""
    month = month_named(name)
    if month is None or month.from_ > visit.now:
        raise NotShown("missing")
    return month


async def statement_of(visit: Visit, month: Month) -> pb.Statement | None:
    """Return the statement of ``month``; None where it cannot be told yet, such as without a
    sharing rule. Raises Refused as `Visit.ask` else."""
    try:
        found = await visit.ask(pb.GetStatementRequest(month=month.name), pb.GetStatementResponse)
    except Refused as refused:
        if refused.reason != RefusalReason.REFUSAL_REASON_STATE_CONFLICT:
            raise
        return None
    return found.statement
