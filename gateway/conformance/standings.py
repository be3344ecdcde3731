"""How operators stand, as rows: one for each, locked by whoever changes what stands against it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from gateway.conformance.finding_tables import (
    FINDINGS,
    OF_FALSE,
    STAGE_CHANGES,
    STANDINGS,
    STANDS,
    WAITS,
)
from gateway.conformance.model import MISSING, NONE, OPEN, RECTIFIED, Stage, StageChange, Standing
from gateway.conformance.stages import Against
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT
from gateway.storage.writes import wrote

_S = STANDINGS.c
_F = FINDINGS.c
_FIRST: Final = 1
"""How often an operator's row was touched that was only made by that."""
_OWN: Final = update(STANDINGS).where(_S.operator_id == bindparam("of_operator"))
_TOUCH: Final = {
    dialect: add(STANDINGS)
    .on_conflict_do_update(index_elements=[_S.operator_id], set_={"touched": _S.touched + 1})
    .returning(_S.touched)
    for dialect, add in INSERT.items()
}
_DUE: Final = _OWN.values(attestation_due=bindparam("due"))
_COUNT: Final = _OWN.values(
    challenged=_S.challenged + bindparam("issued"),
    confirmed=_S.confirmed + bindparam("more_confirmed"),
    refreshed=_S.refreshed + bindparam("more_refreshed"),
)
_AGAINST: Final = (
    select(
        _F.kind,
        func.min(_F.counted_from),
        func.min(_F.deadline),
        _F.pardoned,
        func.count(),
        WAITS,
    )
    .where(
        _F.operator_id == bindparam("operator"),
        STANDS,
        _F.state == OPEN,
        _F.kind != MISSING,
    )
    .group_by(_F.kind, _F.pardoned, WAITS)
)
_MENDED: Final = (
    select(_F.kind, func.min(_F.counted_from), func.min(_F.deadline), _F.pardoned, _F.closed_at)
    .where(
        _F.operator_id == bindparam("operator"),
        OF_FALSE,
        _F.state == RECTIFIED,
        _F.closed_at > bindparam("since"),
    )
    .group_by(_F.kind, _F.pardoned, _F.closed_at)
)
_UNSETTLED: Final = select(_S.operator_id, _S.stage, _S.touched, _S.pardon)
_BEHIND: Final = _UNSETTLED.where(
    (_S.touched > _S.settled) | ((_S.settle_at > 0) & (_S.settle_at <= bindparam("now")))
)
_SETTLE: Final = _OWN.values(settled=bindparam("settled_to"), settle_at=bindparam("next_at"))
_LAST_CHANGE: Final = select(func.max(STAGE_CHANGES.c.sequence))


class Unsettled(NamedTuple):
    """An operator whose stage is to be worked out anew; ``touched`` is how often what stands
    against it has changed until now, ``pardon`` the change of authority by which a suspension was
    lifted that was taken in last, 0 where none was."""

    operator_id: str
    stage: Stage
    touched: int
    pardon: int


def touch(connection: Connection, operator_id: str, now: int) -> None:
    """Lock an operator's row until the transaction ends, and have its stage settled anew."""
    first = {
        "operator_id": operator_id,
        "stage": NONE,
        "since": now,
        "touched": _FIRST,
        "settled": 0,
        "settle_at": 0,
        "attestation_due": 0,
        "challenged": 0,
        "confirmed": 0,
        "refreshed": 0,
    }
    if connection.execute(_TOUCH[connection.dialect.name], first).scalar_one() == _FIRST:
        _wrote(connection, operator_id)


def standing_of(connection: Connection, operator_id: str) -> Standing | None:
    """Return how an operator stands; None where nothing is known of it."""
    query = select(
        _S.operator_id,
        _S.stage,
        _S.since,
        _S.attestation_due,
        _S.challenged,
        _S.confirmed,
        _S.refreshed,
    ).where(_S.operator_id == operator_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Standing(*row)


def attestation_due(connection: Connection, operator_id: str, due: int) -> None:
    """Keep by when an operator must attest again, 0 for never; its row must be there."""
    connection.execute(_DUE, {"of_operator": operator_id, "due": due})
    _wrote(connection, operator_id)


def count_challenges(
    connection: Connection,
    operator_id: str,
    *,
    issued: int = 0,
    confirmed: int = 0,
    refreshed: int = 0,
) -> None:
    """Count copies asked for, shown right, and shown right once they were served again; the
    operator's row must be there."""
    more = {"issued": issued, "more_confirmed": confirmed, "more_refreshed": refreshed}
    connection.execute(_COUNT, {"of_operator": operator_id, **more})
    _wrote(connection, operator_id)


def unsettled(connection: Connection, now: int, *, all_of_them: bool) -> list[Unsettled]:
    """Return the operators whose findings or whose time has come further than their stage."""
    query, asked = (_UNSETTLED, {}) if all_of_them else (_BEHIND, {"now": now})
    return [Unsettled(*row) for row in connection.execute(query, asked)]


def all_against(
    connection: Connection, operator_id: str, false_since: int
) -> tuple[list[Against], int]:
    """Return the open findings against an operator by kind, and how many they are; what is
    for information is left out. Those that wait to be asked for are counted alone. With them, not counted, false attestations rectified after
    ``false_since`` (seconds, UTC)."""
    rows = connection.execute(_AGAINST, {"operator": operator_id}).all()
    mended = connection.execute(_MENDED, {"operator": operator_id, "since": false_since})
    against = [Against(*row[:4]) for row in rows if not row[5]]
    against += [Against(*row) for row in mended]
    return against, sum(row[4] for row in rows)


def settle(
    connection: Connection,
    before: Unsettled,
    stage: Stage,
    standing: int,
    settle_at: int | None,
    now: int,
) -> None:
    """Write the stage an operator has come to, and when time alone may change it.

    What changed since ``before`` was read is settled another time.
    """
    own = {"of_operator": before.operator_id}
    connection.execute(_SETTLE, {**own, "settled_to": before.touched, "next_at": settle_at or 0})
    if stage != before.stage:
        connection.execute(_OWN.values(stage=stage, since=now), own)
        _wrote(connection, before.operator_id)
        change = insert(STAGE_CHANGES).values(
            operator_id=before.operator_id, stage=stage, at=now, standing=standing
        )
        kept = connection.execute(change.returning(STAGE_CHANGES.c.sequence)).all()
        wrote(connection, STAGE_CHANGES, kept)


def _wrote(connection: Connection, operator_id: str) -> None:
    wrote(connection, STANDINGS, [(operator_id,)])


def took_in(connection: Connection, operator_id: str, pardon: int) -> None:
    """Keep which lifting of an operator's suspension was taken in last, by the sequence of that
    change of authority; its row must be there."""
    connection.execute(update(STANDINGS).where(_S.operator_id == operator_id).values(pardon=pardon))


class Standings:
    """Reads how operators stand. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, operator_id: str) -> Standing | None:
        """Return how an operator stands; None where nothing is known of it."""
        with reading(self._engine) as connection:
            return standing_of(connection, operator_id)

    def changes(self, operator_id: str, most: int) -> Sequence[StageChange]:
        """Return the last changes of an operator's stage, newest first."""
        query = (
            select(STAGE_CHANGES.c.stage, STAGE_CHANGES.c.at, STAGE_CHANGES.c.standing)
            .where(STAGE_CHANGES.c.operator_id == operator_id)
            .order_by(STAGE_CHANGES.c.sequence.desc())
            .limit(most)
        )
        with reading(self._engine) as connection:
            return [StageChange(*row) for row in connection.execute(query)]

    def last_change(self) -> int:
        """Return the sequence of the last change of any operator's stage, 0 before the first."""
        with reading(self._engine) as connection:
            return connection.execute(_LAST_CHANGE).scalar() or 0

    def in_stage(self, stage: Stage) -> frozenset[str]:
        """Return the operators that stand in one stage."""
        query = select(_S.operator_id).where(_S.stage == stage)
        with reading(self._engine) as connection:
            return frozenset(connection.execute(query).scalars())
