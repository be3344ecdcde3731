"""The first page: how the operator stands, what it used, and what that comes to."""

from typing import Final, NamedTuple

from starlette.responses import Response

from creditgate.v1 import conformance_service_pb2 as conformance_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.pages.agreement_words import agreement_said
from gateway.pages.money import yuan
from gateway.pages.terms import OPERATOR_STATES, STAGES
from gateway.pages.words import said
from gateway.portal.days import days_chart, used_by_day
from gateway.portal.quota import quotas
from gateway.portal.statement import statement_of
from gateway.portal.visit import Visit
from gateway.settle.forecast import Forecast
from gateway.settle.month import month_of

_DAY: Final = 86_400
_DAYS: Final = 30


class Card(NamedTuple):
    """One thing at a glance: where it leads, what it is, how much, and what that says."""

    to: str
    title: str
    much: str
    told: str


async def show(visit: Visit) -> Response:
    """Show how the operator stands."""
    today = visit.now - visit.now % _DAY
    used = await used_by_day(visit, today - (_DAYS - 1) * _DAY, today + _DAY)
    month = month_of(visit.now)
    told = await visit.read(visit.parts.forecasts.of, visit.operator.operator_id, visit.now)
    agreed = await visit.ask(
        usage_pb.GetUsageCosignatureRequest(), usage_pb.GetUsageCosignatureResponse
    )
    return visit.page(
        "overview.html",
        agreement=agreement_said(agreed, visit.language),
        tab="",
        state=said(visit.language, OPERATOR_STATES[visit.operator.state]),
        active=visit.operator.state == OperatorState.OPERATOR_STATE_ACTIVE,
        stopped=visit.parts.view().authority.brakes.stops_operator(visit.operator.operator_id)
        is not None,
        month=month.name,
        forecast_at=visit.when(told.at),
        cards=[
            await _cost(visit),
            _forecast(visit, told.forecast),
            await _quota(visit, used[today]),
            await _conformance(visit),
        ],
        days=days_chart(visit, used),
    )


async def _cost(visit: Visit) -> Card:
    statement = await statement_of(visit, month_of(visit.now))
    if statement is None:
        much, told = "—", visit.say("尚无分成规则，无法计算", "no sharing rule: not to be told yet")
    else:
        much = yuan(statement.total_micro_yuan, visit.language)
        told = visit.say(
            f"{statement.total_entries:,} 条记录", f"for {statement.total_entries:,} records"
        )
    return Card("/statements", visit.say("本月费用", "Cost this month"), much, told)


def _forecast(visit: Visit, told: Forecast) -> Card:
    return Card(
        "/statements",
        visit.say("本月预计", "Forecast of the month"),
        yuan(told.fee_whole, visit.language),
        visit.say(f"约 {told.records_whole:,} 条记录", f"for about {told.records_whole:,} records"),
    )


async def _quota(visit: Visit, used_today: int) -> Card:
    standing = await quotas(visit)
    title = visit.say("今日剩余额度", "Quota left today")
    if not standing:
        return Card("/use", title, "0", visit.say("没有有效的许可", "no licence in force"))
    return Card(
        "/use",
        title,
        f"{sum(quota.left for quota in standing):,}",
        visit.say(f"今日已用 {used_today:,} 条", f"{used_today:,} records used today"),
    )


async def _conformance(visit: Visit) -> Card:
    found = await visit.ask(
        conformance_pb.GetConformanceRequest(), conformance_pb.GetConformanceResponse
    )
    standing = sum(each.standing for each in found.standing)
    return Card(
        "/conformance",
        visit.say("一致性问题", "Findings"),
        f"{standing:,}",
        visit.say(
            f"措施：{said('zh', STAGES[found.stage])}",
            f"measure: {said('en', STAGES[found.stage])}",
        ),
    )
