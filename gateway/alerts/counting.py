"""What answers come to, by the hour and the purpose, and whom they were about, by the day. Pure.

An answer about one subject has records of that one alone, so its first record tells whom it is
about; each row of the ledger has a share of microseconds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Row

from gateway.alerts.policy import AlertPolicy
from gateway.alerts.region_subjects import ChunkSubjects
from gateway.alerts.rules import HOURS, Counts, HourUse, hour_of
from gateway.federation.asking.uses import RegionChunk
from gateway.meter.model import ANSWER, lines_of, unpack_entries
from gateway.meter.tables import USAGE

COUNTED: Final = (
    USAGE.c.sequence,
    USAGE.c.kind,
    USAGE.c.request_id,
    USAGE.c.chunk,
    USAGE.c.purpose,
    USAGE.c.served_at,
    USAGE.c.entry_count,
    USAGE.c.entries,
    USAGE.c.asked_subjects,
    USAGE.c.lines,
)
"""What is read of a row of the ledger."""
_ANSWER: Final = int(ANSWER)
_ENTRY_BYTES: Final = 8
_NO_LINES: Final = "[]"

LedgerRow = Row[*tuple[Any, ...]]
"""A row, of `COUNTED`."""


class Use(NamedTuple):
    """What answers come to: counts by hour and purpose, and subjects that had records, by day."""

    hours: Mapping[HourUse, Counts]
    subjects: Mapping[int, Collection[str]]


def first_entries(rows: Iterable[LedgerRow]) -> set[int]:
    """Return the revisions whose subjects tell whom the rows are about."""
    packed = b"".join(
        [
            entries[:_ENTRY_BYTES] if asked == 1 else entries
            for *_, entries, asked, _ in rows
            if entries
        ]
    )
    return set(unpack_entries(packed))


def chunks_elsewhere(rows: Iterable[LedgerRow]) -> list[RegionChunk]:
    """Return the chunks of other regions among the rows: they have records and name none."""
    return [
        RegionChunk(request_id, chunk)
        for _, kind, request_id, chunk, *_, entries, _, lines in rows
        if not entries and _is_elsewhere(kind, lines)
    ]


def use_in(
    rows: Sequence[LedgerRow],
    subjects: Mapping[int, str],
    elsewhere: Mapping[RegionChunk, ChunkSubjects],
    policy: AlertPolicy,
) -> Use:
    """Return what the answers among the rows come to; rows that credit one count for nothing.

    ``subjects`` are those of revisions, ``elsewhere`` those of chunks of other regions.
    """
    counted: dict[tuple[int, int], list[int]] = {}
    by_day: dict[int, set[str]] = {}
    # Whoever is known in several regions was asked about once.
    met: set[tuple[str, str]] = set()
    for _, kind, request_id, chunk, purpose, served_at, records, entries, asked, lines in rows:
        if kind != _ANSWER:
            continue
        hour = hour_of(served_at, policy)
        seen = by_day.setdefault(hour // HOURS, set())
        charged, count = records, 0
        if entries:
            # Of older answers it is not known how many were asked about.
            named = unpack_entries(entries[:_ENTRY_BYTES] if asked == 1 else entries)
            found = {subjects[each] for each in named if each in subjects}
            seen |= found
            count = len(found)
        elif _is_elsewhere(kind, lines):
            charged = sum(line.records for line in lines_of(lines))
            if (given := elsewhere.get(RegionChunk(request_id, chunk))) is not None:
                seen |= given.subjects
                new = {(given.request_id, subject) for subject in given.subjects} - met
                met |= new
                count = len(new)
        counts = counted.setdefault((hour, purpose), [0, 0, 0])
        counts[0] += charged
        counts[1] += asked
        counts[2] += count
    return Use({HourUse(*use): Counts(*counts) for use, counts in counted.items()}, by_day)


def _is_elsewhere(kind: int, lines: str) -> bool:
    """Tell whether a row without entries has records all the same: other regions gave them."""
    return kind == _ANSWER and lines != _NO_LINES
