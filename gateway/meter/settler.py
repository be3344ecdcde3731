"""The settler: ends deliveries that broke and were not taken up again.

What was charged behind the last record acknowledged is credited by rows of its own, and
counts against the quota no more. A client that says nothing came may have it all the same, so
what an operator is credited on a day is bounded; the rest stays charged. A delivery that the bound
would cut in two waits for the next day, once: until then it can be taken up again.

One transaction ends one delivery, with the ledger's lock on the operator held: whoever charges
something with it does so before, and it is seen here, or after, and is refused.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from creditgate.transparency.merkle import leaf_hash
from gateway.clock import Clock
from gateway.disclose.model import Line
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.bearers import borne
from gateway.meter.decisions import DecisionIds
from gateway.meter.deliveries import is_of
from gateway.meter.delivery import (
    ENDED,
    OPEN,
    SETTLED,
    ChunkEntries,
    DeliveryKey,
    Reached,
    unacknowledged,
    up_to,
    would_be_cut,
)
from gateway.meter.delivery_tables import DELIVERIES
from gateway.meter.leaf import LineFields, detail_of, leaf_bytes
from gateway.meter.model import ANSWER, SECONDS_A_DAY, UsageRow, unpack_entries
from gateway.meter.postgresql import lock_operator
from gateway.meter.reversal import reversal
from gateway.meter.store import USAGE_COLUMNS
from gateway.meter.tables import LICENCE_USE, QUOTA, USAGE, USAGE_HEADS
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.paging import pages

_AT_ONCE: Final = 100


class DeliverySettler:
    """Settles deliveries; one thread at a time, of whoever has the turn.

    ``grace_seconds`` are those a delivery is waited for, ``per_day`` the most records that
    an operator is credited in a UTC day.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        decisions: DecisionIds,
        *,
        grace_seconds: int,
        per_day: int,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._decisions = decisions
        self._grace = grace_seconds
        self._per_day = per_day
        self._lines = LineFields()

    def step(self) -> bool:
        """Settle what is due; tell whether there is more.

        One that cannot be settled keeps none of the others. Raises what the store raises, and
        what kept the last of those that failed.
        """
        # Seconds are whole, so whoever was there in the last one counted is waited for.
        due = self._clock.now() - self._grace
        query = (
            select(DELIVERIES.c.operator_id, DELIVERIES.c.request_id)
            .where(DELIVERIES.c.state == OPEN, DELIVERIES.c.touched_at < due)
            .order_by(DELIVERIES.c.touched_at)
            .limit(_AT_ONCE)
        )
        with reading(self._engine) as connection:
            keys = [DeliveryKey(*row) for row in connection.execute(query)]
        failed: Exception | None = None
        for key in keys:
            try:
                self.settle(key)
            except Exception as error:
                failed = error
        if failed is not None:
            raise failed
        return len(keys) == _AT_ONCE

    def settle(self, key: DeliveryKey) -> None:
        """Settle a delivery, unless it went on meanwhile. Raises what the store raises,
        LookupError where it lacks what was served."""
        with bounded(self._engine) as connection:
            lock_operator(connection, key.operator_id)
            # Read with the lock held, as the ledger does: what is written is in order.
            now = self._clock.now()
            delivery = connection.execute(
                select(DELIVERIES)
                .where(
                    is_of(key),
                    DELIVERIES.c.state == OPEN,
                    DELIVERIES.c.touched_at < now - self._grace,
                )
                .with_for_update()
            ).first()
            if delivery is None:
                return
            answers = _answers(connection, key)
            if not answers:
                # Nothing was charged by the request id: it is as if it was never used.
                connection.execute(delete(DELIVERIES).where(is_of(key)))
                return
            missing = _missing(delivery, answers)
            left = self._per_day - _credited(connection, key, now)
            if would_be_cut(_count(missing), left, self._per_day) and not _was_put_off(delivery):
                # Once part of it is credited the rest can be had no more, and is paid for.
                tomorrow = now - now % SECONDS_A_DAY + SECONDS_A_DAY
                connection.execute(update(DELIVERIES).where(is_of(key)).values(touched_at=tomorrow))
                return
            credited = up_to(missing, left)
            self._credit(connection, answers, credited, now)
            connection.execute(
                update(DELIVERIES)
                .where(is_of(key))
                .values(
                    state=SETTLED if credited else ENDED,
                    settled_at=now,
                    unacknowledged=_count(missing),
                    credited=_count(credited),
                )
            )

    def _credit(
        self,
        connection: Connection,
        answers: Sequence[UsageRow],
        credited: Sequence[ChunkEntries],
        now: int,
    ) -> None:
        if not credited:
            return
        by_chunk = {answer.chunk: answer for answer in answers}
        operator_id = answers[0].operator_id
        line_of = _lines_of(connection, {each for chunk in credited for each in chunk.entries})
        behind: int = connection.execute(
            update(USAGE_HEADS)
            .where(USAGE_HEADS.c.operator_id == operator_id)
            .values(next_index=USAGE_HEADS.c.next_index + len(credited))
            .returning(USAGE_HEADS.c.next_index)
        ).scalar_one()
        rows = [
            reversal(
                by_chunk[chunk],
                entries,
                line_of,
                usage_index=place,
                decision_id=self._decisions.next(),
                now=now,
            )
            for place, (chunk, entries) in enumerate(credited, behind - len(credited))
        ]
        if self._lines.unknown(row.lines for row in rows):
            known = connection.execute(select(LINES))
            self._lines.learn({line_no: Line(*names) for line_no, *names in known})
        connection.execute(
            insert(USAGE), [row._asdict() | {"leaf_hash": self._leaf_hash(row)} for row in rows]
        )
        for row in rows:
            day = by_chunk[row.chunk].served_at // SECONDS_A_DAY
            connection.execute(
                update(QUOTA)
                .where(QUOTA.c.operator_id == operator_id, QUOTA.c.day == day)
                .values(used=QUOTA.c.used - row.entry_count)
            )
            for licence, records in borne(row).items():
                connection.execute(
                    update(LICENCE_USE)
                    .where(
                        LICENCE_USE.c.operator_id == operator_id,
                        LICENCE_USE.c.day == day,
                        LICENCE_USE.c.licence == licence,
                    )
                    .values(used=LICENCE_USE.c.used - records)
                )

    def _leaf_hash(self, row: UsageRow) -> bytes:
        lines = self._lines.of(row.lines)
        return leaf_hash(leaf_bytes(row, lines, detail_of(row, lines)))


def _answers(connection: Connection, key: DeliveryKey) -> list[UsageRow]:
    """Return what was charged with a request, in the order of chunks."""
    query = (
        select(*USAGE_COLUMNS)
        .where(
            USAGE.c.operator_id == key.operator_id,
            USAGE.c.request_id == key.request_id,
            USAGE.c.kind == ANSWER,
        )
        .order_by(USAGE.c.chunk)
    )
    return [UsageRow(*row) for row in connection.execute(query)]


def _was_put_off(delivery: Row[Any]) -> bool:
    """Tell whether a delivery waits since a day began (UTC), as those that were put off do. One of
    which nothing more is to come, or that broke in that very second, is not put off then."""
    return delivery.touched_at % SECONDS_A_DAY == 0


def _missing(delivery: Row[Any], answers: Sequence[UsageRow]) -> list[ChunkEntries]:
    return unacknowledged(
        [ChunkEntries(answer.chunk, tuple(unpack_entries(answer.entries))) for answer in answers],
        Reached(delivery.chunk, delivery.entries),
        set(unpack_entries(delivery.omitted)),
    )


def _credited(connection: Connection, key: DeliveryKey, now: int) -> int:
    """Return how many records the operator was credited on the day."""
    begins = now - now % SECONDS_A_DAY
    return int(
        connection.execute(
            select(func.coalesce(func.sum(DELIVERIES.c.credited), 0)).where(
                DELIVERIES.c.operator_id == key.operator_id,
                DELIVERIES.c.settled_at >= begins,
                DELIVERIES.c.settled_at < begins + SECONDS_A_DAY,
                DELIVERIES.c.unacknowledged > 0,
            )
        ).scalar_one()
    )


def _lines_of(connection: Connection, sequences: Collection[int]) -> dict[int, int]:
    """Return the revenue line of each revision."""
    return {
        row[0]: row[1]
        for some in pages(sequences)
        for row in connection.execute(
            select(REVISIONS.c.sequence, REVISIONS.c.line_no).where(REVISIONS.c.sequence.in_(some))
        )
    }


def _count(chunks: Sequence[ChunkEntries]) -> int:
    return sum(len(each.entries) for each in chunks)
