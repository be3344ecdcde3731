"""Statements (账单): what each month came to, and one of them line by line."""

from collections import Counter
from typing import Final, NamedTuple

from starlette.responses import Response

from creditgate.v1 import usage_service_pb2 as pb
from gateway.pages.fees import fees_by_item, fees_chart
from gateway.pages.money import yuan
from gateway.portal.bill import (
    MOST_PARTS,
    adjustments_of,
    bill_of,
    charges_of,
    credits_of,
    shares_of,
)
from gateway.portal.document import forms
from gateway.portal.statement import month_shown, statement_of
from gateway.portal.visit import Visit
from gateway.settle.month import Month, month_of, shifted

_MONTHS: Final = 6


class Line(NamedTuple):
    """A line of a statement in words; ``code`` is that of its item, "" for what is of no use,
    ``unit_price`` "" where there are several."""

    code: str
    item: str
    source: str
    region: str
    entries: str
    unit_price: str
    fee: str


async def show_all(visit: Visit) -> Response:
    """Show the last six months, the present one as far as it has come."""
    present = month_of(visit.now)
    months = [shifted(present, -back) for back in reversed(range(_MONTHS))]
    found = [(month, await statement_of(visit, month)) for month in months]
    return visit.page(
        "statements.html",
        tab="/statements",
        present=present.name,
        statements=[_told(visit, month, statement) for month, statement in reversed(found)],
        chart=fees_chart(
            [month.name for month in months],
            [
                Counter[str]() if statement is None else fees_by_item(statement)
                for _, statement in found
            ],
            visit.language,
        ),
    )


async def show(visit: Visit) -> Response:
    """Show the statement of one month."""
    month = month_shown(visit, str(visit.request.path_params["month"]))
    statement = await statement_of(visit, month)
    if statement is None:
        return visit.page("no_statement.html", tab="/statements", month=month.name)
    language = visit.language
    lines = sorted(statement.lines, key=lambda line: -line.fee_micro_yuan)
    return visit.page(
        "statement.html",
        tab="/statements",
        month=month.name,
        bill=bill_of(statement, language),
        forms=forms(visit),
        charges=charges_of(statement, language),
        adjustments=adjustments_of(statement, language),
        credits=credits_of(statement, language),
        shares=shares_of(statement, language),
        lines=[_line(visit, line) for line in lines[:MOST_PARTS]],
        more=max(len(lines) - MOST_PARTS, 0),
        traced=visit.parts.window.serves(pb.ListStatementUsesRequest),
    )


def _told(visit: Visit, month: Month, statement: pb.Statement | None) -> tuple[str, str, str]:
    if statement is None:
        return month.name, "—", "—"
    return (
        month.name,
        f"{statement.total_entries:,}",
        yuan(statement.due_micro_yuan, visit.language),
    )


def _line(visit: Visit, line: pb.StatementLine) -> Line:
    price = line.unit_price_micro_yuan
    return Line(
        line.item,
        visit.item(line.item) if line.item else visit.say("不属于任何使用", "of no use"),
        line.source,
        line.region,
        f"{line.entries:,}",
        yuan(price, visit.language) if price else "",
        yuan(line.fee_micro_yuan, visit.language),
    )
