"""The watcher: follows the ledger, counts, and raises what the rules find unusual.

An operator's rows are committed in the order of their sequences (`gateway.meter.postgresql`),
so what is behind the last one counted is all that is new. Counts, alerts and how far it came
are one transaction: each row is counted once, and a thing is raised once.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, delete, insert, select, update

from gateway.alerts.counting import COUNTED, chunks_elsewhere, first_entries, use_in
from gateway.alerts.policy import AlertPolicy
from gateway.alerts.raising import raise_alert
from gateway.alerts.region_subjects import region_subjects
from gateway.alerts.rules import (
    DAYS_BEFORE,
    HOURS,
    Counts,
    HourUse,
    Unusual,
    hour_of,
    start_of,
    unacknowledged,
    unusual,
)
from gateway.alerts.sketch import EMPTY, estimate, with_subjects
from gateway.alerts.tables import FOLLOWED, SUBJECTS
from gateway.alerts.tables import HOURS as HOUR_COUNTS
from gateway.disclose.subjects import Subjects
from gateway.meter.deliveries import Deliveries
from gateway.meter.tables import USAGE, USAGE_HEADS
from gateway.storage.engines import reading

ROWS_AT_ONCE: Final = 4_000
"""Most answers of an operator that are counted in one step."""

KEPT_DAYS: Final = DAYS_BEFORE + 12
"""So many days with use are kept of an operator: those that are judged, the days before them, and
some that a clock far ahead invented."""
_JUDGED_DAYS: Final = 3
# Of an answer that says when it was served, the commit may come so much later.
_COMMITTED_SECONDS: Final = 300


class AlertWatcher:
    """One thread at a time, of whoever has the turn."""

    def __init__(self, records: Engine, evidence: Engine, policy: AlertPolicy) -> None:
        self._records = records
        self._evidence = evidence
        self._policy = policy
        self._subjects = Subjects()
        self._judged: dict[str, int] = {}
        # Whose newest day with use was judged when it was over, and up to which row of theirs: until
        # there are more, counted by whoever has the turn, nothing can change.
        self._at_rest: dict[str, int] = {}

    def step(self, now: int) -> bool:
        """Count the next answers of each operator at ``now`` (seconds, UTC); tell whether there
        are more. Raises what the stores raise."""
        with reading(self._evidence) as connection:
            followed = {
                row.operator_id: row.sequence for row in connection.execute(select(FOLLOWED))
            }
        with reading(self._records) as connection:
            operators = list(connection.execute(select(USAGE_HEADS.c.operator_id)).scalars())
        more = False
        for operator_id in operators:
            more |= self._count(operator_id, followed.get(operator_id), now)
        self._deliveries(now)
        return more

    def _deliveries(self, now: int) -> None:
        """Raise what is unusual in deliveries that were settled."""
        policy = self._policy
        first = hour_of(now, policy) // HOURS - DAYS_BEFORE
        records: Counter[tuple[str, int]] = Counter()
        for settled in Deliveries(self._records).unacknowledged_since(
            start_of(first * HOURS, policy)
        ):
            day = hour_of(settled.settled_at, policy) // HOURS
            records[settled.operator_id, day] += settled.unacknowledged
        found = [
            (operator_id, each)
            for (operator_id, day), count in records.items()
            for each in unacknowledged(day, count, policy)
        ]
        if found:
            with self._evidence.begin() as connection:
                for operator_id, each in found:
                    self._raise(connection, operator_id, each, now)

    def _count(self, operator_id: str, followed: int | None, now: int) -> bool:
        with reading(self._records) as connection:
            rows = connection.execute(_next(operator_id, followed or 0)).all()
            more = len(rows) == ROWS_AT_ONCE
            over = self._over(min(now, rows[-1].served_at) if more else now)
            if not rows and (
                self._judged.get(operator_id) == over
                or (followed is not None and self._at_rest.get(operator_id) == followed)
            ):
                return False
            subjects = self._subjects.of(connection, first_entries(rows))
            elsewhere = region_subjects(connection, operator_id, chunks_elsewhere(rows))
        use = use_in(rows, subjects, elsewhere, self._policy)
        with self._evidence.begin() as connection:
            days = set(use.subjects)
            if self._judged.get(operator_id) != over:
                # Hours ended since, of days that may see no more use.
                days |= set(_days(connection, operator_id, over)[:_JUDGED_DAYS])
            if rows:
                _follow(connection, operator_id, followed, rows[-1].sequence)
            _add(connection, operator_id, use.hours)
            for day in sorted(days):
                count = _seen(connection, operator_id, day, use.subjects.get(day, ()))
                counts = _counts(connection, operator_id, day)
                for each in unusual(day, counts, count, over, self._policy):
                    self._raise(connection, operator_id, each, now)
            with_use = _days(connection, operator_id)
            if use.subjects:
                _forget(connection, operator_id, with_use)
        self._judged[operator_id] = over
        reached = rows[-1].sequence if rows else followed
        if reached is not None and not (with_use and (with_use[0] + 1) * HOURS > over):
            self._at_rest[operator_id] = reached
        return more

    def _over(self, until: int) -> int:
        """Return the first hour that is not over, where all is counted that was served before
        ``until`` (seconds, UTC)."""
        return hour_of(until - _COMMITTED_SECONDS, self._policy)

    def _raise(self, connection: Connection, operator_id: str, found: Unusual, now: int) -> None:
        raise_alert(
            connection,
            operator_id,
            found.kind,
            hour=found.hour,
            purpose=found.purpose,
            started_at=start_of(found.hour, self._policy),
            counted=found.counted,
            threshold=found.threshold,
            now=now,
        )


def _next(operator_id: str, after: int) -> Select[*tuple[Any, ...]]:
    return (
        select(*COUNTED)
        .where(USAGE.c.operator_id == operator_id, USAGE.c.sequence > after)
        .order_by(USAGE.c.sequence)
        .limit(ROWS_AT_ONCE)
    )


def _follow(connection: Connection, operator_id: str, before: int | None, to: int) -> None:
    if before is None:
        connection.execute(insert(FOLLOWED).values(operator_id=operator_id, sequence=to))
    else:
        connection.execute(
            update(FOLLOWED).where(FOLLOWED.c.operator_id == operator_id).values(sequence=to)
        )


def _add(connection: Connection, operator_id: str, hours: Mapping[HourUse, Counts]) -> None:
    for (hour, purpose), counts in hours.items():
        about = {"operator_id": operator_id, "hour": hour, "purpose": purpose}
        more = {name: HOUR_COUNTS.c[name] + count for name, count in counts._asdict().items()}
        added = connection.execute(update(HOUR_COUNTS).filter_by(**about).values(more))
        if not added.rowcount:
            connection.execute(insert(HOUR_COUNTS).values(**about, **counts._asdict()))


def _seen(connection: Connection, operator_id: str, day: int, seen: Collection[str]) -> int:
    """Add subjects to a day's; return how many there are now."""
    about = {"operator_id": operator_id, "day": day}
    before = connection.execute(select(SUBJECTS.c.sketch).filter_by(**about)).scalar()
    after = with_subjects(before or EMPTY, seen)
    if before is None:
        connection.execute(insert(SUBJECTS).values(**about, sketch=after))
    elif after != before:
        connection.execute(update(SUBJECTS).filter_by(**about).values(sketch=after))
    return estimate(after)


def _counts(connection: Connection, operator_id: str, day: int) -> dict[HourUse, Counts]:
    hours = HOUR_COUNTS.c.hour.between((day - DAYS_BEFORE) * HOURS, day * HOURS + HOURS - 1)
    query = select(HOUR_COUNTS)
    rows = connection.execute(query.where(HOUR_COUNTS.c.operator_id == operator_id, hours))
    return {
        HourUse(row.hour, row.purpose): Counts(row.records, row.asked, row.found) for row in rows
    }


def _days(connection: Connection, operator_id: str, over: int | None = None) -> Sequence[int]:
    """Return the days with use that had begun before the hour ``over``, newest first."""
    day = HOUR_COUNTS.c.hour // HOURS
    query = select(day).where(HOUR_COUNTS.c.operator_id == operator_id)
    if over is not None:
        query = query.where(HOUR_COUNTS.c.hour < over)
    return connection.execute(query.distinct().order_by(day.desc())).scalars().all()


def _forget(connection: Connection, operator_id: str, days: Sequence[int]) -> None:
    """Forget all but the newest of ``days``, those with use: counted, since by the calendar one row
    of a clock far ahead would drop what is usual."""
    if len(days) <= KEPT_DAYS:
        return
    oldest = days[KEPT_DAYS - 1]
    connection.execute(
        delete(HOUR_COUNTS).where(
            HOUR_COUNTS.c.operator_id == operator_id, HOUR_COUNTS.c.hour < oldest * HOURS
        )
    )
    connection.execute(
        delete(SUBJECTS).where(SUBJECTS.c.operator_id == operator_id, SUBJECTS.c.day < oldest)
    )
