"""Credit notes in SQL, for SQLite and PostgreSQL. Calls block."""

import hmac
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import Connection, Engine, insert, select

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_service_pb2 import CreditNote
from gateway.settle.month import month_named, month_of, shifted
from gateway.settlement.documents import document_bytes, message_of
from gateway.settlement.journal import credit_entry
from gateway.settlement.kept_notes import KeptNote
from gateway.settlement.proven import proven_in, proven_text, told_in
from gateway.settlement.right_lines import Overcharge
from gateway.settlement.statement_credit import WrongStatement
from gateway.settlement.store import NotesChanged, book, last_closed, note_ids, take_turn
from gateway.settlement.tables import CREDIT_NOTES, CREDITED
from gateway.storage.engines import reading, snapshot
from gateway.storage.writes import wrote

_NOTE = CREDIT_NOTES.c


class KnownNotes(NamedTuple):
    """All notes of an operator, in the order they were created, and the newest month that was closed
    for it by then, "" before the first."""

    notes: Sequence[KeptNote]
    closed: str

    @property
    def ids(self) -> frozenset[str]:
        """The notes' ids."""
        return frozenset(each.note.credit_note_id for each in self.notes)


class SqlCreditNotes:
    """Keeps credit notes and the evidence they rest on, and books them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def made(self, note_id: str, digest: bytes) -> CreditNote | None:
        """Return the note an earlier request of this id booked, None where there was none.

        Raises Refused REQUEST_ID_REUSED where that request had another ``digest``.
        """
        with reading(self._engine) as connection:
            return _made(connection, note_id, digest)

    def of_operator(self, operator_id: str) -> KnownNotes:
        """Return what is known of an operator's notes."""
        query = (
            select(_NOTE.document, _NOTE.proven)
            .where(_NOTE.operator_id == operator_id)
            .order_by(_NOTE.created_at, _NOTE.credit_note_id)
        )
        with snapshot(self._engine) as connection:
            notes = [
                KeptNote(
                    message_of(bytes(row.document), CreditNote),
                    None if row.proven is None else proven_in(row.proven),
                    {} if row.proven is None else told_in(row.proven),
                )
                for row in connection.execute(query)
            ]
            return KnownNotes(notes, last_closed(connection, operator_id))

    def evidence(self, note_id: str) -> bytes:
        """Return the evidence that a note rests on, which may be some MiB."""
        query = select(_NOTE.evidence).where(_NOTE.credit_note_id == note_id)
        with reading(self._engine) as connection:
            return bytes(connection.execute(query).scalar_one())

    def add(
        self,
        note: CreditNote,
        digest: bytes,
        evidence: bytes,
        now: int,
        known: KnownNotes,
        proven: Overcharge | WrongStatement,
        told: Mapping[str, Overcharge] = MappingProxyType({}),
    ) -> CreditNote:
        """Book a note in the operator's open month, and return it; or what an earlier request
        of its id booked. One of nothing is kept and in no statement.

        It rests on what was ``known`` of the operator's notes; ``proven`` is what its evidence
        proved, and ``told`` as `KeptNote` has it. Raises NotesChanged where there are others by now, or a month was closed, which puts
        right what they gave back; and as `made`.
        """
        with self._engine.begin() as connection:
            take_turn(connection)
            earlier = _made(connection, note.credit_note_id, digest)
            if earlier is not None:
                return earlier
            if note_ids(connection, note.operator_id) != known.ids:
                raise NotesChanged
            if last_closed(connection, note.operator_id) != known.closed:
                raise NotesChanged
            note.month = _open_month(connection, note.operator_id, now)
            connection.execute(
                insert(CREDIT_NOTES).values(
                    credit_note_id=note.credit_note_id,
                    operator_id=note.operator_id,
                    month=note.month,
                    amount=note.amount_micro_yuan,
                    created_at=now,
                    created_by=note.created_by,
                    request_digest=digest,
                    evidence=evidence,
                    document=document_bytes(note),
                    proven=proven_text(proven, told),
                )
            )
            wrote(connection, CREDIT_NOTES, [(note.credit_note_id,)])
            _keep_places(connection, note)
            book(connection, credit_entry(note), now)
        return note


def _made(connection: Connection, note_id: str, digest: bytes) -> CreditNote | None:
    row = connection.execute(
        select(CREDIT_NOTES).where(_NOTE.credit_note_id == note_id)
    ).one_or_none()
    if row is None:
        return None
    if not hmac.compare_digest(bytes(row.request_digest), digest):
        raise Refused(
            RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
            "request_id was used before for another credit note; use a fresh one.",
        )
    return message_of(bytes(row.document), CreditNote)


def _keep_places(connection: Connection, note: CreditNote) -> None:
    """Keep which note was the first about each use."""
    places = {use.usage_index for use in note.uses if not note.statement_month}
    known = select(CREDITED.c.usage_index).where(
        CREDITED.c.operator_id == note.operator_id, CREDITED.c.usage_index.in_(places)
    )
    places -= set(connection.execute(known).scalars())
    rows = [
        {
            "operator_id": note.operator_id,
            "usage_index": place,
            "credit_note_id": note.credit_note_id,
        }
        for place in sorted(places)
    ]
    if rows:
        connection.execute(insert(CREDITED), rows)
        wrote(connection, CREDITED, [(note.operator_id, place) for place in sorted(places)])


def _open_month(connection: Connection, operator_id: str, now: int) -> str:
    """Return the present month, or the next that is open, of a clock set back."""
    last = month_named(last_closed(connection, operator_id))
    present = month_of(now).name
    return present if last is None else max(present, shifted(last, 1).name)
