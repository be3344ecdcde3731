"""Calendar months in UTC, as statements name them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from creditgate.refusal import Violation

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998
MONTH_MEND: Final = (
    f'use a calendar month such as "2026-04", from {_FIRST_YEAR}-01 to {_LAST_YEAR}-12'
)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month: ``name`` reads YYYY-MM, the period is [from_, until) in seconds, UTC."""

    name: str
    from_: int
    until: int


def month_named(name: str) -> Month | None:
    """Return the month that ``name`` (YYYY-MM, 1970 to 9998) stands for, None if none."""
    match = _MONTH.fullmatch(name)
    if match is None:
        return None
    year, month = int(match[1]), int(match[2])
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    next_year, next_month = divmod(year * 12 + month, 12)
    return Month(name, _start(year, month), _start(next_year, next_month + 1))


def month_in(field: str, name: str, faults: list[Violation]) -> Month | None:
    """Return the month that a field of a request names, as `month_named`; what is wrong with it is
    added to ``faults``."""
    month = month_named(name)
    if month is None:
        faults.append(Violation(field, MONTH_MEND))
    return month


def month_of(instant: int) -> Month:
    """Return the month of an instant (seconds, UTC)."""
    return _named(datetime.fromtimestamp(instant, UTC).strftime("%Y-%m"))


def shifted(month: Month, months: int) -> Month:
    """Return the month that many months later."""
    year, number = map(int, month.name.split("-"))
    year, number = divmod(year * 12 + number - 1 + months, 12)
    return _named(f"{year:04d}-{number + 1:02d}")


def month_before(month: Month) -> Month | None:
    """Return the month before; None before the first that has a name."""
    return shifted(month, -1) if month.from_ else None


def utc_text(at: int) -> str:
    """Return an instant in seconds as RFC 3339 text, e.g. 2026-01-01T00:00:00Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _named(name: str) -> Month:
    month = month_named(name)
    assert month is not None, "a clock shows months that have names"
    return month


def _start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())
