"""Refused calls that named a consent, as the refusals log has them (G7)."""

from typing import NamedTuple

from sqlalchemy import Engine, select, text

from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.consents.access import Period
from gateway.meter.tables import REFUSALS
from gateway.storage.engines import reading


class RefusedCall(NamedTuple):
    """One refused call; ``at`` in seconds UTC, ``method`` as "Service/Method"."""

    sequence: int
    decision_id: str
    at: int
    client_id: str
    method: str
    reason: RefusalReason.ValueType
    purpose: Purpose.ValueType
    request_id: str


class RefusedCalls:
    """Reads the log in ``engine``, that of records and usage. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def naming(
        self, consent: str, *, period: Period, after: int, limit: int
    ) -> tuple[RefusedCall, ...]:
        """Return up to ``limit`` refused calls that named a consent, whoever made them, with
        a sequence greater than ``after``, oldest first.

        ``consent`` is a resource name.
        """
        row = REFUSALS.c
        query = (
            select(*(row[name] for name in RefusedCall._fields))
            # Spelled out, so that the partial index serves.
            .where(row.consent == consent, text("refusals.consent <> ''"), row.sequence > after)
            .order_by(row.sequence)
            .limit(limit)
        )
        if period.from_ is not None:
            query = query.where(row.at >= period.from_)
        if period.until is not None:
            query = query.where(row.at < period.until)
        with reading(self._engine) as connection:
            return tuple(RefusedCall(*each) for each in connection.execute(query))
