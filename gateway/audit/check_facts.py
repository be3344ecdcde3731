"""The check of facts in the log of decisions: each row says what the log has it say last, none
was added, and none was taken away."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, Table, func, select

from consent.tables import WRITES as CONSENT_WRITES
from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.fact_tables import FACTS
from gateway.audit.facts import Fact, Kept, entry_of, fact_of, facts_of, shown_key
from gateway.storage.engines import Engines, reading, snapshot
from gateway.storage.paging import pages
from gateway.storage.writes import WRITES as EVIDENCE_WRITES
from gateway.transparency.faults import Faults

_ROWS_AT_ONCE: Final = 500


class Stated(NamedTuple):
    """An entry of the log that is a fact: its place, what it says, and its bytes."""

    place: int
    entry: pb.DecisionEntry
    leaf: bytes


class CheckedFacts:
    """Checks facts, given in the log's order; ``evidence`` sees the store as of one instant.

    What was written since, and waits to be logged, is no fault.
    """

    def __init__(
        self, engines: Engines, evidence: Connection, kept: Mapping[str, Kept], faults: Faults
    ) -> None:
        self._engines = engines
        self._evidence = evidence
        self._kept = kept
        self._faults = faults
        self._superseded: set[tuple[str, str]] = set()
        self._current = 0
        self.count = 0

    def check(self, places: range, stated: Sequence[Stated]) -> None:
        """Check the facts among the entries at ``places``. Raises EnoughFaults."""
        self.count += len(stated)
        query = select(FACTS).where(
            FACTS.c.log_index >= places.start, FACTS.c.log_index < places.stop
        )
        newest = {row.log_index: row for row in self._evidence.execute(query)}
        self._current += len(newest)
        keys: dict[str, list[str]] = {}
        for index, entry, _ in stated:
            row = newest.get(index)
            if row is None:
                self._superseded.add((entry.fact_kind, entry.fact_key))
            elif row.kind in self._kept:
                self._superseded.discard((entry.fact_kind, entry.fact_key))
                keys.setdefault(row.kind, []).append(row.row_key)
        says = {kind: self._rows(kind, some) for kind, some in keys.items()}
        for index, entry, leaf in stated:
            row = newest.pop(index, None)
            if row is None:
                continue
            fact = says[row.kind][row.row_key] if row.kind in says else None
            kept = self._kept.get(row.kind)
            at = entry.decide_time.seconds
            same = (
                kept is not None
                and fact is not None
                and entry_of(kept, fact, bytes(row.salt), index, at) == leaf
            )
            if not same and not self._goes_on(row.kind, row.row_key, index):
                self._note(row.kind, row.row_key, "it is not what the log has last")
        for index in newest:
            self._faults.note(f"audit_facts, log_index {index}", "it leads to no such entry")

    def finish(self) -> None:
        """Check that nothing was added or taken away. Raises EnoughFaults."""
        for kind, shown in sorted(self._superseded):
            self._faults.note(f"audit_facts, {kind} {shown}", "its newest state is not there")
        held = self._evidence.execute(select(func.count()).select_from(FACTS)).scalar_one()
        self._faults.require(
            held == self._current, "audit_facts", "there are rows behind the end of the log"
        )
        for kept in self._kept.values():
            self._check_all(kept)

    def _check_all(self, kept: Kept) -> None:
        if kept.schema == "evidence":
            self._check_rows(kept, self._evidence)
            return
        with snapshot(self._engine(kept)) as connection:
            self._check_rows(kept, connection)

    def _check_rows(self, kept: Kept, connection: Connection) -> None:
        table = kept.table
        query = select(table).order_by(*table.primary_key)
        found = connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))
        for rows in found.partitions():
            keys = [fact_of(kept, row).key for row in rows]
            logged: set[str] = set()
            for some in pages(keys):
                known = select(FACTS.c.row_key).where(
                    FACTS.c.kind == table.name, FACTS.c.row_key.in_(some)
                )
                logged.update(self._evidence.execute(known).scalars())
            for key in keys:
                if key not in logged and not self._goes_on(table.name, key, -1):
                    self._note(table.name, key, "the log does not have it")

    def _rows(self, kind: str, keys: Iterable[str]) -> dict[str, Fact]:
        kept = self._kept[kind]
        if kept.schema == "evidence":
            return facts_of(self._evidence, kept, keys)
        with reading(self._engine(kept)) as connection:
            return facts_of(connection, kept, keys)

    def _goes_on(self, kind: str, key: str, index: int) -> bool:
        """Tell whether a row was written again, whether that is logged by now or waits."""
        kept = self._kept.get(kind)
        if kept is None:
            return False
        # First whether it waits: what is logged between two looks is found by the second.
        if kept.schema == "records":
            with reading(self._engines.records) as records:
                if _waits(records, CONSENT_WRITES, kind, key):
                    return True
        with reading(self._engines.evidence) as evidence:
            if kept.schema == "evidence" and _waits(evidence, EVIDENCE_WRITES, kind, key):
                return True
            logged = select(FACTS.c.log_index).where(FACTS.c.kind == kind, FACTS.c.row_key == key)
            if (evidence.execute(logged).scalar() or -1) > max(index, self._seen(kind, key)):
                return True
            if kept.schema == "authority":
                # Changes of authority are numbered without gaps and logged in their order.
                done = select(func.count()).where(FACTS.c.kind == kind)
                return index < 0 and int(key.strip("[]")) > evidence.execute(done).scalar_one()
        return False

    def _seen(self, kind: str, key: str) -> int:
        known = select(FACTS.c.log_index).where(FACTS.c.kind == kind, FACTS.c.row_key == key)
        found = self._evidence.execute(known).scalar()
        return -1 if found is None else found

    def _engine(self, kept: Kept) -> Engine:
        found: Engine = getattr(self._engines, kept.schema)
        return found

    def _note(self, kind: str, key: str, what: str) -> None:
        kept = self._kept.get(kind)
        shown = "" if kept is None else shown_key(kept, key)
        self._faults.note(f"{kind}, {shown}", what)


def waiting_facts(engines: Engines) -> int:
    """Return how many writes wait to be logged: what they wrote cannot be compared yet."""
    found = 0
    for engine, writes in ((engines.records, CONSENT_WRITES), (engines.evidence, EVIDENCE_WRITES)):
        with reading(engine) as connection:
            found += connection.execute(select(func.count()).select_from(writes)).scalar_one()
    return found


def _waits(connection: Connection, writes: Table, kind: str, key: str) -> bool:
    query = select(writes.c.sequence).where(writes.c.written == kind, writes.c.row_key == key)
    return connection.execute(query.limit(1)).first() is not None
