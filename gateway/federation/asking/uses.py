"""Uses of other regions, kept durably before they are passed on (guarantee G5).

Both ends meter a use that crosses regions: the home region in its ledger, and this one here,
by what the home region's signed receipt says. A chunk is kept once, by the operator's request,
the region and its place in the answer: answered again it charges nothing more. What the home region
charged and the operator was not given, since an answer was lost and the record ended before it was
asked for again, is kept too, without whom it is about: this region owes it, and its operator nothing.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from consent.model import Consent
from consent.served import owe_served, require_unchanged
from creditgate.transparency.facts import NO_END
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.meter.model import NotCharged
from gateway.respond.refusals import not_charged
from gateway.storage.engines import reading

_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
NOT_PASSED_ON: Final = ""
"""The subject of a record that was charged by its region and never given to the operator."""
_ROWS_A_STATEMENT: Final = 500
_RECORDS: Final = "records/"


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
        life under it is over. Nothing may be passed on then.
        """
        with self._engine.begin() as connection:
            if consent is not None:
                require_unchanged(connection, consent)
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
            _give(connection, answer, uses)
            return False
        shared = {
            "operator_id": answer.operator_id,
            "request_id": answer.request_id,
            "region": answer.region,
            "first_subject": answer.first_subject,
            "region_request_id": answer.region_request_id,
            "served_at": answer.served_at,
        }
        rows = [{**use._asdict(), **shared} for use in uses]
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            # A record that another chunk of the request had is kept by that one.
            some = rows[start : start + _ROWS_A_STATEMENT]
            connection.execute(insert(REGION_USES).on_conflict_do_nothing(), some)
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
        return [RegionAnswer(*row)._replace(receipt=bytes(row.receipt)) for row in rows]

    def uses(self, answer: RegionAnswer) -> list[RegionUse]:
        """Return the records of a chunk, in order of their ids."""
        query = (
            select(*(REGION_USES.c[name] for name in RegionUse._fields))
            .where(*_of_chunk(REGION_USES, answer))
            .order_by(REGION_USES.c.record_id, REGION_USES.c.revision)
        )
        with reading(self._engine) as connection:
            return [RegionUse(*row) for row in connection.execute(query).all()]


def _give(connection: Connection, answer: RegionAnswer, uses: Sequence[RegionUse]) -> None:
    """Keep as given what of a chunk was not passed on before, and is now."""
    given = fees = opened = 0
    for use in uses:
        if not use.passed_on:
            continue
        kept = REGION_USES.c
        changed = connection.execute(
            update(REGION_USES)
            .where(
                *_of_chunk(REGION_USES, answer),
                kept.record_id == use.record_id,
                kept.revision == use.revision,
                kept.subject == NOT_PASSED_ON,
            )
            .values(use._asdict())
        ).rowcount
        given += changed
        fees += changed * use.own_fee
        opened += changed * bool(use.opened)
    if given:
        own = REGION_ANSWERS.c
        connection.execute(
            update(REGION_ANSWERS)
            .where(*_of_chunk(REGION_ANSWERS, answer))
            .values(
                records=own.records + given,
                own_fee=own.own_fee + fees,
                opened=func.coalesce(own.opened, own.records) + opened,
                subject_count=answer.subject_count,
                checkpoint=answer.checkpoint,
            )
        )


def _require_alive(connection: Connection, answer: RegionAnswer, consent: Consent) -> None:
    """Raise Refused unless a chunk may still be kept by who is given it, or given it again."""
    query = select(REGION_ANSWERS.c.recorded_at).where(*_of_chunk(REGION_ANSWERS, answer))
    given_at = connection.execute(query).scalar_one_or_none()
    if given_at is not None and answer.recorded_at >= given_at + consent.terms.data_life_seconds:
        raise not_charged(
            NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED, life_over=True)
        )


def _of_chunk(table: Table, answer: RegionAnswer) -> tuple[ColumnElement[bool], ...]:
    names = ("operator_id", "request_id", "region", "first_subject")
    return tuple(table.c[name] == getattr(answer, name) for name in names)
