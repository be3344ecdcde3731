"""What came of the copies drawn, and whether a certificate may rest on it."""

from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select

from gateway.conformance.finding_tables import CHALLENGES, DRAWS, UNANSWERED
from gateway.conformance.policy import ConformancePolicy

_C: Final = CHALLENGES.c


class Sample(NamedTuple):
    """Copies that were asked for: how many were shown right and had been kept (``confirmed``),
    how many shown right after they were served again (``refreshed``), and by when the first of
    those not shown must be (seconds, UTC), None where all are shown."""

    confirmed: int
    refreshed: int
    show_by: int | None

    def proves(self, policy: ConformancePolicy, now: int) -> bool:
        """Tell whether a certificate may count at ``now`` (seconds, UTC), as far as this shows."""
        shown = self.confirmed + self.refreshed
        if self.show_by is not None and now >= self.show_by:
            return False
        return self.refreshed <= policy.sampling.refreshed_share * shown


def sample_of(connection: Connection, attestation_id: str) -> Sample:
    """Return what came of the copies drawn for an attestation."""
    query = _sample().join(DRAWS, DRAWS.c.challenge_id == _C.challenge_id)
    return Sample(*connection.execute(query.where(DRAWS.c.attestation_id == attestation_id)).one())


def sample_since(connection: Connection, operator_id: str, since: int) -> Sample:
    """Return what came of all copies an operator was asked for, of those shown what was after
    ``since`` (seconds, UTC)."""
    of_time: ColumnElement[bool] = UNANSWERED | (_C.closed_at > since)
    query = _sample().where(_C.operator_id == operator_id, of_time)
    return Sample(*connection.execute(query).one())


def _sample() -> Select[*tuple[Any, ...]]:
    return select(
        func.count().filter(_C.confirmed.is_(True)),
        func.count().filter(_C.refreshed.is_(True)),
        func.min(func.coalesce(_C.show_by, _C.deadline)).filter(UNANSWERED),
    ).select_from(CHALLENGES)
