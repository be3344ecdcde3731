"""What came of the copies drawn, and whether a certificate may rest on it."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select

from gateway.conformance.finding_tables import CHALLENGES, DRAWS, UNANSWERED
from gateway.conformance.policy import ConformancePolicy

_C: Final = CHALLENGES.c
_SHOWN: Final = select(
    func.count().filter(_C.confirmed.is_(True)),
    func.count().filter(_C.refreshed.is_(True)),
).select_from(CHALLENGES)
_UNSHOWN: Final = (
    select(_C.revision_sequence)
    .select_from(CHALLENGES)
    .where(UNANSWERED, func.coalesce(_C.show_by, _C.deadline) <= bindparam("now"))
)
_DRAWN: Final = DRAWS.c.challenge_id == _C.challenge_id
_FOR_ATTESTATION: Final = DRAWS.c.attestation_id == bindparam("attestation")
_OF_OPERATOR: Final = _C.operator_id == bindparam("operator")
_SHOWN_FOR: Final = _SHOWN.join(DRAWS, _DRAWN).where(_FOR_ATTESTATION)
_UNSHOWN_FOR: Final = _UNSHOWN.join(DRAWS, _DRAWN).where(_FOR_ATTESTATION)
_SHOWN_BY: Final = _SHOWN.where(_OF_OPERATOR, _C.closed_at > bindparam("since"))
_UNSHOWN_BY: Final = _UNSHOWN.where(_OF_OPERATOR)


class Sample(NamedTuple):
    """Copies that were asked for: how many were shown right and had been kept (``confirmed``), how
    many shown right after they were served again (``refreshed``), and the revisions, by their
    sequences, of those that should be shown by now and are not (``unshown``)."""

    confirmed: int
    refreshed: int
    unshown: frozenset[int]

    def proves(self, policy: ConformancePolicy, ended: frozenset[int]) -> bool:
        """Tell whether a certificate may count, as far as this shows. Of ``ended`` revisions, which
        are disclosed no longer, no copy need be shown: it had to go."""
        shown = self.confirmed + self.refreshed
        return self.unshown <= ended and self.refreshed <= policy.sampling.refreshed_share * shown


def sample_of(connection: Connection, attestation_id: str, now: int) -> Sample:
    """Return what came by ``now`` (seconds, UTC) of the copies drawn for an attestation."""
    asked = {"attestation": attestation_id, "now": now}
    return _sample(connection, _SHOWN_FOR, _UNSHOWN_FOR, asked)


def sample_since(connection: Connection, operator_id: str, since: int, now: int) -> Sample:
    """Return what came by ``now`` of all copies an operator was asked for, of those shown what was
    after ``since`` (seconds, UTC)."""
    asked = {"operator": operator_id, "since": since, "now": now}
    return _sample(connection, _SHOWN_BY, _UNSHOWN_BY, asked)


def _sample(
    connection: Connection,
    shown: Select[int, int],
    unshown: Select[int],
    asked: Mapping[str, Any],
) -> Sample:
    confirmed, refreshed = connection.execute(shown, asked).one()
    return Sample(confirmed, refreshed, frozenset(connection.execute(unshown, asked).scalars()))
