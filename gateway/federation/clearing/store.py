"""The clearings of one store, and what is in dispute. Calls block; any thread.

A clearing, its disputes, the evidence on them and the alert are one transaction: whatever ends
the process, both sides have all of it or can agree on the same once more.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from creditgate.clearing_disputes import Dispute, dispute_id
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind
from gateway.alerts.raising import raise_alert
from gateway.federation.clearing.disputed import leave_out
from gateway.federation.clearing.evidence_store import Judge, Shown, keep
from gateway.federation.clearing.tables import CLAIMS, CLEARINGS, FAILURES
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import reading
from gateway.storage.writes import wrote

_C: Final = CLEARINGS.c
_HOUR_SECONDS: Final = 3_600

ClearingRow = Row[*tuple[Any, ...]]
"""A row of `tables.CLEARINGS` without its elements."""
_SHOWN: Final = tuple(column for column in CLEARINGS.c if column.name != "elements")


UNKNOWN_ENTRIES: Final = -1
"""Entries in the ledger of a clearing that was handed back: what it had when it was signed."""


class AgreedOtherwise(Exception):
    """The period, or a part of it, is cleared already, by another document."""


class Made(NamedTuple):
    """A clearing as it is kept; fields as the columns of `tables.CLEARINGS`."""

    region: str
    start: int
    until: int
    proposing: str
    document: str
    acceptance: str
    made_at: int
    agreed_at: int | None
    entries: int
    adjusted: int
    owed: int
    due: int
    disputes: int
    under_way: int
    ledger_entries: int
    elements: bytes


class Settled(NamedTuple):
    """What follows from a clearing of the region ``own`` besides what it says: disputes ``found``
    or found changed, those ``carried`` on with their kinds, evidence, and who judges by it.

    ``operator_id`` is what the other region is here, for the alert on disputes.
    """

    own: str
    found: Sequence[Dispute]
    carried: Mapping[bytes, ClearingDisputeKind.ValueType]
    evidence: Shown
    judge: Judge
    operator_id: str


class SqlClearings:
    """Clearings on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last(self, region: str) -> ClearingRow | None:
        """Return the last clearing agreed with a region, None before the first."""
        query = select(*_SHOWN).where(_C.region == region, _C.agreed_at.is_not(None))
        with reading(self._engine) as connection:
            return connection.execute(query.order_by(_C.until.desc()).limit(1)).first()

    def proposed(self, region: str) -> ClearingRow | None:
        """Return the clearing that is proposed to a region and not agreed yet, if any."""
        query = select(*_SHOWN).where(_C.region == region, _C.agreed_at.is_(None))
        with reading(self._engine) as connection:
            return connection.execute(query).first()

    def from_(self, region: str, start: int) -> ClearingRow | None:
        """Return the clearing agreed with a region that starts at ``start``, None before."""
        query = select(*_SHOWN).where(
            _C.region == region, _C.start == start, _C.agreed_at.is_not(None)
        )
        with reading(self._engine) as connection:
            return connection.execute(query).first()

    def until(self, region: str, until: int) -> ClearingRow | None:
        """Return the clearing with a region that ends at ``until``, None where there is none."""
        query = select(*_SHOWN).where(_C.region == region, _C.until == until)
        with reading(self._engine) as connection:
            return connection.execute(query).first()

    def since(self, region: str, until: int) -> Sequence[ClearingRow]:
        """Return the clearings agreed with a region that end after ``until``, in order."""
        query = select(*_SHOWN).where(
            _C.region == region, _C.until > until, _C.agreed_at.is_not(None)
        )
        with reading(self._engine) as connection:
            return connection.execute(query.order_by(_C.until)).all()

    def elements(self, number: int) -> bytes:
        """Return the elements that a clearing agreed on, packed."""
        with reading(self._engine) as connection:
            query = select(_C.elements).where(_C.number == number)
            return bytes(connection.execute(query).scalar_one())

    def propose(self, made: Made) -> None:
        """Keep a clearing before it is proposed."""
        with bounded(self._engine) as connection:
            key = connection.execute(insert(CLEARINGS).values(**made._asdict()))
            assert key.inserted_primary_key is not None, "one row was inserted"
            wrote(connection, CLEARINGS, [key.inserted_primary_key])

    def withdraw(self, region: str) -> None:
        """Forget what was proposed to a region: it never signed it."""
        with bounded(self._engine) as connection:
            query = select(_C.number).where(_C.region == region, _C.agreed_at.is_(None))
            numbers = list(connection.execute(query).scalars())
            connection.execute(delete(CLEARINGS).where(_C.number.in_(numbers)))
            wrote(connection, CLEARINGS, [(number,) for number in numbers])

    def agree(self, made: Made, settled: Settled) -> ClearingRow:
        """Keep a clearing that both have signed, and return it, or the same as it was kept before.

        Raises AgreedOtherwise.
        """
        before = self._kept(made)
        if before is not None:
            return before
        try:
            with bounded(self._engine, LONG_SECONDS) as connection:
                number = connection.execute(
                    insert(CLEARINGS).values(**made._asdict())
                ).inserted_primary_key
                assert number is not None, "one row was inserted"
                _take(connection, made, int(number[0]), settled)
        except IntegrityError:
            # Somebody else agreed meanwhile.
            before = self._kept(made)
            if before is None:
                raise
            return before
        kept = self.until(made.region, made.until)
        assert kept is not None, "it was just kept"
        return kept

    def agreed(
        self,
        pending: ClearingRow,
        acceptance: str,
        now: int,
        settled: Settled,
    ) -> None:
        """Keep it that the other side has signed what was proposed, once; see `agree`."""
        with bounded(self._engine, LONG_SECONDS) as connection:
            taken = connection.execute(
                update(CLEARINGS)
                .where(_C.number == pending.number, _C.agreed_at.is_(None))
                .values(acceptance=acceptance, agreed_at=now)
            )
            if taken.rowcount:
                made = _made(pending)._replace(acceptance=acceptance, agreed_at=now)
                _take(connection, made, pending.number, settled)

    def _kept(self, made: Made) -> ClearingRow | None:
        query = select(*_SHOWN).where(_C.region == made.region, _C.start == made.start)
        with reading(self._engine) as connection:
            found = connection.execute(query).first()
        if found is not None and found.document != made.document:
            raise AgreedOtherwise
        return found

    def listed(self, region: str, *, before: int | None, limit: int) -> Sequence[ClearingRow]:
        """Return clearings with numbers below ``before``, newest first: with one region, or
        with all for ""."""
        query = select(*_SHOWN).order_by(_C.number.desc()).limit(limit)
        if region:
            query = query.where(_C.region == region)
        if before is not None:
            query = query.where(_C.number < before)
        with reading(self._engine) as connection:
            return connection.execute(query).all()

    def nets(self, after: int, until: int | None) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return (region, clearings, owed, due) of the clearings agreed whose periods end after
        ``after`` and not after ``until``."""
        query = (
            select(_C.region, func.count(), func.sum(_C.owed), func.sum(_C.due))
            .where(_C.agreed_at.is_not(None), _C.until > after)
            .group_by(_C.region)
            .order_by(_C.region)
        )
        if until is not None:
            query = query.where(_C.until <= until)
        with reading(self._engine) as connection:
            return connection.execute(query).all()


def _made(row: ClearingRow) -> Made:
    """Return a clearing as it was kept, without its elements."""
    return Made._make([*(getattr(row, name) for name in Made._fields if name != "elements"), b""])


def _take(connection: Connection, made: Made, number: int, settled: Settled) -> None:
    """Keep what follows from a clearing that both have signed."""
    assert made.agreed_at is not None, "both have signed it"
    wrote(connection, CLEARINGS, [(number,)])
    left = leave_out(
        connection, made.region, settled.own, made.until, settled.found, settled.carried
    )
    keep(
        connection,
        made.region,
        settled.evidence,
        [dispute_id(each.answer.id) for each in settled.found],
        settled.judge,
        shown=made.until,
        now=made.agreed_at,
    )
    connection.execute(delete(FAILURES).where(FAILURES.c.region == made.region))
    connection.execute(delete(CLAIMS).where(CLAIMS.c.region == made.region))
    hour = made.until // _HOUR_SECONDS
    for kind, counted in (
        (AlertKind.ALERT_KIND_CLEARING_DISPUTE, left.told),
        (AlertKind.ALERT_KIND_CLEARING_CONCESSION, left.withdrawn),
    ):
        if counted:
            raise_alert(
                connection,
                settled.operator_id,
                kind,
                hour=hour,
                purpose=0,
                started_at=hour * _HOUR_SECONDS,
                counted=counted,
                threshold=1,
                now=made.agreed_at,
            )
