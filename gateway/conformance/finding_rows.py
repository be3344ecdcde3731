"""Findings as rows: opened, closed, read."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from secrets import token_hex
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    RowMapping,
    Select,
    bindparam,
    case,
    insert,
    select,
    update,
)

from gateway.conformance.comparing import Dismissed
from gateway.conformance.finding_tables import FINDINGS, OF_FALSE, STANDS, WAITS
from gateway.conformance.model import (
    ATTESTATION_FALSE,
    DISMISSED,
    MISSING,
    OPEN,
    RECTIFIED,
    Difference,
    Finding,
)
from gateway.conformance.policy import ConformancePolicy
from gateway.storage.writes import wrote

_F = FINDINGS.c
_COLUMNS: Final = [FINDINGS.c[name] for name in Finding._fields]
_IDS_A_QUERY: Final = 500
_TIMES: Final = (
    update(FINDINGS)
    .where(_F.finding_id == bindparam("of_finding"))
    .values(
        counted_from=bindparam("counts"), deadline=bindparam("due"), waits_since=bindparam("waits")
    )
)

_OPEN: Final = insert(FINDINGS)
_OF_OPERATOR: Final = _F.operator_id == bindparam("operator")
_STANDING: Final = select(*_COLUMNS).where(_OF_OPERATOR, STANDS)
_DISMISSED: Final = select(_F.kind, _F.region, _F.record_id, _F.copy_digest).where(
    _OF_OPERATOR, _F.state == DISMISSED
)
_DISMISSED_COPIES: Final = _DISMISSED.where(_F.kind != ATTESTATION_FALSE)
_DISMISSED_FALSE: Final = _DISMISSED.where(OF_FALSE, _F.decided_at >= bindparam("since"))
_FALSE: Final = select(*_COLUMNS, _F.put_off).where(_OF_OPERATOR, OF_FALSE)
_MENDED: Final = (_F.state == RECTIFIED) & (_F.closed_at > bindparam("since"))
_FALSE_BEFORE: Final = _FALSE.where(_MENDED)
_NOW: Final = bindparam("now", type_=BigInteger)
_WAITED: Final = case((WAITS & (_F.waits_since < _NOW), _NOW - _F.waits_since), else_=0)
"""How long a finding has waited at ``now`` (seconds, UTC): `Finding.resumed` in SQL."""
_CLOSE: Final = (
    update(FINDINGS)
    .where(_F.finding_id.in_(bindparam("of_findings", expanding=True)))
    .values(
        state=RECTIFIED,
        closed_at=_NOW,
        counted_from=_F.counted_from + _WAITED,
        deadline=_F.deadline + _WAITED,
        waits_since=0,
    )
)
_EARLIEST_FALSE: Final = (
    _FALSE.where((STANDS & (_F.state == OPEN)) | _MENDED, _F.pardoned.is_(False))
    .order_by(_F.deadline + _F.put_off + _WAITED, _F.finding_id)
    .limit(1)
)


def dated_id(now: int) -> str:
    """Return an id nobody can guess, in order of time (seconds, UTC)."""
    return f"{now:010x}-{token_hex(12)}"


def new_finding(
    policy: ConformancePolicy,
    operator_id: str,
    difference: Difference,
    attestation_id: str,
    now: int,
    instead_of: Finding | None = None,
) -> Finding:
    """Return the finding of a difference, open since ``now``.

    ``instead_of`` is what the same copy was found to be before: its time goes on.
    """
    counts = difference.kind != MISSING
    counted_from = now if counts else 0
    deadline = now + policy.rectify_seconds(difference.severity) if counts else 0
    if counts and instead_of is not None:
        counted_from = min(counted_from, instead_of.counted_from)
        deadline = min(deadline, instead_of.deadline)
    return Finding(
        finding_id=dated_id(now),
        operator_id=operator_id,
        record_id=difference.record_id,
        kind=difference.kind,
        state=OPEN,
        severity=difference.severity,
        held_digest=difference.held_digest,
        event_sequence=difference.event_sequence,
        revision_sequence=difference.revision_sequence,
        copy_digest=difference.copy_digest,
        attestation_id=attestation_id,
        detected_at=now,
        counted_from=counted_from,
        deadline=deadline,
        closed_at=0,
        pardoned=False,
        contest_statement="",
        evidence_digest=b"",
        contested_at=0,
        decided_at=0,
        decided_by="",
        decision_reason="",
        region=difference.region,
    )


def write_findings(connection: Connection, findings: Sequence[Finding]) -> None:
    """Write new findings; their operator must be locked."""
    if findings:
        connection.execute(_OPEN, [each._asdict() for each in findings])
        wrote(connection, FINDINGS, [(each.finding_id,) for each in findings])


def close_findings(connection: Connection, finding_ids: Iterable[str], now: int) -> None:
    """Write that findings are rectified, as of which they wait no longer; their operator must be
    locked."""
    for some in _groups(finding_ids):
        connection.execute(_CLOSE, {"of_findings": some, "now": now})
        wrote(connection, FINDINGS, [(each,) for each in some])


def keep_waiting(
    connection: Connection, standing: Iterable[Finding], waiting: Collection[str], now: int
) -> None:
    """Write which of the findings that stand wait, by their ids, from ``now`` on (seconds, UTC)
    where they did not before, and put off the others by as long as they did; their operator must be
    locked."""
    changed = [
        each._replace(waits_since=now) if each.finding_id in waiting else each.resumed(now)
        for each in standing
        if (each.finding_id in waiting) != (each.waits_since > 0)
    ]
    if changed:
        connection.execute(_TIMES, [_times(each) for each in changed])
        wrote(connection, FINDINGS, [(each.finding_id,) for each in changed])


def _times(finding: Finding) -> dict[str, Any]:
    return {
        "of_finding": finding.finding_id,
        "counts": finding.counted_from,
        "due": finding.deadline,
        "waits": finding.waits_since,
    }


def standing_findings(connection: Connection, operator_id: str) -> list[Finding]:
    """Return the findings that stand against an operator, those it contests too."""
    return [Finding(*row) for row in connection.execute(_STANDING, {"operator": operator_id})]


def dismissed_copies(connection: Connection, operator_id: str) -> set[Dismissed]:
    """Return the copies of which an administrator dismissed the finding, false attestations
    left out: these are of a word, not of a copy (`dismissed_false`)."""
    return _dismissed(connection, _DISMISSED_COPIES, {"operator": operator_id})


def dismissed_false(connection: Connection, operator_id: str, since: int) -> set[Dismissed]:
    """Return the copies of which a false attestation was dismissed at ``since`` (seconds, UTC)
    or later."""
    return _dismissed(connection, _DISMISSED_FALSE, {"operator": operator_id, "since": since})


def _dismissed(
    connection: Connection, query: Select[*tuple[Any, ...]], asked: Mapping[str, object]
) -> set[Dismissed]:
    return {
        Dismissed(kind, (region, record_id), digest)
        for kind, region, record_id, digest in connection.execute(query, asked)
    }


def false_before(connection: Connection, operator_id: str, since: int) -> list[Finding]:
    """Return the false attestations of an operator that were rectified after ``since``
    (seconds, UTC), their time as it goes on."""
    asked = {"operator": operator_id, "since": since}
    return [_going_on(row) for row in connection.execute(_FALSE_BEFORE, asked)]


def earliest_false(
    connection: Connection, operator_id: str, since: int, now: int
) -> Finding | None:
    """Return, of the false attestations of an operator that stand at ``now``, or were rectified
    after ``since`` (seconds, UTC), that with the earliest deadline, whatever record it is about, its
    time as it goes on; None without any. What is contested or pardoned is left out."""
    asked = {"operator": operator_id, "since": since, "now": now}
    row = connection.execute(_EARLIEST_FALSE, asked).one_or_none()
    return None if row is None else _going_on(row).resumed(now)


def _going_on(row: Row[*tuple[Any, ...]]) -> Finding:
    """Return a finding, its time later by what it was put off since it was rectified: what is
    rectified keeps its own, which its stage follows from."""
    *values, put_off = row
    finding = Finding(*values)
    return finding._replace(
        counted_from=finding.counted_from + put_off, deadline=finding.deadline + put_off
    )


def standing_of_record(
    connection: Connection, operator_id: str, record_id: str, kind: int
) -> Sequence[str]:
    """Return the ids of findings of one kind and record that stand against an operator."""
    query = select(_F.finding_id).where(
        _F.operator_id == operator_id, _F.kind == kind, _F.record_id == record_id, STANDS
    )
    return connection.execute(query).scalars().all()


def finding_of(connection: Connection, finding_id: str) -> Finding | None:
    """Return a finding; None where there is none of that id."""
    query = select(*_COLUMNS).where(_F.finding_id == finding_id)
    row: RowMapping | None = connection.execute(query).mappings().one_or_none()
    return None if row is None else Finding(**row)


def listed_findings(
    connection: Connection,
    *,
    operator_id: str,
    attestation_id: str,
    state: int,
    before: str,
    limit: int,
) -> list[Finding]:
    """Return findings against an operator, newest first; "" and 0 narrow nothing.

    ``before`` is the id an earlier page ended at.
    """
    query = (
        select(*_COLUMNS)
        .where(_F.operator_id == operator_id)
        .order_by(_F.finding_id.desc())
        .limit(limit)
    )
    if attestation_id:
        query = query.where(_F.attestation_id == attestation_id)
    if state:
        query = query.where(_F.state == state)
    if before:
        query = query.where(_F.finding_id < before)
    return [Finding(*row) for row in connection.execute(query)]


def _groups(finding_ids: Iterable[str]) -> Iterator[list[str]]:
    left = iter(finding_ids)
    while some := list(islice(left, _IDS_A_QUERY)):
        yield some
