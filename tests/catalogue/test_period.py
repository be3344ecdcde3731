"""Months are calendar months in China, counted from the start of disclosure."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.model import PeriodRule
from gateway.catalogue.period import after_months, period_fault
from gateway.catalogue.rejection import RejectionReason
from operators.shapes import END_OF_TIME

CHINA = timezone(timedelta(hours=8))
STARTS = st.integers(0, 4_102_444_800)


def at(text: str) -> int:
    """Return an instant written as local time in China."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp())


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-01-01", 3, "2026-04-01"),
        ("2026-10-01", 3, "2027-01-01"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-05-31T13:14:15", 1, "2026-06-30T13:14:15"),
        ("2026-03-01", 36, "2029-03-01"),
    ],
)
def test_months_are_counted_by_the_calendar(start: str, months: int, end: str) -> None:
    assert after_months(at(start), months) == at(end)


def test_months_beyond_the_year_9999_end_with_time() -> None:
    assert after_months(END_OF_TIME - 1, 1_200) == END_OF_TIME


@given(STARTS, st.integers(1, 120))
def test_months_later_is_the_same_day_or_the_last_of_its_month(start: int, months: int) -> None:
    before = datetime.fromtimestamp(start, CHINA)
    after = datetime.fromtimestamp(after_months(start, months), CHINA)
    assert (after.year - before.year) * 12 + after.month - before.month == months
    assert after.time() == before.time()
    last = (after + timedelta(days=1)).month != after.month
    assert after.day == before.day or (last and after.day < before.day)


@given(STARTS, st.integers(0, 36), st.integers(1, 36), st.integers(-2, 2))
def test_bounds_are_kept_to_the_second(start: int, least: int, more: int, off: int) -> None:
    rule = PeriodRule(
        min_months=least, max_months=least + more, end_required=True, legal_source="test"
    )
    longest = after_months(start, least + more)
    fault = period_fault(rule, start, longest + off, now=start)
    assert (fault is None) == (off <= 0)
    if fault is not None:
        assert fault.reason == RejectionReason.PERIOD_TOO_LONG
    if least:
        fault = period_fault(rule, start, after_months(start, least) + off, now=start)
        assert (fault is None) == (off >= 0)
        if fault is not None:
            assert fault.reason == RejectionReason.PERIOD_TOO_SHORT


def test_midnight_in_utc_and_in_china_both_make_whole_months() -> None:
    in_utc = int(datetime(2026, 9, 30, tzinfo=UTC).timestamp())
    assert after_months(in_utc, 3) == int(datetime(2026, 12, 30, tzinfo=UTC).timestamp())
    assert after_months(at("2026-10-01"), 3) == at("2027-01-01")
