"""Calendar months in UTC, as statements name them."""

from datetime import UTC, datetime


def month_bounds(month: str) -> tuple[int, int]:
    """Return the first second of a month "YYYY-MM" (UTC), and of the one after. Raises
    ValueError."""
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return int(first.timestamp()), int(after.timestamp())


def month_name(at: int) -> str:
    """Return the name "YYYY-MM" of the month of an instant (seconds, UTC)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


def months_from(first: str, before: str) -> list[str]:
    """Return the months from ``first`` to the one before ``before``, in order."""
    found: list[str] = []
    while first < before:
        found.append(first)
        first = month_name(month_bounds(first)[1])
    return found
