"""Credit notes in SQL, for SQLite and PostgreSQL. Calls block."""

import hmac
from collections.abc import Callable, Collection

from sqlalchemy import Connection, Engine, insert, select

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_service_pb2 import CreditNote
from gateway.settle.month import month_named, month_of, shifted
from gateway.settlement.documents import document_bytes, message_of
from gateway.settlement.journal import credit_entry
from gateway.settlement.store import book, last_closed, take_turn
from gateway.settlement.tables import CREDIT_NOTES, CREDITED
from gateway.storage.writes import wrote


class SqlCreditNotes:
    """Keeps credit notes and the evidence they rest on, and books them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self,
        note_id: str,
        operator_id: str,
        digest: bytes,
        evidence: bytes,
        now: int,
        make: Callable[[str], CreditNote],
    ) -> CreditNote:
        """Book the note that ``make`` makes for the operator's open month, and return it; or
        what an earlier request of this id booked.

        Raises Refused REQUEST_ID_REUSED where that request had another ``digest``,
        STATE_CONFLICT where a use was credited before, and what ``make`` raises.
        """
        with self._engine.begin() as connection:
            take_turn(connection)
            row = connection.execute(
                select(CREDIT_NOTES).where(CREDIT_NOTES.c.credit_note_id == note_id)
            ).one_or_none()
            if row is not None:
                if not hmac.compare_digest(bytes(row.request_digest), digest):
                    raise Refused(
                        RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
                        "request_id was used before for another credit note; use a fresh one.",
                    )
                return message_of(bytes(row.document), CreditNote)
            note = make(_open_month(connection, operator_id, now))
            places = {use.usage_index for use in note.uses}
            _require_new(connection, operator_id, places)
            connection.execute(
                insert(CREDIT_NOTES).values(
                    credit_note_id=note_id,
                    operator_id=operator_id,
                    month=note.month,
                    amount=note.amount_micro_yuan,
                    created_at=now,
                    created_by=note.created_by,
                    request_digest=digest,
                    evidence=evidence,
                    document=document_bytes(note),
                )
            )
            connection.execute(
                insert(CREDITED),
                [
                    {"operator_id": operator_id, "usage_index": place, "credit_note_id": note_id}
                    for place in places
                ],
            )
            wrote(connection, CREDIT_NOTES, [(note_id,)])
            wrote(connection, CREDITED, [(operator_id, place) for place in places])
            book(connection, credit_entry(note), now)
        return note


def _open_month(connection: Connection, operator_id: str, now: int) -> str:
    """Return the present month, or the next that is open, of a clock set back."""
    last = month_named(last_closed(connection, operator_id))
    present = month_of(now).name
    return present if last is None else max(present, shifted(last, 1).name)


def _require_new(connection: Connection, operator_id: str, places: Collection[int]) -> None:
    found = connection.execute(
        select(CREDITED.c.credit_note_id).where(
            CREDITED.c.operator_id == operator_id, CREDITED.c.usage_index.in_(places)
        )
    ).first()
    if found is not None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The use was credited before; each is credited once.",
            metadata={"credit_note_id": found[0]},
        )
