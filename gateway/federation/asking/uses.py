"""Uses of other regions, kept durably before they are passed on (guarantee G5).

Both ends meter a use that crosses regions: the home region in its ledger, and this one here,
by what the home region's signed receipt says. A chunk is kept once, by the operator's request,
the region and its place in the answer: answered again it charges nothing more.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Engine, func, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.storage.engines import reading
from gateway.storage.paging import pages

_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_ROWS_A_STATEMENT: Final = 500
_SECONDS_A_DAY: Final = 86_400


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


class RegionUse(NamedTuple):
    """One record of a chunk; fields as those of `tables.REGION_USES` that its answer lacks."""

    record_id: str
    revision: int
    subject: str
    item: str
    own_item: str
    source: str
    region_code: str
    fee: int
    own_fee: int


class RegionUses:
    """Keeps uses of other regions, on SQLite and PostgreSQL. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, answer: RegionAnswer, uses: Sequence[RegionUse]) -> bool:
        """Make a chunk durable with its records, and tell whether it was not kept before.

        Raises what SQLAlchemy raises; nothing may be passed on then.
        """
        with self._engine.begin() as connection:
            insert = _INSERT[connection.dialect.name]
            adding = insert(REGION_ANSWERS).values(answer._asdict()).on_conflict_do_nothing()
            kept = connection.execute(adding.returning(REGION_ANSWERS.c.region)).first()
            shared = {
                "operator_id": answer.operator_id,
                "request_id": answer.request_id,
                "region": answer.region,
                "first_subject": answer.first_subject,
                "region_request_id": answer.region_request_id,
                "served_at": answer.served_at,
            }
            rows = [{**use._asdict(), **shared} for use in uses] if kept is not None else []
            for start in range(0, len(rows), _ROWS_A_STATEMENT):
                # A record that another chunk of the request had is kept by that one.
                some = rows[start : start + _ROWS_A_STATEMENT]
                connection.execute(insert(REGION_USES).on_conflict_do_nothing(), some)
            return kept is not None

    def used_on_day(self, operator_id: str, now: int) -> int:
        """Return how many records an operator was given from other regions on the UTC day of
        ``now`` (seconds)."""
        start = now - now % _SECONDS_A_DAY
        query = select(func.coalesce(func.sum(REGION_ANSWERS.c.records), 0)).where(
            REGION_ANSWERS.c.operator_id == operator_id,
            REGION_ANSWERS.c.recorded_at >= start,
            REGION_ANSWERS.c.recorded_at < start + _SECONDS_A_DAY,
        )
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def given(self, operator_id: str, record_ids: Iterable[str]) -> set[str]:
        """Return of which of these records an operator was given any revision by another region."""
        of_operator = select(REGION_USES.c.record_id).where(
            REGION_USES.c.operator_id == operator_id
        )
        with reading(self._engine) as connection:
            return {
                record_id
                for some in pages(record_ids)
                for record_id in connection.execute(
                    of_operator.where(REGION_USES.c.record_id.in_(some))
                ).scalars()
            }

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
            .where(
                REGION_USES.c.operator_id == answer.operator_id,
                REGION_USES.c.request_id == answer.request_id,
                REGION_USES.c.region == answer.region,
                REGION_USES.c.first_subject == answer.first_subject,
            )
            .order_by(REGION_USES.c.record_id, REGION_USES.c.revision)
        )
        with reading(self._engine) as connection:
            return [RegionUse(*row) for row in connection.execute(query).all()]
