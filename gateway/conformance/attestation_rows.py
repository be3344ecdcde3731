"""Attestations as rows."""

from typing import Final

from sqlalchemy import Connection, func, select

from gateway.conformance.finding_tables import ATTESTATIONS, CHALLENGES, DRAWS, FINDINGS
from gateway.conformance.model import DISMISSED, Attestation

_A: Final = ATTESTATIONS.c
_COLUMNS: Final = [ATTESTATIONS.c[name] for name in Attestation._fields]


def attestation_by_request(
    connection: Connection, operator_id: str, request_id: str
) -> Attestation | None:
    """Return what an operator attested by a request; None where it did not."""
    query = select(*_COLUMNS).where(_A.operator_id == operator_id, _A.request_id == request_id)
    row = connection.execute(query).one_or_none()
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


def next_number(connection: Connection, operator_id: str) -> int:
    """Return the number of an operator's next attestation; the operator must be locked."""
    query = select(func.max(_A.number)).where(_A.operator_id == operator_id)
    return (connection.execute(query).scalar() or 0) + 1


def last_attested_at(connection: Connection, operator_id: str) -> int | None:
    """Return when an operator attested last, in seconds UTC; None before the first time."""
    query = select(_A.at).where(_A.operator_id == operator_id).order_by(_A.number.desc()).limit(1)
    return connection.execute(query).scalar()


def last_read_at(connection: Connection, operator_id: str) -> int | None:
    """Return when the copies were read that an operator attested last, in seconds UTC; None before
    the first time, and where that was not kept."""
    query = select(_A.read_at).where(_A.operator_id == operator_id)
    return connection.execute(query.order_by(_A.number.desc()).limit(1)).scalar()


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
