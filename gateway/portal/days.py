"""Use by day, as it counts against the daily quota: what is read of it, and its chart."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.pages.charts import Chart, Series, bar_chart
from gateway.portal.visit import Visit

_DAY: Final = 86_400


async def used_by_day(visit: Visit, from_: int, until: int) -> Mapping[int, int]:
    """Return the records of each UTC day that begins in [from_, until), by its start
    (seconds), days without use too."""
    first, last = from_ // _DAY, (until - 1) // _DAY
    used = await visit.read(visit.parts.quota.by_day, visit.operator.operator_id, first, last)
    return {day * _DAY: used.get(day, 0) for day in range(first, last + 1)}


def days_chart(visit: Visit, used: Mapping[int, int]) -> Chart:
    """Return the records of each day, drawn."""
    # Days are UTC days, whatever the language: quotas count by them.
    names = [_name(day) for day in used]
    total, most = sum(used.values()), max(used.values())
    return bar_chart(
        "days",
        visit.say("每日使用的记录数", "Records used, by day"),
        visit.say(
            f"{names[0]} 至 {names[-1]}，合计 {total:,} 条，最多的一天 {most:,} 条。",
            f"{names[0]} to {names[-1]}: {total:,} in all, {most:,} on the busiest day.",
        ),
        visit.say("日（世界时）", "Day (UTC)"),
        [name[5:] for name in names] if total else [],
        [Series(visit.say("记录数", "Records"), list(used.values()))],
        lambda records: f"{records:,}",
    )


def _name(start: int) -> str:
    return datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d")
