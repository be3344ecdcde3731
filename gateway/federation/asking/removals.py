"""Removals owed for events of other regions: who must remove or replace what that another region
gave it, by when, and who said it is done (guarantee G9).

Whoever is told of an event owes the removal from then on: the region committed it before, but
nobody can remove what it has not heard of. Each gateway asks its own operators; their regions are
told when the last copy is gone (`gateway.federation.asking.removal_telling`).

Source: Opinions on improving the social credit system (2025-03-31), article 13 (removal at
once on repair), and article 9 (mutual recognition between regions).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Row, bindparam, func, select, update

from gateway.conformance.acknowledgement import RemovedElsewhere
from gateway.conformance.classify import Removal
from gateway.conformance.removal_rows import after_word, newly_told
from gateway.conformance.removal_tables import Finding
from gateway.conformance.removals import Owed
from gateway.federation.asking.region_events import RegionEvent, SqlRegionEvents
from gateway.federation.asking.removal_tables import REGION_REMOVALS
from gateway.storage.bounded import bounded
from gateway.storage.engines import Engines, reading
from gateway.storage.inserts import INSERT
from gateway.storage.paging import pages
from gateway.storage.writes import wrote

_EVENTS_AT_ONCE: Final = 500
_R: Final = REGION_REMOVALS.c
_ACKNOWLEDGE: Final = (
    update(REGION_REMOVALS)
    .where(_R.operator_id == bindparam("of_operator"), _R.number == bindparam("of_number"))
    .values(
        removed_at=bindparam("removed_at"),
        acknowledged_at=bindparam("acknowledged_at"),
        acknowledged_by=bindparam("acknowledged_by"),
        finding=bindparam("finding"),
    )
)
_OWED: Final = select(
    _R.number,
    _R.region,
    _R.record_id,
    _R.owed_since,
    _R.deadline,
    _R.acknowledged_at,
    _R.finding,
)

_OF_OPERATOR: Final = _R.operator_id == bindparam("operator")
_UNSAID: Final = (
    _OWED.where(_OF_OPERATOR, _R.acknowledged_at.is_(None), _R.owed_since < bindparam("read_at"))
    .order_by(_R.number)
    .with_for_update()
)
_WRITTEN: Final = select(_R.operator_id, func.max(_R.number)).group_by(_R.operator_id)
_WRITTEN_FOR: Final = _WRITTEN.where(_OF_OPERATOR)


class Deadlines(Protocol):
    """What is needed of `gateway.conformance.policy.ConformancePolicy`."""

    def removal_seconds(self, severity: int) -> int:
        """Return how long after it was told of a void copy must be gone, by Severity."""
        ...


class RegionRemovals:
    """Keeps what is owed for events of other regions; calls block, from any thread and process."""

    def __init__(self, engines: Engines, deadlines: Deadlines) -> None:
        self._evidence = engines.evidence
        self._events = SqlRegionEvents(engines.records)
        self._deadlines = deadlines
        self._add = INSERT[engines.evidence.dialect.name](REGION_REMOVALS).on_conflict_do_nothing()
        self._followed: object = None

    def follow(self, operator_id: str = "") -> None:
        """Write down what an operator owes, "" for all of them, for all events it was told of.

        Where several processes do, they write the same.
        """
        if operator_id:
            self._follow(operator_id, self._written(operator_id).get(operator_id, 0))
            return
        # Before what was told is read: what comes meanwhile shows next time.
        told = {region: each.told for region, each in self._events.heard().items()}
        if told == self._followed:
            return
        written = self._written()
        for holder, newest in self._events.told().items():
            if newest > (at := written.get(holder, 0)):
                self._follow(holder, at)
        self._followed = told

    def _written(self, operator_id: str = "") -> Mapping[str, int]:
        """Return up to which number it is written down what operators owe, or one of them."""
        query, asked = (_WRITTEN_FOR, {"operator": operator_id}) if operator_id else (_WRITTEN, {})
        with reading(self._evidence) as connection:
            return {row[0]: row[1] for row in connection.execute(query, asked)}

    def _follow(self, operator_id: str, at: int) -> None:
        while events := self._events.after(operator_id, at, _EVENTS_AT_ONCE):
            rows = [self._duty(operator_id, event) for event in events]
            with bounded(self._evidence) as connection:
                connection.execute(self._add, rows)
                wrote(connection, REGION_REMOVALS, [(operator_id, each.number) for each in events])
            at = events[-1].number

    def _duty(self, operator_id: str, event: RegionEvent) -> dict[str, Any]:
        return {
            "operator_id": operator_id,
            "number": event.number,
            "region": event.region,
            "event_sequence": event.change.event_sequence,
            "record_id": event.change.record_id,
            "severity": event.severity,
            "owed_since": event.told_at,
            "deadline": event.told_at + self._deadlines.removal_seconds(event.severity),
            "acknowledged_by": "",
            "finding": Finding.NONE,
        }

    def owed(self, operator_id: str, now: int) -> Owed:
        """Return what an operator has still to acknowledge at ``now`` (seconds, UTC)."""
        self.follow(operator_id)
        query = select(
            func.count(), func.count().filter(_R.deadline <= now), func.min(_R.deadline)
        ).where(_R.operator_id == operator_id, _R.acknowledged_at.is_(None))
        with reading(self._evidence) as connection:
            return Owed(*connection.execute(query).one())

    def acknowledge(
        self, operator_id: str, removals: Sequence[RemovedElsewhere], by: str, now: int
    ) -> tuple[int, int]:
        """Write that an operator has removed what events of other regions made void.

        As `gateway.conformance.removals.RemovalDuties.acknowledge`: returns how many were new, and
        how many of ``removals`` were taken.
        """
        self.follow(operator_id)
        with bounded(self._evidence) as connection:
            known = _locked(connection, operator_id, {each.number for each in removals})
            new, taken = newly_told(removals, known)
            _acknowledge(
                connection, operator_id, [(known[each], new[each]) for each in new], by, now
            )
        return len(new), taken

    def attested_gone(
        self,
        connection: Connection,
        operator_id: str,
        read_at: int,
        held: Collection[tuple[str, str]],
        by: str,
        now: int,
    ) -> None:
        """Write that an attestation of copies read at ``read_at`` has shown gone all that an
        operator was told of before, but the copies of records ``held``, each by region and id.

        ``by`` is the client that attested, ``now`` the time (seconds, UTC).
        """
        unsaid = connection.execute(_UNSAID, {"operator": operator_id, "read_at": read_at})
        gone = [(row, now) for row in unsaid if (row.region, row.record_id) not in held]
        _acknowledge(connection, operator_id, gone, by, now)

    def owed_for(self, operator_id: str, numbers: Iterable[int]) -> Mapping[int, Removal]:
        """Return what an operator owes, or has done, for those of the events for which that is
        written down."""
        query = select(_R.number, _R.deadline, _R.removed_at).where(_R.operator_id == operator_id)
        with reading(self._evidence) as connection:
            return {
                row.number: Removal(row.deadline, row.removed_at)
                for some in pages(numbers)
                for row in connection.execute(query.where(_R.number.in_(some)))
            }

    def gone(self, region: str, sequences: Iterable[int]) -> Mapping[int, int | None]:
        """Return those events of a region for which nobody owes anything any more, with when the
        last copy was gone (seconds, UTC): None where nobody ever owed."""
        found: dict[int, int | None] = {}
        query = select(
            _R.event_sequence,
            func.max(_R.removed_at),
            func.count().filter(_R.acknowledged_at.is_(None)),
        ).group_by(_R.event_sequence)
        with reading(self._evidence) as connection:
            for some in pages(sequences):
                found |= dict.fromkeys(some)
                of_region = query.where(_R.region == region, _R.event_sequence.in_(some))
                for sequence, removed_at, owing in connection.execute(of_region):
                    if owing:
                        del found[sequence]
                    else:
                        found[sequence] = removed_at
        return found


def _locked(
    connection: Connection, operator_id: str, numbers: Iterable[int]
) -> Mapping[int, Row[*tuple[Any, ...]]]:
    """Return what an operator owes for events, which nobody else changes until the transaction
    ends."""
    own = _OWED.where(_R.operator_id == operator_id).order_by(_R.number).with_for_update()
    return {
        row.number: row
        for some in pages(numbers)
        for row in connection.execute(own.where(_R.number.in_(some)))
    }


def _acknowledge(
    connection: Connection,
    operator_id: str,
    gone: Sequence[tuple[Row[*tuple[Any, ...]], int]],
    by: str,
    now: int,
) -> None:
    """Write the word of a client ``by``, given at ``now``, on what is owed, each with since when it
    is gone (seconds, UTC)."""
    if not gone:
        return
    words = [
        {
            "of_operator": operator_id,
            "of_number": owed.number,
            "removed_at": removed_at,
            "acknowledged_at": now,
            "acknowledged_by": by,
            "finding": after_word(owed, now),
        }
        for owed, removed_at in gone
    ]
    connection.execute(_ACKNOWLEDGE, words)
    wrote(connection, REGION_REMOVALS, [(operator_id, owed.number) for owed, _ in gone])
