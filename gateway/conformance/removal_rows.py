"""Rows of removals owed: acknowledged, locked, and how far events were followed. Within the
transaction of whoever asks."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, case, select, update

from consent.rules import CLOCKS_APART_SECONDS
from gateway.conformance.classify import Removal
from gateway.conformance.event_pages import WatchedEvent
from gateway.conformance.removal_tables import DUTIES, FOLLOWED, Finding
from gateway.conformance.spoken import Spoken
from gateway.storage.inserts import INSERT
from gateway.storage.paging import pages
from gateway.storage.writes import wrote

_KEYS_A_QUERY: Final = 500
_FOLLOWED: Final = "events"
DISCLOSED_AGAIN: Final = "gateway:disclosed-again"
"""Stands for the client that acknowledged a removal where none was: the copy was right again."""
SAID_BEFORE: Final = "gateway:said-before"
"""Stands for it where none was: the copy was gone by an earlier word, before the event."""
BY_THEMSELVES: Final = (DISCLOSED_AGAIN, SAID_BEFORE)
ACKNOWLEDGE: Final = (
    update(DUTIES)
    .where(
        DUTIES.c.operator_id == bindparam("of_operator"),
        DUTIES.c.event_sequence == bindparam("of_event"),
    )
    .values(
        removed_at=bindparam("removed_at"),
        acknowledged_at=bindparam("acknowledged_at"),
        acknowledged_by=bindparam("acknowledged_by"),
        finding=bindparam("finding"),
    )
)

_UNSAID: Final = (
    select(DUTIES.c.event_sequence, DUTIES.c.record_id, DUTIES.c.deadline, DUTIES.c.finding)
    .where(
        DUTIES.c.operator_id == bindparam("operator"),
        DUTIES.c.acknowledged_at.is_(None),
        DUTIES.c.event_sequence <= bindparam("until"),
    )
    .order_by(DUTIES.c.event_sequence)
    .with_for_update()
)
_SAID: Final = case((DUTIES.c.acknowledged_by.in_(BY_THEMSELVES), None), else_=DUTIES.c.removed_at)
_FOR_EVENTS: Final = select(DUTIES.c.event_sequence, DUTIES.c.deadline, _SAID).where(
    DUTIES.c.operator_id == bindparam("operator"),
    DUTIES.c.event_sequence.in_(bindparam("events", expanding=True)),
)
_COME_TO: Final = select(FOLLOWED.c.event_sequence).where(FOLLOWED.c.name == _FOLLOWED)


class GoneBefore(Exception):
    """A copy is told to be gone before the event it went for; ``at`` is its place among those
    told."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def newly_told(
    told: Sequence[tuple[int, int]], known: Mapping[int, Row[*tuple[Any, ...]]]
) -> tuple[dict[int, int], int]:
    """Return what is new of what is ``told``, each duty by its number with since when the copy is
    gone (seconds, UTC), the first word on each standing; and how many of it are taken: all before
    the first that is not ``known`` to be owed.

    Raises GoneBefore for the first duty that stands whose copy is told to be gone before it was
    owed. An operator's clock may be behind.
    """
    new: dict[int, int] = {}
    for at, (number, removed_at) in enumerate(told):
        duty = known.get(number)
        if duty is None:
            return new, at
        if duty.acknowledged_at is not None:
            continue
        if removed_at < duty.owed_since - CLOCKS_APART_SECONDS:
            raise GoneBefore(at)
        new.setdefault(number, removed_at)
    return new, len(told)


def removals_for(
    connection: Connection, operator_id: str, sequences: Collection[int]
) -> dict[int, Removal]:
    """Return what an operator owes, or has done, for those of the events for which that is written
    down. What ended by itself is no word on the event: its copy may have come back rightly."""
    return {
        sequence: Removal(deadline, removed_at)
        for some in pages(sequences)
        for sequence, deadline, removed_at in connection.execute(
            _FOR_EVENTS, {"operator": operator_id, "events": some}
        )
    }


def owing_of(
    connection: Connection, operator_id: str, sequences: Collection[int]
) -> dict[int, int]:
    """Return for which of the events an operator has not acknowledged the removal it owes, and
    by when it owes it (seconds, UTC)."""
    query = select(DUTIES.c.event_sequence, DUTIES.c.deadline).where(
        DUTIES.c.operator_id == operator_id, DUTIES.c.acknowledged_at.is_(None)
    )
    return {
        sequence: deadline
        for some in pages(sequences)
        for sequence, deadline in connection.execute(query.where(DUTIES.c.event_sequence.in_(some)))
    }


def attested_gone(
    connection: Connection,
    operator_id: str,
    spoken: Spoken,
    held: Collection[str],
    by: str,
    now: int,
) -> None:
    """Write that an attestation has shown gone what the events made void that it has ``spoken`` of,
    all but the copies of records ``held``: it stands for the operator's word.

    ``by`` is the client that attested, ``now`` the time (seconds, UTC).
    """
    unsaid = connection.execute(_UNSAID, {"operator": operator_id, "until": spoken.to})
    gone = [row for row in unsaid if row.record_id not in held and spoken.of(row.event_sequence)]
    if gone:
        connection.execute(
            ACKNOWLEDGE,
            [word_on(operator_id, row, now, by, now) for row in gone],
        )
        wrote(connection, DUTIES, [(operator_id, row.event_sequence) for row in gone])


def owed_no_more(connection: Connection, event: WatchedEvent) -> None:
    """Write that nothing is owed any more of copies that are right again since ``event``."""
    query = select(
        DUTIES.c.operator_id, DUTIES.c.event_sequence, DUTIES.c.deadline, DUTIES.c.finding
    ).where(
        DUTIES.c.record_id == event.record_id,
        DUTIES.c.revision_sequence.in_(event.restored),
        DUTIES.c.event_sequence < event.sequence,
        DUTIES.c.acknowledged_at.is_(None),
    )
    ended = connection.execute(query.with_for_update()).all()
    if ended:
        connection.execute(
            ACKNOWLEDGE,
            [word_on(row.operator_id, row, event.at, DISCLOSED_AGAIN, event.at) for row in ended],
        )
        wrote(connection, DUTIES, [(row.operator_id, row.event_sequence) for row in ended])


def word_on(
    operator_id: str, duty: Row[*tuple[Any, ...]], removed_at: int, by: str, now: int
) -> dict[str, Any]:
    """Return the parameters of `ACKNOWLEDGE` for the word of a client ``by``, given at ``now``,
    that a copy is gone since ``removed_at`` (seconds, UTC)."""
    return {
        "of_operator": operator_id,
        "of_event": duty.event_sequence,
        "removed_at": removed_at,
        "acknowledged_at": now,
        "acknowledged_by": by,
        "finding": after_word(duty, now),
    }


def after_word(duty: Row[*tuple[Any, ...]], now: int) -> Finding:
    """Return what becomes of the finding once the removal is acknowledged at ``now``.

    A word that came late leaves its trace, also where nobody had yet noticed.
    """
    if duty.finding == Finding.NONE and now >= duty.deadline:
        return Finding.DUE
    return Finding.CLOSING if duty.finding == Finding.OPEN else Finding(duty.finding)


def locked(
    connection: Connection, operator_id: str, sequences: Collection[int]
) -> Mapping[int, Row[*tuple[Any, ...]]]:
    """Return an operator's duties for events, which nobody else changes until the transaction
    ends."""
    ordered = sorted(sequences)
    query = (
        select(
            DUTIES.c.event_sequence,
            DUTIES.c.owed_since,
            DUTIES.c.deadline,
            DUTIES.c.acknowledged_at,
            DUTIES.c.finding,
        )
        .where(DUTIES.c.operator_id == operator_id)
        .order_by(DUTIES.c.event_sequence)
        .with_for_update()
    )
    return {
        row.event_sequence: row
        for start in range(0, len(ordered), _KEYS_A_QUERY)
        for row in connection.execute(
            query.where(DUTIES.c.event_sequence.in_(ordered[start : start + _KEYS_A_QUERY]))
        )
    }


def followed(connection: Connection) -> int:
    """Return the event up to which removals are written down."""
    return connection.execute(_COME_TO).scalar() or 0


def hold_followed(connection: Connection) -> None:
    """Have nobody else follow events until the transaction ends."""
    first = INSERT[connection.dialect.name](FOLLOWED).on_conflict_do_nothing()
    connection.execute(first, {"name": _FOLLOWED, "event_sequence": 0})
    connection.execute(_COME_TO.with_for_update())


def follow_to(connection: Connection, sequence: int) -> None:
    """Keep how far events were followed, which must be held; it never goes back."""
    connection.execute(
        update(FOLLOWED)
        .where(FOLLOWED.c.name == _FOLLOWED, FOLLOWED.c.event_sequence < sequence)
        .values(event_sequence=sequence)
    )
