"""Uses of other regions, kept durably before they are passed on (guarantee G5).

Both ends meter a use that crosses regions: the home region in its ledger, and this one here,
by what the home region's signed receipt says. A chunk is kept once, by the operator's request,
the region and its place in the answer: answered again it charges nothing more, and has to be what
it was (`gateway.federation.asking.again`). What the home region charged and the operator was not
given, since an answer was lost and the record ended before it was asked for again, is kept too,
without whom it is about: this region owes it, and its operator nothing.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from consent.model import Consent
from consent.served import owe_served, require_unchanged
from consent.writes import wrote
from creditgate.transparency.facts import NO_END
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.federation.asking.again import GivenChunk, GivenRecord, RecordKey, require_same
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.meter.model import NotCharged
from gateway.respond.refusals import not_charged
from gateway.storage.engines import reading

_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
NOT_PASSED_ON: Final = ""
"""The subject of a record that was charged by its region and never given to the operator."""
_ROWS_A_STATEMENT: Final = 500
_RECORDS: Final = "records/"
_CHUNK: Final = tuple(column.name for column in REGION_ANSWERS.primary_key)


class RegionChunk(NamedTuple):
    """A chunk of another region as the ledger knows it: its request's id there, and its number."""

    region_request_id: str
    chunk: int


class RegionAnswer(NamedTuple):
    """A chunk of a region's answer; fields as the columns of `tables.REGION_ANSWERS`."""

    operator_id: str
    request_id: str
    region: str
    first_subject: int
    region_request_id: str
    client_id: str
    licence: str
    purpose: int
    consent: str
    decision_id: str
    region_decision: str
    mapping_version: int
    subject_count: int
    records: int
    served_at: int
    recorded_at: int
    region_fee: int
    own_fee: int
    receipt: bytes
    checkpoint: str
    opened: int | None = 0


class RegionUse(NamedTuple):
    """One record of a chunk; fields as those of `tables.REGION_USES` that its answer lacks, those
    from the digest of its content to ``opened`` None where they were not kept yet."""

    record_id: str
    revision: int
    subject: str
    item: str
    own_item: str
    source: str
    region_code: str
    fee: int
    own_fee: int
    content_digest: bytes | None = None
    disclosed_from: int | None = None
    disclosed_until: int | None = None
    severity: int | None = None
    cut: bool | None = None
    opened: bool | None = False

    @property
    def passed_on(self) -> bool:
        """Whether the operator was given it."""
        return self.subject != NOT_PASSED_ON

    @property
    def key(self) -> RecordKey:
        """What it is known by within its request."""
        return self.record_id, self.revision

    @property
    def as_given(self) -> GivenRecord:
        """What its region charged and gave of it."""
        charged = (self.item, self.source, self.region_code, self.fee)
        if not self.passed_on or self.content_digest is None:
            return GivenRecord(charged, None)
        return GivenRecord(
            charged,
            (
                self.subject,
                self.content_digest,
                self.disclosed_from,
                self.disclosed_until,
                self.severity,
                self.cut,
            ),
        )

    @classmethod
    def of(
        cls, record: DisclosedRecord, own_item: str, fee: int, own_fee: int, *, opened: bool
    ) -> "RegionUse":
        """Return the use of a record as a region gave it; fees are micro-yuan, ``opened`` tells
        whether the consent relied on opened it."""
        has_end = record.HasField("disclosed_until")
        return cls(
            record_id=record.name.removeprefix(_RECORDS),
            revision=record.revision,
            subject=record.subject,
            item=record.item,
            own_item=own_item,
            source=record.source,
            region_code=record.region,
            fee=fee,
            own_fee=own_fee,
            content_digest=record.content_digest,
            disclosed_from=record.disclosed_from.seconds,
            disclosed_until=record.disclosed_until.seconds if has_end else NO_END,
            severity=record.severity,
            cut=bool(record.served_fields),
            opened=opened,
        )


class RegionUses:
    """Keeps uses of other regions, on SQLite and PostgreSQL. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(
        self, answer: RegionAnswer, uses: Sequence[RegionUse], consent: Consent | None = None
    ) -> bool:
        """Make a chunk durable with its records, and tell whether it was not kept before.

        Of one that was, records that were not passed on then and are now are kept as given.
        ``consent`` is what the chunk is passed on under, None where it is not or under none: it
        stands as it is until the chunk is durable, and its copies are owed. Raises what SQLAlchemy
        raises, and as `consent.served.require_unchanged`; REQUEST_ID_REUSED for a chunk whose data
        life under it is over; ProofInvalid for one that was kept as another, or that has a record
        twice, or one of another chunk of its answer. Nothing may be passed on then.
        """
        with self._engine.begin() as connection:
            if consent is not None:
                require_unchanged(connection, consent, answer.region)
                _require_alive(connection, answer, consent)
            new = self._keep(connection, answer, uses)
            if consent is not None and answer.opened:
                owe_served(connection, consent, answer.recorded_at)
            return new

    def _keep(
        self, connection: Connection, answer: RegionAnswer, uses: Sequence[RegionUse]
    ) -> bool:
        insert = _INSERT[connection.dialect.name]
        adding = insert(REGION_ANSWERS).values(answer._asdict()).on_conflict_do_nothing()
        kept = connection.execute(adding.returning(REGION_ANSWERS.c.region)).first()
        if kept is None:
            _keep_again(connection, answer, uses)
            return False
        wrote(connection, REGION_ANSWERS, *_key_of(answer))
        shared = {
            "operator_id": answer.operator_id,
            "request_id": answer.request_id,
            "region": answer.region,
            "first_subject": answer.first_subject,
            "region_request_id": answer.region_request_id,
            "served_at": answer.served_at,
        }
        rows = [{**use._asdict(), **shared} for use in uses]
        adding = insert(REGION_USES).on_conflict_do_nothing().returning(REGION_USES.c.revision)
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            some = rows[start : start + _ROWS_A_STATEMENT]
            if len(connection.execute(adding, some).all()) < len(some):
                raise ProofInvalid("a record comes twice in the answer to one request")
        return True

    def answers(self, region: str, from_: int, until: int) -> list[RegionAnswer]:
        """Return the chunks that ``region`` served within [from_, until) (seconds UTC, by its
        receipts), in order of time: this end's side of clearing."""
        query = (
            select(REGION_ANSWERS)
            .where(
                REGION_ANSWERS.c.region == region,
                REGION_ANSWERS.c.served_at >= from_,
                REGION_ANSWERS.c.served_at < until,
            )
            .order_by(
                REGION_ANSWERS.c.served_at,
                REGION_ANSWERS.c.region_request_id,
                REGION_ANSWERS.c.first_subject,
            )
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [_answer(row) for row in rows]

    def uses(self, answer: RegionAnswer) -> list[RegionUse]:
        """Return the records of a chunk, in order of their ids."""
        with reading(self._engine) as connection:
            return _uses_of(connection, answer)


def _keep_again(connection: Connection, answer: RegionAnswer, uses: Sequence[RegionUse]) -> None:
    """Keep as given what of a chunk was not passed on before, and is now.

    Raises ProofInvalid where the chunk is not what was kept.
    """
    # Whoever keeps it at the same time compares with what this leaves.
    query = select(REGION_ANSWERS).where(*_of_chunk(REGION_ANSWERS, answer)).with_for_update()
    first, kept = _answer(connection.execute(query).one()), _uses_of(connection, answer)
    require_same(_as_given(first, kept), _as_given(answer, uses))
    never = {use.key for use in kept if not use.passed_on}
    new = [use for use in uses if use.passed_on and use.key in never]
    for use in new:
        its = REGION_USES.c.record_id == use.record_id, REGION_USES.c.revision == use.revision
        connection.execute(
            update(REGION_USES).where(*_of_chunk(REGION_USES, answer), *its).values(use._asdict())
        )
    if new or answer.subject_count > first.subject_count:
        own = REGION_ANSWERS.c
        connection.execute(
            update(REGION_ANSWERS)
            .where(*_of_chunk(REGION_ANSWERS, answer))
            .values(
                records=own.records + len(new),
                own_fee=own.own_fee + sum(use.own_fee for use in new),
                opened=func.coalesce(own.opened, own.records)
                + sum(bool(use.opened) for use in new),
                subject_count=answer.subject_count,
                checkpoint=answer.checkpoint,
            )
        )
        wrote(connection, REGION_ANSWERS, *_key_of(answer))


def _key_of(answer: RegionAnswer) -> tuple[object, ...]:
    return tuple(getattr(answer, name) for name in _CHUNK)


def _as_given(answer: RegionAnswer, uses: Sequence[RegionUse]) -> GivenChunk:
    return GivenChunk(
        UsageReceipt.FromString(answer.receipt).leaf,
        answer.subject_count,
        {use.key: use.as_given for use in uses},
    )


def _answer(row: Row[Any]) -> RegionAnswer:
    return RegionAnswer(*row)._replace(receipt=bytes(row.receipt))


def _uses_of(connection: Connection, answer: RegionAnswer) -> list[RegionUse]:
    query = (
        select(*(REGION_USES.c[name] for name in RegionUse._fields))
        .where(*_of_chunk(REGION_USES, answer))
        .order_by(REGION_USES.c.record_id, REGION_USES.c.revision)
    )
    return [RegionUse(*row) for row in connection.execute(query)]


def _require_alive(connection: Connection, answer: RegionAnswer, consent: Consent) -> None:
    """Raise Refused unless a chunk may still be kept by who is given it, or given it again."""
    query = select(REGION_ANSWERS.c.recorded_at).where(*_of_chunk(REGION_ANSWERS, answer))
    given_at = connection.execute(query).scalar_one_or_none()
    if given_at is not None and answer.recorded_at >= given_at + consent.terms.data_life_seconds:
        raise not_charged(
            NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED, life_over=True)
        )


def _of_chunk(table: Table, answer: RegionAnswer) -> tuple[ColumnElement[bool], ...]:
    return tuple(table.c[name] == getattr(answer, name) for name in _CHUNK)
