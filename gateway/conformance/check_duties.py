"""Checking the removals owed: made anew from the events and from what operators were served."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, func, select

from gateway.conformance.blocks import BLOCK, is_marked
from gateway.conformance.event_pages import WatchedEvent, head, read_changes
from gateway.conformance.removal_tables import DUTIES, FOLLOWED
from gateway.transparency.faults import Faults

_EVENTS_AT_ONCE: Final = 500
_FOLLOWED: Final = "events"
_Whole = Mapping[str, Mapping[int, bytes]]
_Cut = Mapping[str, Mapping[int, int]]


class _Owed(NamedTuple):
    revisions: tuple[int, ...]
    record_id: str
    severity: int
    owed_since: int


def check_duties(
    records: Connection, evidence: Connection, whole: _Whole, cut: _Cut, faults: Faults
) -> int:
    """Compare the removals owed with the events that were followed; return how many there may
    be.

    ``whole`` is what each operator was ever served whole, or has put right, as the bits of blocks: no
    answer is served with a revision that is void, nor is a copy of one right, so who owed when the event
    was followed owes now. ``cut``
    tells of what consents cut until when it may be kept: longer than the event, and it is owed;
    if not, it may have been, before the consent ended. Nor must it be where the period was over
    before, though former releases held it to be. Raises EnoughFaults.
    """
    followed = evidence.execute(select(FOLLOWED)).all()
    positions = [row.event_sequence for row in followed]
    newest = head(records)
    faults.require(
        all(row.name == _FOLLOWED and 0 <= row.event_sequence <= newest for row in followed),
        "removal_duties_followed",
        "it is after the newest event, or of nothing that is followed",
    )
    owing = 0
    for events in _changes(records, min(max(positions, default=0), newest)):
        kept = {
            (row.operator_id, row.event_sequence): row
            for row in evidence.execute(
                select(DUTIES).where(
                    DUTIES.c.event_sequence >= events[0].sequence,
                    DUTIES.c.event_sequence <= events[-1].sequence,
                )
            )
        }
        for event in events:
            owed = _Owed(event.void_alike, event.record_id, event.severity, event.at)
            for operator_id, bits in whole.items():
                is_whole = any(
                    is_marked(bits.get(each // BLOCK, b""), each) for each in event.void_alike
                )
                untils = cut.get(operator_id, {})
                until = max(
                    (untils[each] for each in event.void_alike if each in untils), default=None
                )
                if not is_whole and until is None:
                    continue
                owing += 1
                row = kept.get((operator_id, event.sequence))
                must = event.demands_removal and (
                    is_whole or (until is not None and event.at < until)
                )
                faults.require(
                    _is_of(row, owed) or not (must or row),
                    f"removal_duties, event {event.sequence}, operator {operator_id}",
                    "it is missing, or not that of the event",
                )
    count = evidence.execute(select(func.count()).select_from(DUTIES)).scalar_one()
    faults.require(count <= owing, "removal_duties", "there are duties of nobody who was served")
    return owing


def _changes(records: Connection, until: int) -> Iterator[list[WatchedEvent]]:
    """Yield the events up to ``until`` that made a revision void, page by page."""
    at = 0
    while at < until:
        page = read_changes(records, at, _EVENTS_AT_ONCE)
        at = page.read_to
        if events := [each for each in page.events if each.voided and each.sequence <= until]:
            yield events


def _is_of(row: Row[*tuple[Any, ...]] | None, owed: _Owed) -> bool:
    """Tell whether a duty is that of its event; by when it was due is the policy's of then."""
    return (
        row is not None
        and row.revision_sequence in owed.revisions
        and (row.record_id, row.severity, row.owed_since) == owed[1:]
        and row.deadline >= row.owed_since
        and (row.acknowledged_at is None) == (row.removed_at is None) == (not row.acknowledged_by)
    )
