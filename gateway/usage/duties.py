"""Duties to agree with use, kept: who was reminded, and who is refused until it agrees.

Whether somebody is refused follows from its row and its cosignature together, so that a
cosignature that reaches far enough lets it go on by itself, whoever has the turn meanwhile.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.raising import raise_alert
from gateway.storage.engines import reading
from gateway.storage.writes import wrote
from gateway.usage.duty import Duty, Looked, duty_after, refused_from_on
from gateway.usage.logs import OperatorLogs
from gateway.usage.places import made_at
from gateway.usage.policy import AgreementPolicy
from gateway.usage.tables import AGREEMENT_DUTIES, COSIGNATURES

_HOUR: Final = 3_600
_D: Final = AGREEMENT_DUTIES.c
_AGREED: Final = func.coalesce(COSIGNATURES.c.size, 0)
_JOINED: Final = AGREEMENT_DUTIES.outerjoin(
    COSIGNATURES, COSIGNATURES.c.operator_id == _D.operator_id
)


class Unsigned(NamedTuple):
    """An operator that is refused: since when it has not agreed (seconds, UTC), and with how
    many uses it must."""

    since: int
    size: int


class Owed(NamedTuple):
    """What an operator has yet to agree with: uses ``logged`` in all, the oldest made at
    ``since``, None where it has agreed with all; ``refused_from`` is when it is refused for it,
    None for never; ``due`` how many it must agree with to be served again, 0 while it is."""

    logged: int
    since: int | None
    refused_from: int | None
    due: int


class AgreementDuties:
    """Reads and works out duties. Calls block; `step` is of whoever has the turn."""

    def __init__(
        self,
        records: Engine,
        evidence: Engine,
        logs: OperatorLogs,
        policy: AgreementPolicy,
    ) -> None:
        self._records = records
        self._evidence = evidence
        self._logs = logs
        self._policy = policy

    def refused(self) -> Mapping[str, Unsigned]:
        """Return who is refused until it agrees."""
        query = select(_D.operator_id, _D.since, _D.due).select_from(_JOINED)
        with reading(self._evidence) as connection:
            rows = connection.execute(query.where(_D.due > _AGREED))
            return {operator_id: Unsigned(*rest) for operator_id, *rest in rows}

    def of(self, operator_id: str) -> Owed:
        """Return what an operator has yet to agree with."""
        query = select(_D.since, _D.due, _D.spared_until, _AGREED).select_from(_JOINED)
        with reading(self._evidence) as connection:
            row = connection.execute(query.where(_D.operator_id == operator_id)).first()
        logged = self._logs.standing(operator_id).size
        if row is None:
            return Owed(logged, None, None, 0)
        since, due, spared, agreed = row
        if agreed >= logged:
            return Owed(logged, None, None, 0)
        refused_from = refused_from_on(self._policy, operator_id, since, spared)
        return Owed(logged, since, refused_from, due if due > agreed else 0)

    def step(self, operators: Collection[str], now: int) -> None:
        """Work out the duties of these operators at ``now`` (seconds, UTC), and remind them."""
        with reading(self._evidence) as connection:
            standings = self._logs.standings(connection)
            agreed = dict(
                connection.execute(select(COSIGNATURES.c.operator_id, COSIGNATURES.c.size)).all()
            )
            duties = {
                row.operator_id: Duty(
                    row.agreed, row.since, row.reminded, row.due, row.spared_until
                )
                for row in connection.execute(select(AGREEMENT_DUTIES))
            }
        changed: dict[str, Duty | None] = {}
        for operator_id in sorted(standings.keys() & set(operators)):
            standing, before = standings[operator_id], duties.get(operator_id)
            size = agreed.get(operator_id, 0)
            made = now
            if before is not None and before.agreed < size < standing.size:
                made = self._made_at(operator_id, size, standing.sequence, now)
            looked = Looked(standing.size, size, made, now)
            after = duty_after(before, looked, operator_id, self._policy)
            if after != before:
                changed[operator_id] = after
        if changed:
            with self._evidence.begin() as connection:
                for operator_id, after in changed.items():
                    before = duties.get(operator_id)
                    _keep(connection, operator_id, before, after)
                    if after is not None and after.reminded and not (before and before.reminded):
                        self._remind(connection, operator_id, after, now)

    def _made_at(self, operator_id: str, place: int, sequence: int, now: int) -> int:
        with reading(self._records) as connection:
            found = made_at(connection, operator_id, place, sequence)
        return now if found is None else found

    def _remind(self, connection: Connection, operator_id: str, duty: Duty, now: int) -> None:
        raise_alert(
            connection,
            operator_id,
            AlertKind.ALERT_KIND_UNSIGNED_USAGE,
            hour=duty.since // _HOUR,
            purpose=0,
            started_at=duty.since,
            counted=(now - duty.since) // _HOUR,
            threshold=self._policy.remind_seconds // _HOUR,
            now=now,
        )


def agreement_step(
    duties: AgreementDuties, operators: Callable[[], Collection[str]]
) -> Callable[[int], object]:
    """Return the step that works out the duties of whoever ``operators`` gives by then."""

    def agreements(now: int) -> None:
        duties.step(operators(), now)

    return agreements


def _keep(
    connection: Connection, operator_id: str, before: Duty | None, after: Duty | None
) -> None:
    own = _D.operator_id == operator_id
    if after is None:
        connection.execute(delete(AGREEMENT_DUTIES).where(own))
    elif before is None:
        connection.execute(
            insert(AGREEMENT_DUTIES).values(operator_id=operator_id, **after._asdict())
        )
    else:
        connection.execute(update(AGREEMENT_DUTIES).where(own).values(after._asdict()))
    wrote(connection, AGREEMENT_DUTIES, [(operator_id,)])
