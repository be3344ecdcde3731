"""The store of deliveries: taken up, acknowledged, told. What is charged goes by the ledger.

A delivery is the last call's that took it up (its turn), until it is settled: what an earlier
call still does with it changes nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    func,
    select,
    update,
)

from gateway.meter.delivery import (
    ENDED,
    OPEN,
    SETTLED,
    START,
    ChunkEntries,
    DeliveryKey,
    Reached,
    omitted_by,
    unacknowledged,
)
from gateway.meter.delivery_tables import DELIVERIES
from gateway.meter.model import ANSWER, REVERSAL, pack_entries, unpack_entries
from gateway.meter.tables import USAGE
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading, snapshot
from gateway.storage.inserts import INSERT


class TakenUp(NamedTuple):
    """A call's turn at a delivery, and how far it was acknowledged."""

    turn: int
    reached: Reached


class OtherPayload(Exception):
    """The request id is that of a delivery of something else."""


class AlreadySettled(Exception):
    """The delivery was settled, and cannot be taken up."""


class Told(NamedTuple):
    """How a delivery stands: see GetDeliveryResponse. Times in seconds UTC, fee in micro-yuan."""

    state: int
    opened_at: int
    settled_at: int | None
    charged: int
    acknowledged: int
    credited: int
    standing: int
    credited_fee: int


class Deliveries:
    """Deliveries on SQLite and PostgreSQL. Calls block, and raise what the store raises."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take_up(self, key: DeliveryKey, payload_digest: bytes, now: int) -> TakenUp:
        """Begin a delivery, or go on with it; who had it has it no more.

        ``now`` in seconds UTC. Raises OtherPayload, AlreadySettled.
        """
        with bounded(self._engine) as connection:
            row = None
            while row is None:
                _begin(connection, key, payload_digest, now)
                # Locked: whoever is settling it is waited for, and may have taken it away.
                row = connection.execute(
                    select(DELIVERIES).where(is_of(key)).with_for_update()
                ).first()
            if bytes(row.payload_digest) != payload_digest:
                raise OtherPayload
            if row.state == SETTLED:
                raise AlreadySettled
            connection.execute(
                update(DELIVERIES)
                .where(is_of(key))
                .values(
                    state=OPEN, turn=row.turn + 1, touched_at=now, settled_at=None, unacknowledged=0
                )
            )
        return TakenUp(row.turn + 1, Reached(row.chunk, row.entries))

    def comes_again(
        self, key: DeliveryKey, turn: int, chunk: int, sequences: Sequence[int]
    ) -> list[Reached] | None:
        """Return what each record of a chunk that is sent again reaches, ``sequences`` being
        their revisions in order; what it had and has no more is noted. None where the delivery
        is not this turn's any more."""
        with bounded(self._engine) as connection:
            row = connection.execute(
                select(DELIVERIES).where(is_of(key), _is_had_by(turn)).with_for_update()
            ).first()
            entries = _charged(connection, key, chunk)
            if row is None or not entries:
                return None
            before = set(unpack_entries(row.omitted))
            omitted = omitted_by(
                set(sequences), entries[0], Reached(row.chunk, row.entries), before
            )
            if omitted != before:
                connection.execute(
                    update(DELIVERIES)
                    .where(is_of(key))
                    .values(omitted=pack_entries(sorted(omitted)))
                )
        places = {each: place for place, each in enumerate(entries[0].entries, 1)}
        return [Reached(chunk, places[each]) for each in sequences]

    def acknowledge(
        self, key: DeliveryKey, turn: int, reached: Reached, now: int, *, is_last: bool = False
    ) -> bool:
        """Write how far a delivery was acknowledged; ``is_last`` where that is all of it.

        False where the delivery is not this turn's any more; nothing is written then.
        """
        changes: dict[str, Any] = {"chunk": reached.chunk, "entries": reached.entries}
        changes["touched_at"] = now
        with bounded(self._engine) as connection:
            had = and_(is_of(key), _is_had_by(turn))
            if is_last:
                omits = connection.execute(select(DELIVERIES.c.omitted).where(had)).scalar()
                if omits:
                    # There is something to be credited, and nothing to be waited for.
                    changes["touched_at"] = 0
                else:
                    changes |= {"state": ENDED, "settled_at": now}
            return bool(
                connection.execute(update(DELIVERIES).where(had).values(**changes)).rowcount
            )

    def told(self, key: DeliveryKey) -> Told | None:
        """Return how a delivery stands, None where there is none of the key."""
        with snapshot(self._engine) as connection:
            row = connection.execute(select(DELIVERIES).where(is_of(key))).first()
            if row is None:
                return None
            charged = _charged(connection, key)
            of_request = and_(
                USAGE.c.operator_id == key.operator_id,
                USAGE.c.request_id == key.request_id,
                USAGE.c.kind == REVERSAL,
            )
            fee: int = connection.execute(
                select(func.coalesce(func.sum(USAGE.c.fee), 0)).where(of_request)
            ).scalar_one()
        count = sum(len(each.entries) for each in charged)
        left = row.unacknowledged
        if row.state == OPEN:
            missing = unacknowledged(
                charged, Reached(row.chunk, row.entries), set(unpack_entries(row.omitted))
            )
            left = sum(len(each.entries) for each in missing)
        return Told(
            row.state,
            row.opened_at,
            row.settled_at,
            count,
            count - left,
            row.credited,
            0 if row.state == OPEN else left - row.credited,
            int(fee),
        )

    def unacknowledged_since(self, since: int) -> Sequence[Row[Any, Any, Any]]:
        """Return operator, instant and records of what was settled since an instant without
        being acknowledged, in order."""
        query = (
            select(DELIVERIES.c.operator_id, DELIVERIES.c.settled_at, DELIVERIES.c.unacknowledged)
            .where(DELIVERIES.c.settled_at >= since, DELIVERIES.c.unacknowledged > 0)
            .order_by(DELIVERIES.c.settled_at)
        )
        with reading(self._engine) as connection:
            return connection.execute(query).all()


def is_of(key: DeliveryKey) -> ColumnElement[bool]:
    """Return what picks out the row of a delivery."""
    return and_(
        DELIVERIES.c.operator_id == key.operator_id, DELIVERIES.c.request_id == key.request_id
    )


def _begin(connection: Connection, key: DeliveryKey, payload_digest: bytes, now: int) -> None:
    """Add the row of a delivery, unless it is there."""
    connection.execute(
        INSERT[connection.dialect.name](DELIVERIES)
        .values(
            **key._asdict(),
            payload_digest=payload_digest,
            state=OPEN,
            turn=0,
            opened_at=now,
            touched_at=now,
            chunk=START.chunk,
            entries=START.entries,
            omitted=b"",
            unacknowledged=0,
            credited=0,
        )
        .on_conflict_do_nothing()
    )


def _is_had_by(turn: int) -> ColumnElement[bool]:
    return and_(DELIVERIES.c.turn == turn, DELIVERIES.c.state == OPEN)


def _charged(
    connection: Connection, key: DeliveryKey, chunk: int | None = None
) -> list[ChunkEntries]:
    """Return the chunks charged with a request in order, or one of them."""
    query = (
        select(USAGE.c.chunk, USAGE.c.entries)
        .where(
            USAGE.c.operator_id == key.operator_id,
            USAGE.c.request_id == key.request_id,
            USAGE.c.kind == ANSWER,
        )
        .order_by(USAGE.c.chunk)
    )
    if chunk is not None:
        query = query.where(USAGE.c.chunk == chunk)
    return [
        ChunkEntries(number, tuple(unpack_entries(entries)))
        for number, entries in connection.execute(query)
    ]
