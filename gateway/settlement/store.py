"""Closed months in SQL, for SQLite and PostgreSQL. Calls block."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, func, insert, select, text, tuple_

from creditgate.v1.settlement_service_pb2 import Closing, Settlement
from creditgate.v1.usage_service_pb2 import CreditNote, Statement
from gateway.settlement.documents import document_bytes, message_of
from gateway.settlement.journal import Entry, closing_entries
from gateway.settlement.ledger_month import LedgerPosition
from gateway.settlement.tables import CLOSINGS, CREDIT_NOTES, ENTRIES, MONTHS, POSTINGS
from gateway.storage.engines import reading
from gateway.storage.writes import wrote

_LOCK: Final = 0x63727374
_CLOSING: Final = CLOSINGS.c
_NOTE: Final = CREDIT_NOTES.c


class NotesChanged(Exception):
    """A credit note was kept, or a month closed, after something that rests on them was worked out."""


class MonthSettled(Exception):
    """The month was settled without the operator, which was not known then."""


class ClosedMeanwhile(Exception):
    """Another operator's month was closed after a settlement was worked out."""


class RatedAnew(Exception):
    """Something was put into force after what a statement was worked out by was read."""


class ClosedMonth(NamedTuple):
    """An operator's month as it was closed: up to ``position`` of its ledger, by authority at
    ``authority_sequence``, at ``closed_at`` (seconds UTC); ``document`` is its statement.

    ``known_notes`` are the ids of the credit notes that there were: None where closing did not yet
    put right what they gave back.
    """

    operator_id: str
    month: str
    position: LedgerPosition
    authority_sequence: int
    closed_at: int
    document: bytes
    known_notes: frozenset[str] | None

    @property
    def statement(self) -> Statement:
        """The statement."""
        return message_of(self.document, Statement)

    def closing(self, statement: Statement) -> Closing:
        """Return what tells of the closing, given its statement."""
        return Closing(
            operator_id=self.operator_id,
            month=self.month,
            total_micro_yuan=statement.total_micro_yuan,
            due_micro_yuan=statement.due_micro_yuan,
            usage_size=self.position.size,
            close_time=statement.close_time,
            statement_sha256=sha256(self.document).digest(),
        )


class SettledMonth(NamedTuple):
    """A month all of whose operators are closed; ``document`` is its settlement."""

    month: str
    closed_at: int
    closed_by: str
    request_id: str
    document: bytes

    @property
    def settlement(self) -> Settlement:
        """The settlement."""
        return message_of(self.document, Settlement)


class SqlClosings:
    """Keeps what was closed. Nothing of it ever changes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def closed(self, operator_id: str, month: str) -> ClosedMonth | None:
        """Return an operator's closed month; None while it is open."""
        with reading(self._engine) as connection:
            return _closed(connection, operator_id, month)

    def before(self, operator_id: str, month: str) -> tuple[ClosedMonth, ...]:
        """Return what was closed of an operator before ``month``, in order."""
        query = (
            select(CLOSINGS)
            .where(_CLOSING.operator_id == operator_id, _CLOSING.month < month)
            .order_by(_CLOSING.month)
        )
        with reading(self._engine) as connection:
            return tuple(map(_closed_month, connection.execute(query)))

    def statements(self, operator_id: str, since: str) -> list[Statement]:
        """Return an operator's closed statements from the month ``since`` on, in order."""
        query = (
            select(_CLOSING.document)
            .where(_CLOSING.operator_id == operator_id, _CLOSING.month >= since)
            .order_by(_CLOSING.month)
        )
        with reading(self._engine) as connection:
            documents = connection.execute(query).scalars().all()
        return [message_of(bytes(document), Statement) for document in documents]

    def from_month(self, operator_id: str, month: str) -> Sequence[tuple[str, int]]:
        """Return the closings of an operator's ``month`` and of those after it, in order: each
        month, and up to which sequence of the ledger it was closed; none while ``month`` is
        open."""
        query = (
            select(_CLOSING.month, _CLOSING.ledger_sequence)
            .where(_CLOSING.operator_id == operator_id, _CLOSING.month >= month)
            .order_by(_CLOSING.month)
        )
        with reading(self._engine) as connection:
            found = [(row.month, row.ledger_sequence) for row in connection.execute(query)]
        return found if found and found[0][0] == month else []

    def notes(self, operator_id: str, month: str) -> tuple[CreditNote, ...]:
        """Return the credit notes booked in an operator's month, in order."""
        with reading(self._engine) as connection:
            return _notes(connection, operator_id, month)

    def close(
        self,
        statement: Statement,
        position: LedgerPosition,
        closed_at: int,
        rates: Callable[[], bool],
        known_notes: frozenset[str],
    ) -> ClosedMonth:
        """Close an operator's month and book it, and return it; or what another closed meanwhile.

        ``rates`` tells whether the statement is still what it is rated by; nothing is put into
        force while it is asked. ``known_notes`` are those of the operator that it rests on. Raises
        RatedAnew where it is not, NotesChanged where there are others, and MonthSettled.
        """
        document = document_bytes(statement)
        closing = ClosedMonth(
            statement.operator_id,
            statement.month,
            position,
            statement.authority_sequence,
            closed_at,
            document,
            known_notes,
        )
        with self._engine.begin() as connection:
            take_turn(connection)
            earlier = _closed(connection, statement.operator_id, statement.month)
            if earlier is not None:
                return earlier
            if _settled(connection, statement.month) is not None:
                raise MonthSettled
            if note_ids(connection, statement.operator_id) != known_notes:
                raise NotesChanged
            if not rates():
                raise RatedAnew
            connection.execute(
                insert(CLOSINGS).values(
                    operator_id=statement.operator_id,
                    month=statement.month,
                    usage_size=position.size,
                    ledger_sequence=position.sequence,
                    authority_sequence=statement.authority_sequence,
                    closed_at=closed_at,
                    total=statement.total_micro_yuan,
                    due=statement.due_micro_yuan,
                    digest=sha256(document).digest(),
                    document=document,
                    known_notes=_ids_text(known_notes),
                )
            )
            wrote(connection, CLOSINGS, [(statement.operator_id, statement.month)])
            for entry in closing_entries(statement):
                book(connection, entry, closed_at)
        return closing

    def closings(
        self, operator_id: str, month: str, after: tuple[str, str], limit: int
    ) -> Sequence[Closing]:
        """Return closings after (month, operator), in this order; "" narrows nothing."""
        query = (
            select(CLOSINGS)
            .where(tuple_(_CLOSING.month, _CLOSING.operator_id) > tuple_(*after))
            .order_by(_CLOSING.month, _CLOSING.operator_id)
            .limit(limit)
        )
        if operator_id:
            query = query.where(_CLOSING.operator_id == operator_id)
        if month:
            query = query.where(_CLOSING.month == month)
        with reading(self._engine) as connection:
            return [_closing(row) for row in connection.execute(query)]

    def of_month(self, month: str) -> Sequence[ClosedMonth]:
        """Return every closing of a month, in order of operator."""
        query = select(CLOSINGS).where(_CLOSING.month == month).order_by(_CLOSING.operator_id)
        with reading(self._engine) as connection:
            return tuple(map(_closed_month, connection.execute(query)))

    def settled(self, month: str) -> SettledMonth | None:
        """Return a month's settlement; None while some operator of it is open."""
        with reading(self._engine) as connection:
            return _settled(connection, month)

    def last_settled(self) -> str:
        """Return the newest month that is settled, "" before the first."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.max(MONTHS.c.month))).scalar_one() or ""

    def requested(self, closed_by: str, request_id: str) -> str:
        """Return the month an earlier request of this id closed, "" where there was none."""
        query = select(MONTHS.c.month).where(
            MONTHS.c.closed_by == closed_by, MONTHS.c.request_id == request_id
        )
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none() or ""

    def settle(
        self, settled: SettledMonth, entry: Entry, operators: Collection[str]
    ) -> SettledMonth:
        """Keep a month's settlement, book its entry and return it, or what another process kept
        meanwhile.

        ``operators`` are those it settles. Raises ClosedMeanwhile where the month is closed for
        others by now.
        """
        closed = select(_CLOSING.operator_id).where(_CLOSING.month == settled.month)
        with self._engine.begin() as connection:
            take_turn(connection)
            earlier = _settled(connection, settled.month)
            if earlier is None:
                if set(connection.execute(closed).scalars()) != set(operators):
                    raise ClosedMeanwhile
                connection.execute(insert(MONTHS).values(**settled._asdict()))
                wrote(connection, MONTHS, [(settled.month,)])
                book(connection, entry, settled.closed_at)
        return earlier or settled


def take_turn(connection: Connection) -> None:
    """Wait until no other transaction closes or books; SQLite's writers wait anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def book(connection: Connection, entry: Entry, at: int) -> None:
    """Write an entry of the journal, in a transaction that has the turn."""
    if not entry.postings:
        return
    number = (connection.execute(select(func.max(ENTRIES.c.entry))).scalar_one() or 0) + 1
    connection.execute(
        insert(ENTRIES).values(
            entry=number,
            kind=entry.kind,
            operator_id=entry.operator_id,
            month=entry.month,
            about=entry.about,
            booked_at=at,
        )
    )
    connection.execute(
        insert(POSTINGS), [{"entry": number, **posting._asdict()} for posting in entry.postings]
    )
    wrote(connection, ENTRIES, [(number,)])
    wrote(connection, POSTINGS, [(number, posting.account) for posting in entry.postings])


def newest_closed(connection: Connection) -> str:
    """Return the newest month that any operator's was closed for, "" before the first."""
    return connection.execute(select(func.max(_CLOSING.month))).scalar_one() or ""


def last_closed(connection: Connection, operator_id: str) -> str:
    """Return the newest closed month of an operator, "" before the first."""
    query = select(func.max(_CLOSING.month)).where(_CLOSING.operator_id == operator_id)
    return connection.execute(query).scalar_one() or ""


def note_ids(connection: Connection, operator_id: str) -> frozenset[str]:
    """Return the ids of all credit notes of an operator, those of nothing too."""
    query = select(_NOTE.credit_note_id).where(_NOTE.operator_id == operator_id)
    return frozenset(connection.execute(query).scalars())


def _closed(connection: Connection, operator_id: str, month: str) -> ClosedMonth | None:
    query = select(CLOSINGS).where(_CLOSING.operator_id == operator_id, _CLOSING.month == month)
    row = connection.execute(query).one_or_none()
    return None if row is None else _closed_month(row)


def _settled(connection: Connection, month: str) -> SettledMonth | None:
    row = connection.execute(select(MONTHS).where(MONTHS.c.month == month)).one_or_none()
    if row is None:
        return None
    return SettledMonth(
        row.month, row.closed_at, row.closed_by, row.request_id, bytes(row.document)
    )


def _notes(connection: Connection, operator_id: str, month: str) -> tuple[CreditNote, ...]:
    query = (
        select(_NOTE.document)
        .where(_NOTE.operator_id == operator_id, _NOTE.month == month, _NOTE.amount > 0)
        .order_by(_NOTE.created_at, _NOTE.credit_note_id)
    )
    return tuple(
        message_of(bytes(document), CreditNote) for document in connection.execute(query).scalars()
    )


def _closed_month(row: Row[*tuple[object, ...]]) -> ClosedMonth:
    return ClosedMonth(
        row.operator_id,
        row.month,
        LedgerPosition(row.usage_size, row.ledger_sequence),
        row.authority_sequence,
        row.closed_at,
        bytes(row.document),
        None if row.known_notes is None else _ids_in(row.known_notes),
    )


def _ids_in(text: str) -> frozenset[str]:
    """Return the ids in a text as `_ids_text` makes it; none in what it did not make, by which the
    statement comes out otherwise."""
    try:
        found = json.loads(text)
    except ValueError:
        return frozenset()
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()


def _ids_text(ids: Iterable[str]) -> str:
    return json.dumps(sorted(ids), separators=(",", ":"))


def _closing(row: Row[*tuple[object, ...]]) -> Closing:
    closing = Closing(
        operator_id=row.operator_id,
        month=row.month,
        total_micro_yuan=row.total,
        due_micro_yuan=row.due,
        usage_size=row.usage_size,
        statement_sha256=row.digest,
    )
    closing.close_time.seconds = row.closed_at
    return closing
