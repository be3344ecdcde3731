"""One operator's use: what its last months come to, by catalogue item."""

from collections import Counter
from typing import Final

from starlette.responses import Response

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.console.visit import Visit
from gateway.pages.agreement_words import agreement_said
from gateway.pages.fees import fees_by_item, fees_chart
from gateway.settle.month import month_of, shifted

_MONTHS: Final = 6
_R = RefusalReason


async def show(visit: Visit) -> Response:
    """Show the operator's last six months, the present one as far as it has come."""
    operator_id = visit.named("operator_id")
    operator = (
        await visit.ask(
            operators_pb.GetOperatorRequest(operator_id=operator_id),
            operators_pb.GetOperatorResponse,
        )
    ).operator
    present = month_of(visit.now)
    months = [shifted(present, -back) for back in reversed(range(_MONTHS))]
    fees = [await _fees(visit, operator_id, month.name) for month in months]
    agreed = await visit.ask(
        usage_pb.GetUsageCosignatureRequest(operator_id=operator_id),
        usage_pb.GetUsageCosignatureResponse,
    )
    return visit.page(
        "operator_use.html",
        agreement=agreement_said(agreed, visit.language),
        tab="/operators",
        operator=operator,
        chart=fees_chart([month.name for month in months], fees, visit.language),
    )


async def _fees(visit: Visit, operator_id: str, month: str) -> Counter[str]:
    """Return what each item comes to in a month, in micro-yuan; nothing where it cannot be told."""
    try:
        found = await visit.ask(
            usage_pb.GetStatementRequest(operator_id=operator_id, month=month),
            usage_pb.GetStatementResponse,
        )
    except Refused as refused:
        if refused.reason != _R.REFUSAL_REASON_STATE_CONFLICT:
            raise
        return Counter()
    return fees_by_item(found.statement)
