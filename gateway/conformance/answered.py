"""What the usage ledger answered an operator, by the position of its answers, and what it gave
again to a retry, by time."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, bindparam, select

from gateway.conformance.blocks import Sequences
from gateway.conformance.event_pages import head_at
from gateway.meter.model import ANSWER
from gateway.meter.replays import REPLAYS
from gateway.meter.tables import USAGE
from gateway.respond.under_way import UNDER_WAY_SECONDS
from gateway.storage.engines import reading

_ANSWERS_AT_ONCE: Final = 5_000
_ENTRY_BYTES: Final = 8

Positions = NDArray[np.int64]
"""Positions in the ledger, of shape (n); 0 is before the first answer."""

_OF_OPERATOR: Final = USAGE.c.operator_id == bindparam("operator")
_LAST: Final = (
    select(USAGE.c.sequence).where(_OF_OPERATOR).order_by(USAGE.c.sequence.desc()).limit(1)
)
_LAST_BY: Final = _LAST.where(USAGE.c.served_at <= bindparam("at"))
_HELD: Final = (
    select(USAGE.c.sequence, USAGE.c.entries)
    .where(
        _OF_OPERATOR,
        USAGE.c.kind == ANSWER,
        USAGE.c.sequence > bindparam("after"),
        USAGE.c.sequence < bindparam("before"),
    )
    .order_by(USAGE.c.sequence.desc())
    .limit(_ANSWERS_AT_ONCE)
)
_AGAIN: Final = select(REPLAYS.c.replayed_at, REPLAYS.c.entries).where(
    REPLAYS.c.operator_id == bindparam("operator"), REPLAYS.c.replayed_at >= bindparam("since")
)


class Reading(NamedTuple):
    """When copies were read that an operator attests, ``at`` (seconds, UTC), and where the logs
    stood: ``answers`` is the position of the last answer by then, ``arrived`` that of the last of
    which nothing could be under way any more, ``events`` that of the last disclosure event."""

    at: int
    answers: int
    arrived: int
    events: int


def reading_at(records: Connection, operator_id: str, at: int) -> Reading:
    """Return where the logs stood for an operator at ``at`` (seconds, UTC)."""
    return Reading(
        at,
        _last_by(records, operator_id, at),
        last_arrived(records, operator_id, at),
        head_at(records, at),
    )


def last_answer(records: Connection, operator_id: str) -> int:
    """Return the position in the ledger of the last answer to an operator, 0 without any."""
    return records.execute(_LAST, {"operator": operator_id}).scalar() or 0


def last_arrived(records: Connection, operator_id: str, now: int) -> int:
    """Return the position in the ledger of the last answer to an operator of which nothing can be
    under way any more at ``now`` (seconds, UTC), 0 without any."""
    return _last_by(records, operator_id, now - UNDER_WAY_SECONDS)


def last_held(
    records: Engine, operator_id: str, sequences: Sequences, after: Positions
) -> Positions:
    """Return, for each of ``sequences`` (ascending), the position of the last answer to an
    operator that held the revision; 0 where none after its position of ``after`` did.

    The ledger is read once, backwards and page by page, so that no transaction lasts as long
    as it; it may be long, so nothing may be locked meanwhile.
    """
    found = np.zeros(len(sequences), np.int64)
    before = np.iinfo(np.int64).max
    while (left := np.flatnonzero((found == 0) & (after < before - 1))).size:
        page = {"after": int(after[left].min()), "before": int(before)}
        with reading(records) as connection:
            rows = connection.execute(_HELD, {"operator": operator_id, **page}).all()
        if rows:
            entries = np.frombuffer(b"".join([bytes(row.entries) for row in rows]), np.int64)
            lengths = [len(row.entries) // _ENTRY_BYTES for row in rows]
            positions = np.repeat([row.sequence for row in rows], lengths)
            wanted = np.flatnonzero(np.isin(entries, sequences[left]))
            places = np.searchsorted(sequences, entries[wanted])
            np.maximum.at(found, places, positions[wanted])
            before = rows[-1].sequence
        if len(rows) < _ANSWERS_AT_ONCE:
            break
    return np.where(found > after, found, 0)


def last_replayed(records: Engine, operator_id: str, sequences: Sequences, since: int) -> Positions:
    """Return, for each of ``sequences`` (ascending), when an operator was given the revision again
    by a retry, if at ``since`` or later (seconds, UTC); 0 where it was not."""
    found = np.zeros(len(sequences), np.int64)
    asked = {"operator": operator_id, "since": since}
    with reading(records) as connection:
        for at, given in connection.execute(_AGAIN, asked):
            held = np.isin(sequences, np.frombuffer(given, np.int64))
            np.maximum(found, at, out=found, where=held)
    return found


def _last_by(records: Connection, operator_id: str, at: int) -> int:
    """Return the position of the last answer by ``at`` (seconds, UTC), 0 without any."""
    return records.execute(_LAST_BY, {"operator": operator_id, "at": at}).scalar() or 0
