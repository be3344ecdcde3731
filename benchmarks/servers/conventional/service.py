"""The work of one call: check, look up, meter, commit."""

import time
import uuid
from collections.abc import Sequence
from typing import Any, Final

from fastapi import HTTPException
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from benchmarks.servers.conventional.schemas import AnswerOut, ReceiptOut, RecordOut
from benchmarks.servers.conventional.statements import (
    ANSWER,
    DISCLOSED,
    EARLIER,
    ENTRIES,
    LICENCE,
    QUOTA,
)

SECONDS_A_DAY: Final = 86_400


def subject_records(
    session: Session, client_id: str, subject: str, purpose: str, request_id: str
) -> AnswerOut:
    """Serve the records of ``subject`` and meter them, or raise HTTPException."""
    now = int(time.time())
    licence = session.execute(LICENCE, {"client_id": client_id, "now": now}).first()
    if licence is None:
        raise HTTPException(403, "The client holds no licence and scope in force.")
    if purpose not in licence.purposes:
        raise HTTPException(403, "The purpose is not allowed.")
    records = session.execute(
        DISCLOSED,
        {"subject": subject, "now": now, "items": licence.items, "regions": licence.regions},
    ).all()
    answer: dict[str, Any] = {
        "operator_id": licence.operator_id,
        "client_id": client_id,
        "request_id": request_id,
        "subject": subject,
        "licence": licence.number,
        "purpose": purpose,
        "decision_id": uuid.uuid4().hex,
        "served_at": now,
        "fee": sum(record.unit_price for record in records),
    }
    earlier = _metered(session, answer, records, licence.daily_record_quota)
    return AnswerOut(
        records=[RecordOut.model_validate(record) for record in records],
        receipt=ReceiptOut(
            decision_id=earlier or answer["decision_id"],
            serve_time=now,
            usable_until=min((record.disclosed_until for record in records), default=0),
            charged_entries=0 if earlier else len(records),
            charged_micro_yuan=0 if earlier else answer["fee"],
            replayed=earlier is not None,
        ),
    )


def _metered(
    session: Session, answer: dict[str, Any], records: Sequence[Any], quota: int
) -> str | None:
    """Commit the use; return the earlier decision when this is a retry."""
    try:
        number = session.execute(ANSWER, answer).scalar_one()
    except IntegrityError:
        session.rollback()
        return _earlier(session, answer)
    if records:
        session.execute(
            ENTRIES,
            [
                {"answer_id": number, "record_id": record.id, "unit_price": record.unit_price}
                for record in records
            ],
        )
    used = session.execute(
        QUOTA,
        {
            "operator_id": answer["operator_id"],
            "day": answer["served_at"] // SECONDS_A_DAY,
            "used": len(records),
        },
    ).scalar_one()
    if used > quota:
        session.rollback()
        raise HTTPException(429, "The daily quota is used up.")
    session.commit()
    return None


def _earlier(session: Session, answer: dict[str, Any]) -> str:
    key = {"operator_id": answer["operator_id"], "request_id": answer["request_id"]}
    earlier = session.execute(EARLIER, key).one()
    if earlier.subject != answer["subject"]:
        raise HTTPException(409, "The request id was used before.")
    return earlier.decision_id
