"""How much an operator may say against findings: all limits of contests in one place.

They are counted over all findings of an operator, closed ones too: to have findings rectified
and made anew does not make room.
"""

from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, delete, func, literal_column, select

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.finding_tables import EVIDENCE, FINDINGS, STANDS, WAS_CONTESTED
from gateway.conformance.model import CONTESTED, RECTIFIED
from gateway.storage.bounded import bounded
from gateway.storage.sweeping import Sweeping
from gateway.storage.writes import wrote

MOST_EVIDENCE_BYTES: Final = 1 << 20
"""Most evidence of one contest."""
MOST_CONTESTED: Final = 100
"""Most findings one operator contests at a time."""
MOST_CONTESTS_A_DAY: Final = 200
"""Most findings one operator contests within 24 hours."""
MOST_EVIDENCE_BYTES_A_DAY: Final = 32 << 20
"""Most evidence one operator hands in within 24 hours."""
EVIDENCE_KEPT_SECONDS: Final = 7 * 86_400
"""How long evidence is kept after its finding was rectified before anybody decided."""
_DAY: Final = 86_400
_SWEEP_SECONDS: Final = 3_600
_F = FINDINGS.c
_E = EVIDENCE.c


class _Said(NamedTuple):
    """How much was said within the last day, and since when (seconds, UTC)."""

    amount: int
    since: int


def require_room(connection: Connection, operator_id: str, evidence_bytes: int, now: int) -> None:
    """Raise Refused unless an operator may contest one more finding at ``now`` (seconds, UTC):
    STATE_CONFLICT while too many are contested, RATE_EXCEEDED where it said too much within a
    day. The operator must be locked.
    """
    contested = select(func.count()).where(
        _F.operator_id == operator_id, STANDS, _F.state == CONTESTED
    )
    if connection.execute(contested).scalar_one() >= MOST_CONTESTED:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            f"{MOST_CONTESTED} findings are contested; wait until they are decided.",
        )
    contests = _contests(connection, operator_id, now - _DAY)
    if contests.amount >= MOST_CONTESTS_A_DAY:
        raise _too_much(f"{MOST_CONTESTS_A_DAY} findings", contests, now)
    evidence = _evidence(connection, operator_id, now - _DAY)
    if evidence_bytes and evidence.amount + evidence_bytes > MOST_EVIDENCE_BYTES_A_DAY:
        raise _too_much(f"{MOST_EVIDENCE_BYTES_A_DAY} bytes of evidence", evidence, now)


class EvidenceLife:
    """Deletes evidence that nobody will decide by. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sweeping = Sweeping(_SWEEP_SECONDS)

    def forget(self, now: int) -> None:
        """Delete, once an hour, evidence of findings that were rectified undecided so long ago
        that nobody asks; the contest and the digest stay. ``now`` in seconds, UTC."""
        if not self._sweeping.due(now):
            return
        before = now - EVIDENCE_KEPT_SECONDS
        over = select(_F.finding_id).where(
            _F.state == RECTIFIED,
            _F.decided_at == literal_column("0"),
            WAS_CONTESTED,
            _F.closed_at < before,
        )
        with bounded(self._engine) as connection:
            forgotten = delete(EVIDENCE).where(_E.at < before, _E.finding_id.in_(over))
            gone = connection.execute(forgotten.returning(_E.finding_id)).all()
            wrote(connection, EVIDENCE, gone)


def _contests(connection: Connection, operator_id: str, after: int) -> _Said:
    query = select(func.count(), func.min(_F.contested_at)).where(
        _F.operator_id == operator_id, WAS_CONTESTED, _F.contested_at > after
    )
    amount, since = connection.execute(query).one()
    return _Said(amount, since or after)


def _evidence(connection: Connection, operator_id: str, after: int) -> _Said:
    query = select(func.sum(_E.bytes), func.min(_E.at)).where(
        _E.operator_id == operator_id, _E.at > after
    )
    amount, since = connection.execute(query).one()
    return _Said(int(amount or 0), since or after)


def _too_much(what: str, said: _Said, now: int) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
        f"An operator contests with {what} a day at most; wait.",
        retry_after=max(1, said.since + _DAY - now),
    )
