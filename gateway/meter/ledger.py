"""The usage ledger: groups of claims become durable in one transaction.

In that transaction each claim is checked against what only the store can know: that
its id is new (or an honest retry), that no subject's disclosure changed since it was
read, and that the quota allows it. So the instant of commit is the instant of
serving: a correction, repair or withdrawal committed before it is always seen.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, and_, func, insert, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.disclose.store import DISCLOSURE_LOCK
from gateway.disclose.tables import EVENTS
from gateway.meter.model import (
    Charged,
    NotCharged,
    Outcome,
    RefusalEntry,
    Replayed,
    Stale,
    UsageClaim,
    unpack_entries,
)
from gateway.meter.tables import QUOTA, REFUSALS, USAGE
from gateway.storage.engines import reading

SECONDS_A_DAY: Final = 86_400
_INSERT_USAGE: Final = insert(USAGE)
_INSERT_REFUSALS: Final = insert(REFUSALS)
_HEAD: Final = select(func.max(EVENTS.c.sequence))


class UsageLedger:
    """Writes claims and refusals on SQLite or PostgreSQL; one writer a process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._postgresql = engine.dialect.name == "postgresql"

    def commit(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry] = ()
    ) -> list[Outcome]:
        """Make a group durable and return each claim's outcome, in order.

        Keys must differ within the group. Nothing of a claim is written unless its
        outcome is Charged. Raises what the store raises when it cannot be reached;
        then nothing was written.
        """
        try:
            return self._attempt(claims, refusals, known={})
        except IntegrityError:
            # Some id was used before. Rare, so found out only now, once for the group.
            while True:
                with reading(self._engine) as connection:
                    known = _known(connection, claims)
                try:
                    return self._attempt(claims, refusals, known)
                except IntegrityError:
                    continue

    def _attempt(
        self,
        claims: Sequence[UsageClaim],
        refusals: Sequence[RefusalEntry],
        known: dict[tuple[str, str, int], Any],
    ) -> list[Outcome]:
        with self._engine.begin() as connection:
            if self._postgresql:
                connection.execute(text(f"SELECT pg_advisory_xact_lock_shared({DISCLOSURE_LOCK})"))
            outcomes: list[Outcome] = []
            rows: list[dict[str, Any]] = []
            changed = _changed_subjects(connection, claims)
            quota = _QuotaBook(connection)
            for claim in claims:
                outcome = _judge(claim, known.get(claim.key), changed, quota)
                outcomes.append(outcome)
                if isinstance(outcome, Charged):
                    rows.append(_row(claim, outcome.fee))
            quota.write()
            if rows:
                connection.execute(_INSERT_USAGE, rows)
            if refusals:
                connection.execute(_INSERT_REFUSALS, [_refusal_row(entry) for entry in refusals])
        return outcomes


def _judge(
    claim: UsageClaim, earlier: Any, changed: dict[str, int], quota: "_QuotaBook"
) -> Outcome:
    if changed and any(
        changed.get(subject, 0) > claim.disclosure_sequence for subject in claim.subjects
    ):
        return Stale()
    if earlier is not None:
        return _judge_retry(claim, earlier)
    if not quota.take(claim):
        return NotCharged(
            RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED,
            SECONDS_A_DAY - claim.served_at % SECONDS_A_DAY,
        )
    return Charged(claim.fee)


def _judge_retry(claim: UsageClaim, earlier: Any) -> Outcome:
    if bytes(earlier.payload_digest) != claim.payload_digest:
        return NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED)
    if claim.served_at >= earlier.served_at + claim.replay_seconds:
        return NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED)
    paid = set(unpack_entries(bytes(earlier.entries)))
    if not paid.issuperset(unpack_entries(claim.entries)):
        return NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED)
    return Replayed(earlier.decision_id)


def _known(connection: Connection, claims: Iterable[UsageClaim]) -> dict[tuple[str, str, int], Any]:
    keys = [
        and_(
            USAGE.c.operator_id == claim.operator_id,
            USAGE.c.request_id == claim.request_id,
            USAGE.c.chunk == claim.chunk,
        )
        for claim in claims
    ]
    rows = connection.execute(
        select(
            USAGE.c.operator_id,
            USAGE.c.request_id,
            USAGE.c.chunk,
            USAGE.c.payload_digest,
            USAGE.c.decision_id,
            USAGE.c.served_at,
            USAGE.c.entries,
        ).where(or_(*keys))
    )
    return {(row.operator_id, row.request_id, row.chunk): row for row in rows}


def _changed_subjects(connection: Connection, claims: Sequence[UsageClaim]) -> dict[str, int]:
    if not claims:
        return {}
    oldest = min(claim.disclosure_sequence for claim in claims)
    head: int = connection.execute(_HEAD).scalar() or 0
    if head == oldest:
        return {}
    rows = connection.execute(
        select(EVENTS.c.subject, func.max(EVENTS.c.sequence))
        .where(EVENTS.c.sequence > oldest)
        .group_by(EVENTS.c.subject)
    )
    return {subject: newest for subject, newest in rows}


class _QuotaBook:
    """Quota counters of one transaction: read once, written once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._used: dict[tuple[str, int], int] = {}
        self._dirty: set[tuple[str, int]] = set()

    def take(self, claim: UsageClaim) -> bool:
        """Count the claim's entries, unless that would pass the quota."""
        count = claim.entry_count
        if count == 0:
            return True
        key = claim.operator_id, claim.served_at // SECONDS_A_DAY
        used = self._used.get(key)
        if used is None:
            used = self._read(key)
        if used + count > claim.daily_quota:
            self._used[key] = used
            return False
        self._used[key] = used + count
        self._dirty.add(key)
        return True

    def _read(self, key: tuple[str, int]) -> int:
        dialect = self._connection.dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        self._connection.execute(
            make(QUOTA).values(operator_id=key[0], day=key[1], used=0).on_conflict_do_nothing()
        )
        return self._connection.execute(
            select(QUOTA.c.used)
            .where(QUOTA.c.operator_id == key[0], QUOTA.c.day == key[1])
            .with_for_update()
        ).scalar_one()

    def write(self) -> None:
        """Write the counters that grew."""
        for operator_id, day in sorted(self._dirty):
            self._connection.execute(
                update(QUOTA)
                .where(QUOTA.c.operator_id == operator_id, QUOTA.c.day == day)
                .values(used=self._used[operator_id, day])
            )


def _row(claim: UsageClaim, fee: int) -> dict[str, Any]:
    return {
        "operator_id": claim.operator_id,
        "client_id": claim.client_id,
        "request_id": claim.request_id,
        "chunk": claim.chunk,
        "payload_digest": claim.payload_digest,
        "licence": claim.licence,
        "consent": claim.consent,
        "purpose": claim.purpose,
        "decision_id": claim.decision_id,
        "served_at": claim.served_at,
        "disclosure_sequence": claim.disclosure_sequence,
        "entry_count": claim.entry_count,
        "fee": fee,
        "lines": json.dumps(claim.lines, separators=(",", ":")),
        "entries": claim.entries,
    }


def _refusal_row(entry: RefusalEntry) -> dict[str, Any]:
    return {
        "decision_id": entry.decision_id,
        "at": entry.at,
        "client_id": entry.client_id,
        "method": entry.method,
        "reason": entry.reason,
        "purpose": entry.purpose,
        "request_id": entry.request_id,
    }
