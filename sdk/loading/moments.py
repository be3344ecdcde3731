"""Dates and times as sources write them.

A date without a time means midnight in China (UTC+8), where the disclosure site works
and whose law counts the periods; so does a time that names no zone. The offset is fixed:
the summer time of 1986 to 1991 is not counted, as dates in registers do not count it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

CHINA: Final = timezone(timedelta(hours=8))
DATE: Final = "date"
INSTANT: Final = "instant"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# RFC 3339 section 5.6; disclosure periods are in whole seconds.
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.0+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DIRECTIVE: Final = re.compile(r"%(.?)")
_KNOWN: Final = frozenset("YmdbBHMSz%")
_TIME_OF_DAY: Final = frozenset("HMS")


@dataclass(frozen=True, slots=True)
class Moment:
    """``seconds`` UTC; ``day`` as the source wrote it, in its own zone; ``whole_day`` when
    it wrote no time."""

    seconds: int
    day: date
    whole_day: bool


def check_format(name: str) -> str:
    """Check a format: "date", "instant" or a pattern of `datetime.strptime`.

    Two-digit years are not among the patterns: nobody could tell 1925 from 2025. Raises
    ValueError with the mend.
    """
    if name in (DATE, INSTANT):
        return name
    directives = _DIRECTIVE.findall(name)
    whole = {"Y", "d"} <= set(directives) and set(directives) & set("mbB")
    if not whole or not _KNOWN.issuperset(directives):
        raise ValueError(
            'use "date" (YYYY-MM-DD), "instant" (RFC 3339 with offset) or a pattern with %Y, one of'
            " %m %b %B, and %d, perhaps with %H %M %S %z"
        )
    if len(directives) != len(set(directives)):
        raise ValueError("use each directive once")
    return name


def moment_reader(formats: Sequence[str]) -> Callable[[str], Moment | None]:
    """Return what reads a text in the first of ``formats`` that fits, None when none does."""
    readers = [_reader(name) for name in formats]

    def read(text: str) -> Moment | None:
        for reader in readers:
            try:
                moment = reader(text)
            except (ValueError, OverflowError):
                continue
            if moment is not None:
                return moment
        return None

    return read


def _reader(name: str) -> Callable[[str], Moment | None]:
    if name == DATE:
        return _read_date
    if name == INSTANT:
        return _read_instant
    whole_day = _TIME_OF_DAY.isdisjoint(_DIRECTIVE.findall(name))

    def read(text: str) -> Moment:
        return _moment(datetime.strptime(text, name), whole_day)  # noqa: DTZ007

    return read


def _read_date(text: str) -> Moment | None:
    if _DATE.fullmatch(text) is None:
        return None
    return _moment(datetime.fromisoformat(text), whole_day=True)


def _read_instant(text: str) -> Moment | None:
    if _INSTANT.fullmatch(text) is None:
        return None
    return _moment(datetime.fromisoformat(text.upper()), whole_day=False)


def _moment(read: datetime, whole_day: bool) -> Moment:
    zoned = read if read.tzinfo is not None else read.replace(tzinfo=CHINA)
    return Moment((zoned - _EPOCH) // _SECOND, read.date(), whole_day)
