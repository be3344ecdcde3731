"""Disclosure events as what follows the disclosure reads them: in order, none left out.

Event sequences are dense and in order of commit (`gateway.disclose.store`), and nothing of
what is read here ever changes, so reading takes no lock and needs no snapshot.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, func, select

from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.disclose.frame import unframe
from gateway.disclose.tables import EVENTS, REVISIONS
from gateway.storage.paging import pages

_CORRECTED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
_NEWEST: Final = select(func.max(EVENTS.c.sequence))


class DisclosedEvent(NamedTuple):
    """One event, and the revision that it fixed or ended.

    ``revision_sequence`` names that revision, ``voided_sequence`` the one that is void since:
    of a correction the former, of an end the revision itself, 0 of a publication. Times are
    seconds UTC, ``disclosed_until`` is `creditgate.transparency.facts.NO_END` where there is
    none; ``content`` are the bytes disclosed, ``note`` is why, as the publisher told.
    """

    sequence: int
    kind: DisclosureEventKind.ValueType
    at: int
    revision_sequence: int
    voided_sequence: int
    record_id: str
    revision: int
    subject: str
    item: str
    severity: Severity.ValueType
    content_digest: bytes
    disclosed_from: int
    disclosed_until: int
    content: bytes
    source: str
    region: str
    published_by: str
    note: str


def newest_event(connection: Connection) -> int:
    """Return the sequence of the newest event, 0 before the first."""
    return connection.execute(_NEWEST).scalar() or 0


def read_events(connection: Connection, after: int, limit: int) -> list[DisclosedEvent]:
    """Return up to ``limit`` events with a sequence greater than ``after``, in order.

    ``connection`` is one of the store of records.
    """
    rows = connection.execute(
        select(EVENTS).where(EVENTS.c.sequence > after).order_by(EVENTS.c.sequence).limit(limit)
    ).all()
    if not rows:
        return []
    fixed = _fixed(connection, rows[0].sequence, rows[-1].sequence)
    named = _named(
        connection,
        {row.record_id for row in rows if row.kind == _CORRECTED or row.sequence not in fixed},
    )
    return [_event(row, fixed, named) for row in rows]


_Fixed = dict[int, DisclosedRecord]
_Named = dict[tuple[str, int], tuple[int, bytes]]


def _fixed(connection: Connection, first: int, last: int) -> _Fixed:
    """Return the revisions that events fixed, by sequence."""
    found = connection.execute(
        select(REVISIONS.c.sequence, REVISIONS.c.frame).where(
            REVISIONS.c.sequence.between(first, last)
        )
    )
    return {sequence: unframe(stored) for sequence, stored in found}


def _named(connection: Connection, record_ids: Iterable[str]) -> _Named:
    """Return sequence and frame of every revision of some records."""
    found: _Named = {}
    for some in pages(record_ids):
        rows = connection.execute(
            select(
                REVISIONS.c.record_id,
                REVISIONS.c.revision,
                REVISIONS.c.sequence,
                REVISIONS.c.frame,
            ).where(REVISIONS.c.record_id.in_(some))
        )
        for record_id, revision, sequence, stored in rows:
            found[record_id, revision] = (sequence, stored)
    return found


def _event(row: Row[*tuple[Any, ...]], fixed: _Fixed, named: _Named) -> DisclosedEvent:
    record = fixed.get(row.sequence)
    if record is None:
        sequence, stored = named[row.record_id, row.revision]
        record = unframe(stored)
        voided = sequence
    else:
        sequence = row.sequence
        voided = named[row.record_id, row.revision - 1][0] if row.kind == _CORRECTED else 0
    return DisclosedEvent(
        row.sequence,
        row.kind,
        row.at,
        sequence,
        voided,
        row.record_id,
        row.revision,
        row.subject,
        record.item,
        record.severity,
        bytes(row.digest),
        row.disclosed_from,
        row.disclosed_until,
        record.content,
        record.source,
        record.region,
        row.published_by,
        row.note,
    )
