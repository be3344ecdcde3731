"""Settling: the stage each operator has come to, and the suspension that goes with it."""

from typing import Final

from sqlalchemy import Connection, Engine, bindparam, select, update

from gateway.conformance.finding_tables import ATTESTATIONS, FINDINGS, OF_FALSE, STANDS
from gateway.conformance.model import MISSING, RECTIFIED, SUSPENDED, THROTTLED, Stage
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.stages import next_boundary, settled, worst
from gateway.conformance.standings import (
    Standings,
    Unsettled,
    all_against,
    settle,
    took_in,
    touch,
    unsettled,
)
from gateway.conformance.suspension import Suspensions
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.writes import wrote
from operators.suspended import Suspension

_F: Final = FINDINGS.c
_A: Final = ATTESTATIONS.c
_COUNTS: Final = (_F.operator_id == bindparam("operator"), _F.kind != MISSING)
_STANDING: Final = select(_F.finding_id).where(*_COUNTS, STANDS).limit(1)
_RECTIFIED: Final = (
    select(_F.finding_id)
    .where(*_COUNTS, _F.state == RECTIFIED, _F.closed_at >= bindparam("since"))
    .limit(1)
)
_CLEAN: Final = (
    select(_A.attestation_id)
    .where(
        _A.operator_id == bindparam("operator"),
        _A.at >= bindparam("since"),
        _A.standing == 0,
    )
    .limit(1)
)


class Settling:
    """Works in one process at a time (`gateway.storage.turn.ENFORCEMENT`). Calls block."""

    def __init__(self, engine: Engine, policy: ConformancePolicy, suspensions: Suspensions) -> None:
        self._engine = engine
        self._policy = policy
        self._suspensions = suspensions
        self._standings = Standings(engine)
        self._seen = -1

    def step(self, now: int) -> None:
        """Settle every operator whose findings or whose time have come further, and with the
        first step all: the policy may be another than it was."""
        head = self._suspensions.head()
        if head != self._seen:
            # Authority has changed: an administrator may have lifted a suspension.
            self._look_again(now)
        with reading(self._engine) as connection:
            waiting = unsettled(connection, now, all_of_them=self._seen < 0)
        for operator in waiting:
            self._settle(operator, now)
        self._seen = head

    def _look_again(self, now: int) -> None:
        for operator_id in self._standings.in_stage(SUSPENDED):
            with bounded(self._engine) as connection:
                touch(connection, operator_id, now)

    def _settle(self, before: Unsettled, now: int) -> None:
        present = self._suspensions.of(before.operator_id)
        if present is not None and present.pardon not in (0, before.pardon):
            self._pardon(before.operator_id, present)
        with reading(self._engine) as connection:
            against, standing = all_against(
                connection, before.operator_id, now - self._policy.false_seconds
            )
            cleared = _cleared(connection, before.operator_id, present)
        reached = worst(self._policy, against, now)
        stage = settled(_present_stage(before, present), reached, cleared=cleared)
        if present is not None and not self._enforced(present, stage, now):
            # It was changed meanwhile, and is settled with the next step.
            return
        boundaries = [next_boundary(self._policy, each, now) for each in against]
        settle_at = min((at for at in boundaries if at is not None), default=None)
        with bounded(self._engine) as connection:
            settle(connection, before, stage, standing, settle_at, now)

    def _enforced(self, present: Suspension, stage: Stage, now: int) -> bool:
        """Suspend or reinstate as ``stage`` demands; False where that could not be written."""
        if stage == SUSPENDED and present.active:
            return self._suspensions.suspend(present, now)
        if stage != SUSPENDED and present.own:
            return self._suspensions.reinstate(present, now)
        return True

    def _pardon(self, operator_id: str, present: Suspension) -> None:
        """Write down that findings of before the pardon suspend no more: an administrator, who
        knew of them, has lifted the suspension they led to.

        It is taken in once: what is found afterwards, in the same second too, it is not of.
        """
        rows = (
            _F.operator_id == operator_id,
            # What was rectified may count on.
            STANDS | (OF_FALSE & (_F.state == RECTIFIED)),
            _F.kind != MISSING,
            _F.pardoned.is_(False),
            _F.detected_at <= present.pardoned_at,
        )
        with bounded(self._engine) as connection:
            pardoned = update(FINDINGS).where(*rows).values(pardoned=True)
            found = connection.execute(pardoned.returning(_F.finding_id)).all()
            wrote(connection, FINDINGS, found)
            took_in(connection, operator_id, present.pardon)


def _present_stage(before: Unsettled, present: Suspension | None) -> Stage:
    # Whether a suspension for findings stands authority alone tells.
    if present is not None and present.own:
        return SUSPENDED
    return min(before.stage, THROTTLED)


def _cleared(connection: Connection, operator_id: str, present: Suspension | None) -> bool:
    """Tell whether a suspension for findings may end: nothing stands any more, contested or
    not, and the operator has shown so by an attestation, unless all was dismissed."""
    if connection.execute(_STANDING, {"operator": operator_id}).first() is not None:
        return False
    since = 0 if present is None else present.since
    asked = {"operator": operator_id, "since": since}
    if connection.execute(_RECTIFIED, asked).first() is None:
        return True
    return connection.execute(_CLEAN, asked).first() is not None
