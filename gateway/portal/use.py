"""Use and quota: a month by catalogue item and by day, and what is left for today."""

from collections import Counter
from typing import Final

from starlette.responses import Response

from creditgate.v1 import usage_service_pb2 as pb
from gateway.pages.agreement_words import agreement_said
from gateway.pages.charts import Measure, Measures, measures
from gateway.portal.apart import apart
from gateway.portal.days import days_chart, used_by_day
from gateway.portal.quota import quotas
from gateway.portal.statement import month_shown, statement_of
from gateway.portal.visit import Visit
from gateway.settle.month import month_before, month_of, shifted

_DAY: Final = 86_400


async def show(visit: Visit) -> Response:
    """Show the month asked for, the present one where none is."""
    present = month_of(visit.now).name
    month = month_shown(visit, visit.request.query_params.get("month", present))
    today = visit.now - visit.now % _DAY
    used = await used_by_day(visit, month.from_, min(month.until, today + _DAY))
    agreed = await visit.ask(pb.GetUsageCosignatureRequest(), pb.GetUsageCosignatureResponse)
    # Behind the days, so that what is used meanwhile is in the statement of a month that is open.
    statement, before = await statement_of(visit, month), month_before(month)
    return visit.page(
        "use.html",
        agreement=agreement_said(agreed, visit.language),
        tab="/use",
        month=month.name,
        before="" if before is None else before.name,
        after=shifted(month, 1).name if month.until <= visit.now else "",
        quotas=await quotas(visit),
        anew=visit.when(today + _DAY),
        days=days_chart(visit, used),
        apart="" if statement is None else apart(statement, sum(used.values()), visit.language),
        items=None if statement is None else _items(visit, statement),
    )


def _items(visit: Visit, statement: pb.Statement) -> Measures:
    by_item: Counter[str] = Counter()
    for line in statement.lines:
        by_item[line.item] += line.entries
    return measures(
        visit.say("使用的记录数，按目录项", "Records used, by catalogue item"),
        visit.say("目录项", "Item"),
        visit.say("记录数", "Records"),
        [
            Measure(visit.item(item), records, f"{records:,}")
            for item, records in by_item.most_common()
        ],
    )
