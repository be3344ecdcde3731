"""A date without time is midnight in China; a time without zone is China's."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdk.loading.moments import Moment, check_format, moment_reader

_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_DAYS = st.dates(date(1000, 1, 2), date(9999, 12, 30))
_TIMES = st.builds(
    datetime.combine, _DAYS, st.times().map(lambda time: time.replace(microsecond=0))
)


def read(text: str, *formats: str) -> Moment | None:
    """Return what the text means."""
    return moment_reader(formats)(text)


@given(_DAYS)
def test_a_date_starts_at_midnight_in_china(day: date) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8)
    whole = Moment(int(midnight.timestamp()), day, True)
    assert read(day.isoformat(), "date") == whole
    assert read(f"{day.year:04}年{day.month}月{day.day}日", "%Y年%m月%d日") == whole


@given(_TIMES, _ZONES)
def test_an_instant_keeps_its_own_zone(time: datetime, zone: timezone) -> None:
    zoned = time.replace(tzinfo=zone)
    assert read(zoned.isoformat(), "instant") == Moment(int(zoned.timestamp()), time.date(), False)


@given(_TIMES)
def test_a_time_without_zone_is_chinas(time: datetime) -> None:
    china = time.replace(tzinfo=timezone(timedelta(hours=8)))
    assert read(time.isoformat(), "%Y-%m-%dT%H:%M:%S") == Moment(
        int(china.timestamp()), time.date(), False
    )


def test_z_means_utc() -> None:
    assert read("2024-07-22T12:00:59Z", "instant") == Moment(1721649659, date(2024, 7, 22), False)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ongoing", "instant"),
        ("2024-02-30", "date"),
        ("2024-2-3", "date"),
        ("20240203", "date"),
        ("2024-W05-6", "date"),
        ("２０２４-02-03", "date"),
        ("2024-02-03", "instant"),
        ("2024-02-03T10:00:00", "instant"),
        ("2024-02-03T10:00:00.5Z", "instant"),
        ("2024-02-03T25:00:00Z", "instant"),
        ("2024-02-03 ", "date"),
        ("31/02/2024", "%d/%m/%Y"),
    ],
)
def test_what_is_no_date_is_none(text: str, name: str) -> None:
    assert read(text, name) is None


def test_the_first_format_that_fits_is_taken() -> None:
    assert read("03/04/2024", "date", "%d/%m/%Y", "%m/%d/%Y") == read("2024-04-03", "date")


@pytest.mark.parametrize(
    "name", ["%d.%m.%y", "%Y", "%Y-%m", "%x", "%Y-%m-%d %I", "iso", "%Y%Y%m%d"]
)
def test_a_format_that_names_no_whole_day_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="use"):
        check_format(name)
