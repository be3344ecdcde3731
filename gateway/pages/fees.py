"""Fees of months, drawn by catalogue item, from statements as the contract tells them."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from creditgate.v1.usage_service_pb2 import Statement
from gateway.pages.charts import Chart, Series, bar_chart
from gateway.pages.money import yuan
from gateway.pages.rendering import Language
from gateway.pages.words import said

_ITEMS: Final = 5


def fees_by_item(statement: Statement) -> Counter[str]:
    """Return what each item comes to, in micro-yuan."""
    by_item: Counter[str] = Counter()
    for line in statement.lines:
        by_item[line.item] += line.fee_micro_yuan
    return by_item


def fees_chart(months: Sequence[str], fees: Sequence[Counter[str]], language: Language) -> Chart:
    """Return the fees of ``months`` (YYYY-MM), the five greatest items each by itself."""
    whole = sum(fees, Counter[str]())
    shown = [item for item, _ in whole.most_common(_ITEMS)]
    series = [Series(item, [max(month[item], 0) for month in fees]) for item in shown]
    others = [sum(month.values()) - sum(month[item] for item in shown) for month in fees]
    if any(others):
        series.append(
            Series(said(language, ("其他", "others")), [max(amount, 0) for amount in others])
        )
    total = yuan(whole.total(), language)
    first, last = months[0], months[-1]
    return bar_chart(
        "fees",
        said(language, ("近六个月的费用，按目录项", "Fees of the last six months, by item")),
        said(
            language,
            (f"{first} 至 {last}，合计 {total}。", f"{first} to {last}, {total} in all."),
        ),
        said(language, ("月份", "Month")),
        months if whole else [],
        series,
        lambda amount: yuan(amount, language),
    )
