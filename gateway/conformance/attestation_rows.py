"""Attestations as rows."""

from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from gateway.conformance.finding_tables import ATTESTATIONS, CHALLENGES, DRAWS, FINDINGS
from gateway.conformance.model import DISMISSED, Attestation

_A: Final = ATTESTATIONS.c
_COLUMNS: Final = [ATTESTATIONS.c[name] for name in Attestation._fields]
_BY_REQUEST: Final = select(*_COLUMNS).where(
    _A.operator_id == bindparam("operator"), _A.request_id == bindparam("request")
)
_LAST: Final = (
    select(_A.number, _A.at, _A.read_at)
    .where(_A.operator_id == bindparam("operator"))
    .order_by(_A.number.desc())
    .limit(1)
)


class Last(NamedTuple):
    """An operator's last attestation: its number, when it was made, and when its copies were read,
    None where that was not kept; seconds, UTC. Before the first the number is 0, and it was never
    made."""

    number: int
    at: int | None
    read_at: int | None


def attestation_by_request(
    connection: Connection, operator_id: str, request_id: str
) -> Attestation | None:
    """Return what an operator attested by a request; None where it did not."""
    asked = {"operator": operator_id, "request": request_id}
    row = connection.execute(_BY_REQUEST, asked).one_or_none()
    return None if row is None else Attestation(*row)


def attestation_of(connection: Connection, attestation_id: str) -> Attestation | None:
    """Return an attestation; None where there is none of that id."""
    query = select(*_COLUMNS).where(_A.attestation_id == attestation_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Attestation(*row)


def listed_attestations(
    connection: Connection,
    operator_id: str,
    from_: int | None,
    until: int | None,
    before: int,
    limit: int,
) -> list[Attestation]:
    """Return an operator's attestations of a period, newest first; ``before`` is the number an
    earlier page ended at, 0 for the first."""
    query = (
        select(*_COLUMNS)
        .where(_A.operator_id == operator_id)
        .order_by(_A.number.desc())
        .limit(limit)
    )
    if before:
        query = query.where(_A.number < before)
    if from_ is not None:
        query = query.where(_A.at >= from_)
    if until is not None:
        query = query.where(_A.at < until)
    return [Attestation(*row) for row in connection.execute(query)]


def last_attested(connection: Connection, operator_id: str) -> Last:
    """Return what an operator attested last; whoever makes the next has it locked."""
    row = connection.execute(_LAST, {"operator": operator_id}).one_or_none()
    return Last(0, None, None) if row is None else Last(*row)


def was_false(connection: Connection, attestation_id: str) -> bool:
    """Tell whether a copy drawn for an attestation was not shown, or differed."""
    query = (
        select(DRAWS.c.challenge_id)
        .join(CHALLENGES, CHALLENGES.c.challenge_id == DRAWS.c.challenge_id)
        .join(FINDINGS, FINDINGS.c.finding_id == CHALLENGES.c.finding_id)
        .where(DRAWS.c.attestation_id == attestation_id, FINDINGS.c.state != DISMISSED)
        .limit(1)
    )
    return connection.execute(query).first() is not None
