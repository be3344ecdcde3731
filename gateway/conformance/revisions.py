"""Revisions read from the store of records, as far as copies of them are compared."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, select

from creditgate.reconcile.elements import element_of
from creditgate.transparency.facts import Copy
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.conformance.blocks import Facts
from gateway.disclose.frame import unframe
from gateway.disclose.rows import PUBLISHED
from gateway.disclose.tables import EVENTS, REVISIONS
from gateway.storage.paging import pages
from gateway.transparency.events import newest_event

_FIXING: Final = (PUBLISHED, DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED)


class Ending(NamedTuple):
    """What ended a revision's disclosure: ``kind`` is a DisclosureEventKind, ``at`` in seconds
    UTC."""

    event_sequence: int
    kind: int
    at: int


class Revision(NamedTuple):
    """A revision: ``copy`` as it is disclosed, ``severity`` a Severity; ``ending`` None while
    it is disclosed."""

    sequence: int
    copy: Copy
    severity: int
    ending: Ending | None


class EventFacts(NamedTuple):
    """What events up to ``position`` did: revisions they fixed, in order, and revisions they
    ended."""

    position: int
    fixed: list[Facts]
    ended: list[int]


def read_events(connection: Connection, after: int, limit: int) -> EventFacts:
    """Return what the next ``limit`` events after a position did."""
    until = min(newest_event(connection), after + limit)
    if until <= after:
        return EventFacts(after, [], [])
    within = {"after": after, "until": until}
    fixed = [_facts(row) for row in connection.execute(_FACTS_WITHIN, within)]
    return EventFacts(until, fixed, read_endings(connection, after, until))


def read_endings(connection: Connection, after: int, until: int) -> list[int]:
    """Return the revisions that events after ``after`` up to ``until`` ended."""
    within = {"after": after, "until": until}
    return list(connection.execute(_ENDINGS, within).scalars())


def facts_of(connection: Connection, sequences: Iterable[int]) -> list[Facts]:
    """Return the facts of some revisions, by their sequences."""
    return [
        _facts(row)
        for some in pages(sequences)
        for row in connection.execute(_FACTS_OF, {"some": some})
    ]


def record_ids_of(connection: Connection, sequences: Iterable[int]) -> dict[int, str]:
    """Return the records that some revisions are of."""
    return {
        sequence: record_id
        for some in pages(sequences)
        for sequence, record_id in connection.execute(_RECORD_IDS, {"some": some})
    }


def revisions_of(connection: Connection, sequences: Iterable[int]) -> Iterator[Revision]:
    """Yield some revisions, by their sequences."""
    for some in pages(sequences):
        for row in connection.execute(_OF_SEQUENCES, {"some": some}):
            yield _revision(row)


def revisions_of_records(connection: Connection, record_ids: Collection[str]) -> Iterator[Revision]:
    """Yield all revisions of some records, by record and age."""
    for some in pages(record_ids):
        for row in connection.execute(_OF_RECORDS, {"some": some}):
            yield _revision(row)


def newest_alike(revisions: Iterable[Revision]) -> dict[Copy, Revision]:
    """Return of all revisions of some records, by age, the newest with each copy: what ends that
    one ends the copy."""
    return {each.copy: each for each in revisions}


def _facts(row: Row[*tuple[Any, ...]]) -> Facts:
    return Facts(row.sequence, row.disclosed_until, element_of(_copy(row)))


def _revision(row: Row[*tuple[Any, ...]]) -> Revision:
    ending = Ending(row.ended_by, row.ended_kind, row.ended_at) if row.ended_by else None
    return Revision(row.sequence, _copy(row), unframe(bytes(row.frame)).severity, ending)


def _copy(row: Row[*tuple[Any, ...]]) -> Copy:
    return Copy(row.record_id, bytes(row.digest), row.disclosed_from, row.disclosed_until)


_COPY: Final = (
    EVENTS.c.sequence,
    EVENTS.c.record_id,
    EVENTS.c.digest,
    EVENTS.c.disclosed_from,
    EVENTS.c.disclosed_until,
)
_ENDED_BY: Final = EVENTS.alias("ended_by")
_SOME: Final = bindparam("some", expanding=True)
_WITHIN: Final = (
    EVENTS.c.sequence > bindparam("after"),
    EVENTS.c.sequence <= bindparam("until"),
)
_FACTS: Final = select(*_COPY).where(EVENTS.c.kind.in_(_FIXING))
_FACTS_WITHIN: Final = _FACTS.where(*_WITHIN).order_by(EVENTS.c.sequence)
_FACTS_OF: Final = _FACTS.where(EVENTS.c.sequence.in_(_SOME))
_RECORD_IDS: Final = select(EVENTS.c.sequence, EVENTS.c.record_id).where(
    EVENTS.c.sequence.in_(_SOME)
)
_ENDINGS: Final = (
    select(REVISIONS.c.sequence)
    .join(
        REVISIONS,
        (REVISIONS.c.record_id == EVENTS.c.record_id) & (REVISIONS.c.ended_by == EVENTS.c.sequence),
    )
    .where(EVENTS.c.kind != PUBLISHED, *_WITHIN)
    .order_by(EVENTS.c.sequence)
)
_REVISIONS: Final = (
    select(
        *_COPY,
        REVISIONS.c.ended_by,
        REVISIONS.c.frame,
        _ENDED_BY.c.kind.label("ended_kind"),
        _ENDED_BY.c.at.label("ended_at"),
    )
    .join(EVENTS, EVENTS.c.sequence == REVISIONS.c.sequence)
    .outerjoin(_ENDED_BY, _ENDED_BY.c.sequence == REVISIONS.c.ended_by)
)
_OF_SEQUENCES: Final = _REVISIONS.where(REVISIONS.c.sequence.in_(_SOME))
_OF_RECORDS: Final = _REVISIONS.where(REVISIONS.c.record_id.in_(_SOME)).order_by(
    REVISIONS.c.record_id, REVISIONS.c.revision
)
