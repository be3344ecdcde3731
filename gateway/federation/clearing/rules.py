"""When what is cleared. Pure; seconds, UTC."""

from collections.abc import Callable
from typing import Final

DAY_SECONDS: Final = 86_400
SETTLE_SECONDS: Final = 600
"""So long after midnight a day is cleared: what was under way is kept by then."""
SETTLED_SECONDS: Final = 2
"""So long ago any period must have ended: what was served in it is in the ledger by then."""
_YEAR_SECONDS: Final = 366 * DAY_SECONDS
OVERDUE_SECONDS: Final = 6 * 3_600
"""So long after the end of a day it must be cleared, or people are told."""


def last_midnight(now: int) -> int:
    """Return the last midnight that is to be cleared up to."""
    settled = now - SETTLE_SECONDS
    return settled - settled % DAY_SECONDS


def next_until(cleared: int | None, now: int) -> int | None:
    """Return up to when the next clearing goes, None where none is due.

    ``cleared`` is the end of the last one, None before the first, which has all there is; then
    each day has its own.
    """
    latest = last_midnight(now)
    if cleared is None:
        return latest
    following = cleared - cleared % DAY_SECONDS + DAY_SECONDS
    return following if following <= latest else None


def overdue_since(cleared: int | None, now: int) -> int | None:
    """Return the end of the day that should be cleared by ``now`` and is not, None where none is
    overdue."""
    due = last_midnight(now) if cleared is None else next_until(cleared, now)
    return due if due is not None and now - due >= OVERDUE_SECONDS else None


def shorter(count: Callable[[int, int], int], start: int, until: int) -> int | None:
    """Return the end of a part of [start, until) that has at most half of its entries, None where
    that is one second.

    ``count`` gives the entries of a period by this region's ledger. Where it has none, it is the
    other that has too many: half of the time, of the last year of a first period.
    """
    least, most = start + 1, until - 1
    if least > most:
        return None
    half = count(start, until) // 2
    if not half:
        return max(least, until - min(until - start, _YEAR_SECONDS) // 2)
    while least < most:
        middle = (least + most + 1) // 2
        if count(start, middle) <= half:
            least = middle
        else:
            most = middle - 1
    return least
