"""Uses of other regions, kept durably before they are passed on (guarantee G5).

A chunk is kept once, by the operator's request, the region and its place in the answer: answered
again it charges nothing more, and has to be what it was (`gateway.federation.asking.again`).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, func, select, update

from consent.model import NAME_PREFIX, Consent
from consent.parts import is_taken_back
from consent.served import owe_served, require_unchanged
from consent.writes import wrote
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.federation.asking.again import GivenChunk, require_same
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.uses import RegionAnswer, RegionUse
from gateway.meter.model import NotCharged
from gateway.respond.refusals import not_charged
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT

_ADD_ANSWER: Final = {
    dialect: insert(REGION_ANSWERS).on_conflict_do_nothing().returning(REGION_ANSWERS.c.region)
    for dialect, insert in INSERT.items()
}
_ADD_USE: Final = {
    dialect: insert(REGION_USES).on_conflict_do_nothing().returning(REGION_USES.c.revision)
    for dialect, insert in INSERT.items()
}
_ROWS_A_STATEMENT: Final = 500
_CHUNK: Final = tuple(column.name for column in REGION_ANSWERS.primary_key)


class ToKeep(NamedTuple):
    """A chunk that is to be kept. ``consent`` is what it is passed on under, None where it is not or
    under none: it stands as it is until the chunk is durable, and its copies are owed."""

    answer: RegionAnswer
    uses: Sequence[RegionUse]
    consent: Consent | None = None

    @property
    def consent_id(self) -> str:
        """The consent's id, "" without."""
        return "" if self.consent is None else self.consent.consent_id

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What it is kept by."""
        its = self.answer
        return its.operator_id, its.request_id, its.region, its.first_subject


class RegionUses:
    """Keeps uses of other regions, on SQLite and PostgreSQL. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(
        self, answer: RegionAnswer, uses: Sequence[RegionUse], consent: Consent | None = None
    ) -> bool:
        """Make a chunk durable with its records, and tell whether it was not kept before.

        Of one that was, records that were not passed on then and are now are kept as given. Raises
        what SQLAlchemy raises, and as `consent.served.require_unchanged`; REQUEST_ID_REUSED for a
        chunk whose data life under its consent is over; ProofInvalid for one that was kept as
        another, or that has a record twice, or one of another chunk of its answer. Nothing may be
        passed on then.
        """
        (new,) = self.keep_all([ToKeep(answer, uses, consent)])
        return new

    def keep_all(self, chunks: Sequence[ToKeep]) -> list[bool]:
        """Make chunks durable, those under one consent or under none in one transaction; tell of each
        what `keep` does.

        Raises as `keep` where one is not kept; some of the others may be.
        """
        # The ledger locks consents in any order: with two at once each would wait for the other.
        told: dict[int, bool] = {}
        for consent_id in {chunk.consent_id for chunk in chunks}:
            places = [place for place, chunk in enumerate(chunks) if chunk.consent_id == consent_id]
            # By their keys, so that no two processes wait for one another.
            places.sort(key=lambda place: chunks[place].key)
            with bounded(self._engine) as connection:
                told.update((place, _keep(connection, chunks[place])) for place in places)
        return [told[place] for place in range(len(chunks))]

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


def _keep(connection: Connection, chunk: ToKeep) -> bool:
    answer, uses, consent = chunk
    if consent is not None:
        require_unchanged(connection, consent, answer.region)
        _require_alive(connection, answer, consent)
    uses = _withheld_there(connection, answer, uses)
    adding = _ADD_ANSWER[connection.dialect.name]
    new = connection.execute(adding, answer._asdict()).first() is not None
    if new:
        wrote(connection, REGION_ANSWERS, *_key_of(answer))
        _add_uses(connection, answer, uses)
    else:
        _keep_again(connection, answer, uses)
    if consent is not None and answer.opened:
        owe_served(connection, consent, answer.recorded_at)
    return new


def _withheld_there(
    connection: Connection, answer: RegionAnswer, uses: Sequence[RegionUse]
) -> Sequence[RegionUse]:
    """Return the records of a chunk; of one under a consent that its subject took back in the region
    itself, those that were not passed on as withheld."""
    if not answer.consent or all(use.passed_on or use.withheld for use in uses):
        return uses
    if not is_taken_back(connection, answer.consent.removeprefix(NAME_PREFIX), answer.region):
        return uses
    return [use if use.passed_on else use._replace(withheld=True) for use in uses]


def _add_uses(connection: Connection, answer: RegionAnswer, uses: Sequence[RegionUse]) -> None:
    """Add the records of a chunk. Raises ProofInvalid for one that comes twice in an answer."""
    shared = {
        "operator_id": answer.operator_id,
        "request_id": answer.request_id,
        "region": answer.region,
        "first_subject": answer.first_subject,
        "region_request_id": answer.region_request_id,
        "served_at": answer.served_at,
    }
    rows = [{**use._asdict(), **shared} for use in uses]
    adding = _ADD_USE[connection.dialect.name]
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        some = rows[start : start + _ROWS_A_STATEMENT]
        if len(connection.execute(adding, some).all()) < len(some):
            raise ProofInvalid("a record comes twice in the answer to one request")


def _keep_again(connection: Connection, answer: RegionAnswer, uses: Sequence[RegionUse]) -> None:
    """Keep as given what of a chunk was not passed on before, and is now; and as withheld what this
    region keeps back that it had on the other's word alone.

    Raises ProofInvalid where the chunk is not what was kept.
    """
    # Whoever keeps it at the same time compares with what this leaves.
    query = select(REGION_ANSWERS).where(*_of_chunk(REGION_ANSWERS, answer)).with_for_update()
    first, kept = _answer(connection.execute(query).one()), _uses_of(connection, answer)
    require_same(_as_given(first, kept), _as_given(answer, uses))
    never = {use.key for use in kept if not use.passed_on}
    new = [use for use in uses if use.passed_on and use.key in never]
    kept_back = [use for use in uses if use.withheld and use.key in never]
    for use in (*new, *kept_back):
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
