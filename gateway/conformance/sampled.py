"""What came of the copies drawn, and whether a certificate may rest on it."""

from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from gateway.conformance.finding_tables import CHALLENGES, DRAWS, UNANSWERED
from gateway.conformance.policy import ConformancePolicy

_C: Final = CHALLENGES.c
_SAMPLE: Final = select(
    func.count().filter(_C.confirmed.is_(True)),
    func.count().filter(_C.refreshed.is_(True)),
    func.min(func.coalesce(_C.show_by, _C.deadline)).filter(UNANSWERED),
).select_from(CHALLENGES)
_OF_ATTESTATION: Final = _SAMPLE.join(DRAWS, DRAWS.c.challenge_id == _C.challenge_id).where(
    DRAWS.c.attestation_id == bindparam("attestation")
)
_OF_OPERATOR: Final = _SAMPLE.where(
    _C.operator_id == bindparam("operator"), UNANSWERED | (_C.closed_at > bindparam("since"))
)


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
    return Sample(*connection.execute(_OF_ATTESTATION, {"attestation": attestation_id}).one())


def sample_since(connection: Connection, operator_id: str, since: int) -> Sample:
    """Return what came of all copies an operator was asked for, of those shown what was after
    ``since`` (seconds, UTC)."""
    asked = {"operator": operator_id, "since": since}
    return Sample(*connection.execute(_OF_OPERATOR, asked).one())
