"""Use: what was used in a month and comes to, by operator, and how it is settled."""

from collections import Counter
from typing import Final, NamedTuple
from uuid import uuid4

from starlette.responses import Response

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.console.settlement import Settled, Unsettled, settled
from gateway.console.visit import Visit
from gateway.pages.charts import Measure, Measures, measures
from gateway.pages.money import yuan
from gateway.pages.terms import beneficiary
from gateway.pages.troubles import NotShown
from gateway.settle.month import Month, month_before, month_named, month_of, shifted

_OPERATORS: Final = 20
_R = RefusalReason


class Use(NamedTuple):
    """What one operator used in the month: records, and the sum of fees in micro-yuan; None
    where it cannot be told yet, such as without a sharing rule."""

    operator_id: str
    name: str
    statement: usage_pb.Statement | None


async def show(visit: Visit) -> Response:
    """Show the month asked for, the present one where none is."""
    month = _month(visit)
    listed = await visit.ask(
        operators_pb.ListOperatorsRequest(
            page_size=_OPERATORS, page_token=visit.request.query_params.get("page", "")
        ),
        operators_pb.ListOperatorsResponse,
    )
    uses = [await _use(visit, operator, month) for operator in listed.operators]
    statements = [use.statement for use in uses if use.statement is not None]
    before, settlement = month_before(month), await settled(visit, month)
    next_month = settlement.next_month if isinstance(settlement, Unsettled) else ""
    return visit.page(
        "use.html",
        tab="/use",
        month=month.name,
        before="" if before is None else before.name,
        after=shifted(month, 1).name if month.until <= visit.now else "",
        uses=[_told(visit, use) for use in uses],
        records=_records(visit, uses),
        shares=_shares(visit, statements),
        total=yuan(sum(each.total_micro_yuan for each in statements), visit.language),
        more=listed.next_page_token,
        over=month.until <= visit.now,
        settlement=settlement if isinstance(settlement, Settled) else None,
        settled_here=settlement is not None,
        next_month=next_month,
        may_close=visit.deed(settlement_pb.ClosePeriodRequest),
        request_id=str(uuid4()),
    )


def _month(visit: Visit) -> Month:
    present = month_of(visit.now).name
    month = month_named(visit.named("month") or present)
    if month is None or month.from_ > visit.now:
        raise NotShown("missing")
    return month


async def _use(visit: Visit, operator: operators_pb.Operator, month: Month) -> Use:
    try:
        found = await visit.ask(
            usage_pb.GetStatementRequest(operator_id=operator.operator_id, month=month.name),
            usage_pb.GetStatementResponse,
        )
    except Refused as refused:
        if refused.reason != _R.REFUSAL_REASON_STATE_CONFLICT:
            raise
        return Use(operator.operator_id, operator.display_name, None)
    return Use(operator.operator_id, operator.display_name, found.statement)


def _told(visit: Visit, use: Use) -> tuple[str, str, str, str]:
    if use.statement is None:
        unknown = visit.say("尚无分成规则", "no sharing rule")
        return use.operator_id, use.name, unknown, unknown
    records = f"{use.statement.total_entries:,}"
    return use.operator_id, use.name, records, yuan(use.statement.total_micro_yuan, visit.language)


def _records(visit: Visit, uses: list[Use]) -> Measures:
    return measures(
        visit.say("各机构使用的记录数", "Records used, by operator"),
        visit.say("机构", "Operator"),
        visit.say("记录数", "Records"),
        [
            Measure(use.name, use.statement.total_entries, f"{use.statement.total_entries:,}")
            for use in uses
            if use.statement is not None
        ],
    )


def _shares(visit: Visit, statements: list[usage_pb.Statement]) -> Measures:
    by_beneficiary: Counter[str] = Counter()
    for statement in statements:
        for share in statement.shares:
            by_beneficiary[share.beneficiary] += share.amount_micro_yuan
    return measures(
        visit.say("费用的分成", "How the fees are shared"),
        visit.say("受益方", "Beneficiary"),
        visit.say("金额", "Amount"),
        [
            Measure(beneficiary(name, visit.language), amount, yuan(amount, visit.language))
            for name, amount in by_beneficiary.most_common()
        ],
    )
