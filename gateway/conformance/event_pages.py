"""Pages of disclosure events for those who watch them, and what each makes void."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.disclose.frame import unframe
from gateway.disclose.rows import PUBLISHED
from gateway.disclose.tables import EVENTS, LINES, NO_END, REVISIONS
from gateway.storage.paging import pages

_SPAN: Final = 50_000
"""Most events that one page of changes looks through."""


class Keepers(Protocol):
    """Who may keep copies: what is needed of `gateway.conformance.holdings.Holdings`."""

    def keepers(
        self, sequences: Collection[int], operator_id: str = ""
    ) -> Mapping[int, Mapping[str, int]]:
        """Return the operators that were served each revision, or of these one alone, and until
        when each may keep a copy (seconds, UTC): `gateway.disclose.tables.NO_END` where it was
        served whole. Calls block."""
        ...


class WatchedEvent(NamedTuple):
    """A disclosure event as it is told, times in seconds (UTC).

    ``disclosed_until`` is `gateway.disclose.tables.NO_END`
    where there is none. ``voided`` is the revision, by its sequence, whose copies are void since,
    and ``severity`` its Severity; ``void_alike`` are all revisions with these copies, that one too.
    ``restored`` are former ones whose copies are right again since. ``earlier`` are all revisions of
    the record before the event. A publication makes nothing void, nor does a correction that leaves
    content and period as they were: 0, SEVERITY_UNSPECIFIED and (). ``void_until`` is when the period
    of these copies ends.
    """

    sequence: int
    kind: DisclosureEventKind.ValueType
    at: int
    record_id: str
    revision: int
    subject: str
    item: str
    region: str
    digest: bytes
    disclosed_from: int
    disclosed_until: int
    severity: int
    voided: int
    earlier: tuple[int, ...]
    void_alike: tuple[int, ...] = ()
    restored: tuple[int, ...] = ()
    void_until: int = NO_END

    @property
    def demands_removal(self) -> bool:
        """Whether copies have to go for it: those whose period was over before had to go then."""
        return self.voided > 0 and self.at < self.void_until


class EventPage(NamedTuple):
    """Events in order; all up to ``read_to`` were looked at."""

    events: Sequence[WatchedEvent]
    read_to: int


_CopyFacts = tuple[bytes, int, int]
"""Digest of the content, and the period, of the copies of a revision."""


class _Revision(NamedTuple):
    sequence: int
    ended_by: int
    frame: bytes

    @property
    def copy(self) -> _CopyFacts:
        """What a copy of it is compared by."""
        record = unframe(self.frame)
        until = record.disclosed_until.seconds if record.HasField("disclosed_until") else NO_END
        return record.content_digest, record.disclosed_from.seconds, until


def kept_of(
    alike: Collection[int], keepers: Mapping[int, Mapping[str, int]]
) -> dict[str, tuple[int, int]]:
    """Return until when each operator may keep a copy of revisions ``alike`` (seconds, UTC), and
    the revision by which it may so long; ``keepers`` as of `Keepers`."""
    found: dict[str, tuple[int, int]] = {}
    for sequence in alike:
        for operator_id, until in keepers.get(sequence, {}).items():
            found[operator_id] = max((until, sequence), found.get(operator_id, (0, 0)))
    return found


def head(connection: Connection) -> int:
    """Return the position of the newest event, 0 before the first."""
    return connection.execute(_HEAD).scalar() or 0


def head_at(connection: Connection, at: int) -> int:
    """Return the position of the last event by ``at`` (seconds, UTC), 0 before the first."""
    return connection.execute(_HEAD_AT, {"by": at}).scalar() or 0


def read_events(connection: Connection, after: int, limit: int) -> EventPage:
    """Return the next ``limit`` events after a position."""
    return _page(connection, _EVENTS, after, head(connection), limit)


def read_changes(connection: Connection, after: int, limit: int) -> EventPage:
    """Return the next events after a position that are no publications: ``limit`` at most,
    of a span of the log that is read in some milliseconds."""
    until = min(head(connection), after + _SPAN)
    return _page(connection, _CHANGES, after, until, limit)


def _page(
    connection: Connection, query: Select[*tuple[Any, ...]], after: int, until: int, limit: int
) -> EventPage:
    if until <= after:
        return EventPage((), after)
    # Up to the head as it was before: what is committed meanwhile is the next page's.
    within = query.where(EVENTS.c.sequence > after, EVENTS.c.sequence <= until)
    rows = connection.execute(within.order_by(EVENTS.c.sequence).limit(limit)).all()
    revisions = _revisions(connection, {row.record_id for row in rows if row.kind != PUBLISHED})
    events = [_event(row, revisions.get(row.record_id, ())) for row in rows]
    return EventPage(events, events[-1].sequence if len(events) == limit else until)


def _event(row: Row[*tuple[Any, ...]], revisions: Sequence[_Revision]) -> WatchedEvent:
    before = [each for each in revisions if each.sequence < row.sequence]
    ended = next((each for each in before if each.ended_by == row.sequence), None)
    right = None
    if row.kind in _FIXING:
        right = bytes(row.digest), row.disclosed_from, row.disclosed_until
    voided = None if ended is None or ended.copy == right else ended
    return WatchedEvent(
        sequence=row.sequence,
        kind=row.kind,
        at=row.at,
        record_id=row.record_id,
        revision=row.revision,
        subject=row.subject,
        item=row.item,
        region=row.region,
        digest=bytes(row.digest),
        disclosed_from=row.disclosed_from,
        disclosed_until=row.disclosed_until if row.kind in _FIXING else row.at,
        severity=_NO_SEVERITY if voided is None else unframe(voided.frame).severity,
        voided=0 if voided is None else voided.sequence,
        earlier=tuple(each.sequence for each in before),
        void_alike=()
        if voided is None
        else tuple(each.sequence for each in before if each.copy == voided.copy),
        restored=tuple(
            each.sequence for each in before if each is not ended and each.copy == right
        ),
        void_until=NO_END if voided is None else voided.copy[2],
    )


def _revisions(
    connection: Connection, record_ids: Collection[str]
) -> Mapping[str, Sequence[_Revision]]:
    found: dict[str, list[_Revision]] = defaultdict(list)
    for some in pages(record_ids):
        for row in connection.execute(_OF_RECORDS.where(REVISIONS.c.record_id.in_(some))):
            found[row.record_id].append(_Revision(row.sequence, row.ended_by, bytes(row.frame)))
    return found


_NO_SEVERITY: Final = Severity.SEVERITY_UNSPECIFIED
_FIXING: Final = frozenset({PUBLISHED, DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED})
_HEAD: Final = select(func.max(EVENTS.c.sequence))
_HEAD_AT: Final = (
    select(EVENTS.c.sequence)
    .where(EVENTS.c.at <= bindparam("by"))
    .order_by(EVENTS.c.sequence.desc())
    .limit(1)
)
_EVENTS: Final = (
    select(
        EVENTS.c.sequence,
        EVENTS.c.kind,
        EVENTS.c.at,
        EVENTS.c.record_id,
        EVENTS.c.revision,
        EVENTS.c.subject,
        EVENTS.c.digest,
        EVENTS.c.disclosed_from,
        EVENTS.c.disclosed_until,
        LINES.c.item,
        LINES.c.region,
    )
    .join(
        REVISIONS,
        (REVISIONS.c.record_id == EVENTS.c.record_id) & (REVISIONS.c.revision == EVENTS.c.revision),
    )
    .join(LINES, LINES.c.line_no == REVISIONS.c.line_no)
)
_CHANGES: Final = _EVENTS.where(EVENTS.c.kind != PUBLISHED)
_OF_RECORDS: Final = select(
    REVISIONS.c.record_id,
    REVISIONS.c.sequence,
    REVISIONS.c.ended_by,
    REVISIONS.c.frame,
)
