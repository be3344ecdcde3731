"""Instants as people read them: exact to the end of time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.pages.moments import day, moment, period, time_of_day
from operators.shapes import END_OF_TIME

_LAST_IN_CHINA = END_OF_TIME - 8 * 3_600


def test_the_end_of_time_can_be_read_in_both_languages() -> None:
    assert moment(END_OF_TIME, "en") == "9999-12-31 23:59 UTC"
    assert moment(END_OF_TIME, "zh") == "10000-01-01 07:59（北京时间）"
    assert day(END_OF_TIME, "zh") == "10000-01-01"
    assert time_of_day(END_OF_TIME, "zh") == "07:59"
    assert period(0, END_OF_TIME, "zh") == (
        "自 1970-01-01 08:00 起，至 10000-01-01 07:59:59 止（北京时间）。"
    )


@given(st.integers(0, _LAST_IN_CHINA))
def test_an_instant_is_that_of_the_calendar(seconds: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert moment(seconds, "en") == f"{at:%Y-%m-%d %H:%M} UTC"
    china = at + timedelta(hours=8)
    assert moment(seconds, "zh") == f"{china:%Y-%m-%d %H:%M}（北京时间）"
    assert day(seconds, "zh") == f"{china:%Y-%m-%d}"
