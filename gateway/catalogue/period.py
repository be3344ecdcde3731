"""Disclosure periods against the rules of an item. Times in seconds, UTC.

Months are those of the calendar in China (UTC+8, without summer time), because the rules
are Chinese law: a year from 1 January in Beijing starts at 16:00 of the day before in UTC.
Source: Guobanfa [2025] No. 22, section 2; NDRC Order No. 36.
"""

from calendar import monthrange
from datetime import date
from functools import lru_cache
from typing import Final

from gateway.catalogue.model import PeriodRule
from gateway.catalogue.rejection import Rejection, RejectionReason
from operators.shapes import END_OF_TIME

_DAY: Final = 86_400
_CHINA: Final = 8 * 3_600
_EPOCH: Final = date(1970, 1, 1).toordinal()
_TEN_YEARS: Final = 3_653 * _DAY


@lru_cache(maxsize=4_096)
def after_months(start: int, months: int) -> int:
    """Return the instant ``months`` calendar months after ``start``.

    A day that the month lacks becomes its last day; past 9999 it is the end of time.
    """
    if start + _CHINA > END_OF_TIME:
        return END_OF_TIME
    days, second = divmod(start + _CHINA, _DAY)
    first = date.fromordinal(_EPOCH + days)
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    if year > 9_999:
        return END_OF_TIME
    day = min(first.day, monthrange(year, month + 1)[1])
    ordinal = date(year, month + 1, day).toordinal()
    return (ordinal - _EPOCH) * _DAY + second - _CHINA


def period_fault(
    rule: PeriodRule, start: int, end: int | None, now: int, first_start: int | None = None
) -> Rejection | None:
    """Return why [start, end) may not be disclosed under ``rule``, None when it may.

    ``first_start`` is the earliest start that the record ever had, None for a new one: to correct
    a record prolongs nothing beyond the longest period there is.
    """
    if start > now + _TEN_YEARS:
        return Rejection(RejectionReason.DISCLOSED_FROM_TOO_LATE, "disclosed_from")
    if end is None:
        if rule.end_required:
            return Rejection(RejectionReason.DISCLOSED_UNTIL_REQUIRED, "disclosed_until")
        return None
    if end <= start:
        return Rejection(RejectionReason.PERIOD_EMPTY, "disclosed_until")
    if rule.min_months and end < after_months(start, rule.min_months):
        return Rejection(RejectionReason.PERIOD_TOO_SHORT, "disclosed_until")
    earliest = start if first_start is None else min(start, first_start)
    if rule.max_months and end > after_months(earliest, rule.max_months):
        return Rejection(RejectionReason.PERIOD_TOO_LONG, "disclosed_until")
    return None
