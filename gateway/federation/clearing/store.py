"""The clearings of one store, and what is in dispute. Calls block; any thread.

A clearing, its disputes, the evidence on them and the alert are one transaction: whatever ends
the process, both sides have all of it or can agree on the same once more.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from creditgate.clearing import UNDER_WAY, Dispute
from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.raising import raise_alert
from gateway.federation.clearing.disputed import DisputeRow, Told, leave_out, resolve
from gateway.federation.clearing.stands import Stand
from gateway.federation.clearing.tables import CLEARINGS, DISPUTES, EVIDENCE, FAILURES
from gateway.storage.engines import reading
from gateway.storage.writes import wrote

_C: Final = CLEARINGS.c
_D: Final = DISPUTES.c
_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_HOUR_SECONDS: Final = 3_600

ClearingRow = Row[*tuple[Any, ...]]
"""A row of `tables.CLEARINGS` without its elements."""
_SHOWN: Final = tuple(column for column in CLEARINGS.c if column.name != "elements")


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

    def propose(self, made: Made, evidence: Sequence[bytes]) -> None:
        """Keep a clearing before it is proposed, with the evidence that the other side showed."""
        with self._engine.begin() as connection:
            key = connection.execute(insert(CLEARINGS).values(**made._asdict()))
            assert key.inserted_primary_key is not None, "one row was inserted"
            wrote(connection, CLEARINGS, [key.inserted_primary_key])
            _keep_evidence(connection, made.region, made.until, evidence)

    def withdraw(self, region: str) -> None:
        """Forget what was proposed to a region: it never signed it."""
        with self._engine.begin() as connection:
            query = select(_C.number).where(_C.region == region, _C.agreed_at.is_(None))
            numbers = list(connection.execute(query).scalars())
            connection.execute(delete(CLEARINGS).where(_C.number.in_(numbers)))
            wrote(connection, CLEARINGS, [(number,) for number in numbers])

    def agree(
        self, made: Made, told: Sequence[Told], evidence: Sequence[bytes], operator_id: str
    ) -> ClearingRow:
        """Keep a clearing that both have signed, and return it, or the same as it was kept before.

        ``operator_id`` is what the region is here, for the alert on disputes. Raises
        AgreedOtherwise.
        """
        before = self._kept(made)
        if before is not None:
            return before
        try:
            with self._engine.begin() as connection:
                number = connection.execute(
                    insert(CLEARINGS).values(**made._asdict())
                ).inserted_primary_key
                assert number is not None, "one row was inserted"
                _take(connection, made, int(number[0]), told, evidence, operator_id)
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
        told: Sequence[Told],
        evidence: Sequence[bytes],
        operator_id: str,
    ) -> None:
        """Keep it that the other side has signed what was proposed, once; see `agree`."""
        with self._engine.begin() as connection:
            taken = connection.execute(
                update(CLEARINGS)
                .where(_C.number == pending.number, _C.agreed_at.is_(None))
                .values(acceptance=acceptance, agreed_at=now)
            )
            if taken.rowcount:
                made = _made(pending)._replace(acceptance=acceptance, agreed_at=now)
                _take(connection, made, pending.number, told, evidence, operator_id)

    def _kept(self, made: Made) -> ClearingRow | None:
        query = select(*_SHOWN).where(_C.region == made.region, _C.start == made.start)
        with reading(self._engine) as connection:
            found = connection.execute(query).first()
        if found is not None and found.document != made.document:
            raise AgreedOtherwise
        return found

    def disputes(self, region: str) -> Sequence[DisputeRow]:
        """Return every entry that clearings with a region left out, closed ones too."""
        with reading(self._engine) as connection:
            return connection.execute(select(DISPUTES).where(_D.region == region)).all()

    def listed_disputes(
        self, region: str, *, closed: bool, after: str, limit: int
    ) -> Sequence[DisputeRow]:
        """Return disputes behind an id, in order: with one region, or with all for ""."""
        query = select(DISPUTES).where(_D.dispute_id > after).order_by(_D.dispute_id).limit(limit)
        if region:
            query = query.where(_D.region == region)
        if not closed:
            query = query.where(_D.closed.is_(None))
        with reading(self._engine) as connection:
            return connection.execute(query).all()

    def resolve(
        self, dispute_id: str, wanted: Stand, by: str, note: str, now: int
    ) -> DisputeRow | None:
        """Return an open dispute once the version ``wanted`` stands; None where there is none.

        Raises OtherVersion where that is not the side's own by now.
        """
        with self._engine.begin() as connection:
            return resolve(connection, dispute_id, wanted, by, note, now)

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

    def evidence(self, region: str, until: int) -> Sequence[bytes]:
        """Return the evidence that was shown with a clearing."""
        query = (
            select(EVIDENCE.c.evidence)
            .where(EVIDENCE.c.region == region, EVIDENCE.c.until == until)
            .order_by(EVIDENCE.c.digest)
        )
        with reading(self._engine) as connection:
            return [bytes(each) for each in connection.execute(query).scalars()]

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


def _take(
    connection: Connection,
    made: Made,
    number: int,
    told: Sequence[Told],
    evidence: Sequence[bytes],
    operator_id: str,
) -> None:
    """Keep what follows from a clearing that both have signed."""
    assert made.agreed_at is not None, "both have signed it"
    wrote(connection, CLEARINGS, [(number,)])
    withdrawn = leave_out(connection, made.region, made.until, told)
    _keep_evidence(connection, made.region, made.until, evidence)
    connection.execute(delete(FAILURES).where(FAILURES.c.region == made.region))
    hour = made.until // _HOUR_SECONDS
    for kind, counted in (
        (AlertKind.ALERT_KIND_CLEARING_DISPUTE, made.disputes),
        (AlertKind.ALERT_KIND_CLEARING_CONCESSION, withdrawn),
    ):
        if counted:
            raise_alert(
                connection,
                operator_id,
                kind,
                hour=hour,
                purpose=0,
                started_at=hour * _HOUR_SECONDS,
                counted=counted,
                threshold=1,
                now=made.agreed_at,
            )


def _keep_evidence(
    connection: Connection, region: str, until: int, evidence: Sequence[bytes]
) -> None:
    for piece in evidence:
        connection.execute(
            _INSERT[connection.dialect.name](EVIDENCE)
            .values(
                region=region,
                until=until,
                digest=sha256(piece).hexdigest(),
                evidence=piece,
            )
            .on_conflict_do_nothing()
        )


def counts_of(disputes: Sequence[Dispute]) -> tuple[int, int]:
    """Return how many disputes there are, and how many entries that may be under way."""
    under_way = sum(each.kind == UNDER_WAY for each in disputes)
    return len(disputes) - under_way, under_way
