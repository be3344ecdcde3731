"""The recognitions of one store. Calls block."""

import hmac
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, Row, insert, select
from sqlalchemy.exc import IntegrityError

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.recognition.tables import RECOGNITIONS
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.writes import wrote

_C: Final = RECOGNITIONS.c


class MadeRecognition(NamedTuple):
    """A recognition as it was made; ``statement`` is what was signed."""

    recognition_id: str
    operator_id: str
    request_id: str
    request_digest: bytes
    client_id: str
    region: str
    document_digest: str
    subject: str
    transfer_id: str
    recognised_at: int
    expires_at: int
    statement: str


class SqlRecognitions:
    """Keeps recognitions: evidence of what was accepted, on whose word."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def requested(self, operator_id: str, request_id: str, digest: bytes) -> MadeRecognition | None:
        """Return what an earlier request of this id made; None where there was none.

        Raises Refused REQUEST_ID_REUSED where it asked for something else (AIP-155).
        """
        query = select(RECOGNITIONS).where(
            _C.operator_id == operator_id, _C.request_id == request_id
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if not hmac.compare_digest(bytes(row.request_digest), digest):
            raise Refused(
                RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
                "request_id was used before for another document; use a fresh one.",
            )
        return _made(row)

    def add(self, made: MadeRecognition) -> MadeRecognition:
        """Keep a recognition, and return it, or the one that a retry has made meanwhile.

        Raises as `requested`.
        """
        try:
            with bounded(self._engine) as connection:
                connection.execute(insert(RECOGNITIONS).values(**made._asdict()))
                wrote(connection, RECOGNITIONS, [(made.recognition_id,)])
        except IntegrityError:
            before = self.requested(made.operator_id, made.request_id, made.request_digest)
            if before is None:
                raise
            return before
        return made


def _made(row: Row[*tuple[Any, ...]]) -> MadeRecognition:
    made = MadeRecognition(*(getattr(row, name) for name in MadeRecognition._fields))
    return made._replace(request_digest=bytes(made.request_digest))
