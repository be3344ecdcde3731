"""Settlement (结算): what a closed month comes to and who gets what of it; closing a month."""

from typing import NamedTuple

from starlette.responses import Response

from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.console.visit import Visit
from gateway.pages.charts import Measure, Measures, measures
from gateway.pages.money import yuan
from gateway.pages.terms import beneficiary
from gateway.pages.troubles import NotShown
from gateway.settle.month import Month, month_named


class Settled(NamedTuple):
    """A closed month in words; ``closed_at`` in seconds, UTC."""

    closed_at: int
    fees: str
    due: str
    shares: Measures


class Unsettled(NamedTuple):
    """That a month is open, and which one is closed next."""

    next_month: str


async def settled(visit: Visit, month: Month) -> Settled | Unsettled | None:
    """Return what was settled of ``month``, or that it is open; None where that is not for who is
    signed in."""
    if not visit.may(pb.GetSettlementRequest):
        return None
    try:
        found = await visit.ask(pb.GetSettlementRequest(month=month.name), pb.GetSettlementResponse)
    except Refused as refused:
        if refused.reason != RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND:
            raise
        return Unsettled(refused.metadata["next_month"])
    settlement, language = found.settlement, visit.language
    return Settled(
        settlement.close_time.seconds,
        yuan(settlement.total_micro_yuan, language),
        yuan(settlement.due_micro_yuan, language),
        measures(
            visit.say("应付各方，含调整和贷记", "To be paid out, adjustments and credits included"),
            visit.say("受益方", "Beneficiary"),
            visit.say("金额", "Amount"),
            [
                Measure(
                    beneficiary(share.beneficiary, language),
                    share.amount_micro_yuan,
                    yuan(share.amount_micro_yuan, language),
                )
                for share in settlement.due_shares
            ],
        ),
    )


async def close(visit: Visit) -> Response:
    """Close the month; one that is closed stays as it is."""
    month = month_named(visit.named("month"))
    if month is None:
        raise NotShown("missing")
    form = await visit.form("close", month.name)
    page = f"/use/{month.name}"
    try:
        await visit.ask(
            pb.ClosePeriodRequest(month=month.name, request_id=form.get("request_id", "")),
            pb.ClosePeriodResponse,
        )
    except Refused as refused:
        if "next_month" not in refused.metadata:
            raise
        return visit.sent_on(page, refused="MONTH_NOT_NEXT")
    return visit.sent_on(page, done="closed")
