"""Logging what the gateway wrote down: takes what was told to be written, looks at the rows,
and appends what they say to the log of decisions (`gateway.audit.facts`).

What waits of the evidence's own goes with the same transaction as its entries. The records
are another store: what was told there is forgotten afterwards, and logged again after a
crash between, which says the same twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from secrets import token_bytes
from typing import Final

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
)

from consent.tables import WRITES as CONSENT_WRITES
from consent.writes import row_key
from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.fact_tables import FACTS
from gateway.audit.facts import SALT_BYTES, Fact, Kept, entry_of, facts_of
from gateway.storage.engines import Engines, reading
from gateway.storage.paging import pages
from gateway.storage.statements import put_rows
from gateway.storage.writes import WRITES as EVIDENCE_WRITES
from gateway.transparency.log import MerkleLog
from operators.tables import AUTHORITY_LOG

FACTS_AT_ONCE: Final = 1_000
_AUTHORITY: Final = AUTHORITY_LOG.name
_ENTRIES_AT_ONCE: Final = 500
_WRITES: Final = (CONSENT_WRITES, EVIDENCE_WRITES)
_WAITING: Final = {
    writes.name: select(writes).order_by(writes.c.sequence).limit(FACTS_AT_ONCE)
    for writes in _WRITES
}
_FORGET: Final = {
    writes.name: delete(writes).where(writes.c.sequence.in_(bindparam("some", expanding=True)))
    for writes in _WRITES
}
_HEAD: Final = select(func.max(AUTHORITY_LOG.c.sequence))
_Told = tuple[int, str, str]
"""What was told to be written: its number, table and key."""


class FactWriter:
    """Logs the facts of one store; one thread at a time, of whoever has the turn.

    ``kept`` are the tables by name.
    """

    def __init__(self, engines: Engines, log: MerkleLog, kept: Mapping[str, Kept]) -> None:
        self._engines = engines
        self._log = log
        self._kept = kept
        self._begun = False
        self._authority = -1

    def step(self, now: int) -> bool:
        """Log what was written since, and sign; tell whether there is more.

        Raises what the stores raise.
        """
        if not self._begun:
            self._begin()
            self._begun = True
        of_evidence = _waiting(self._engines.evidence, EVIDENCE_WRITES)
        of_records = _waiting(self._engines.records, CONSENT_WRITES)
        changes = self._changes()
        told = [*changes, *of_records, *of_evidence]
        if not told:
            return False
        facts = self._facts(told)
        with self._engines.evidence.begin() as connection:
            first = self._log.size(connection, writing=True)
            salts = [token_bytes(SALT_BYTES) for _ in facts]
            entries = [
                entry_of(self._kept[fact.kind], fact, salt, index, now)
                for index, (fact, salt) in enumerate(zip(facts, salts, strict=True), first)
            ]
            if entries:
                self._log.append(connection, entries)
                _keep_salts(connection, facts, salts, first)
            _forget(connection, EVIDENCE_WRITES, of_evidence)
            if entries:
                self._log.sign(connection, now)
        if entries:
            self._log.committed()
        if of_records:
            with self._engines.records.begin() as connection:
                _forget(connection, CONSENT_WRITES, of_records)
        return any(len(some) == FACTS_AT_ONCE for some in (changes, of_records, of_evidence))

    def _facts(self, told: Iterable[_Told]) -> list[Fact]:
        """Return what the rows say that were written, each once."""
        keys: dict[str, list[str]] = {}
        for _, kind, key in told:
            keys.setdefault(kind, []).append(key)
        found: list[Fact] = []
        for kind, some in keys.items():
            # What is kept no more is no fact any longer.
            if kept := self._kept.get(kind):
                engine: Engine = getattr(self._engines, kept.schema)
                with reading(engine) as connection:
                    found += facts_of(connection, kept, some).values()
        return found

    def _changes(self) -> list[_Told]:
        """Return the changes of authority behind those that are logged: they are numbered
        without gaps, in the order of their commits."""
        if _AUTHORITY not in self._kept:
            return []
        with reading(self._engines.authority) as connection:
            head = connection.execute(_HEAD).scalar() or 0
        if head == self._authority:
            return []
        logged = select(func.count()).where(FACTS.c.kind == _AUTHORITY)
        with reading(self._engines.evidence) as connection:
            after = connection.execute(logged).scalar_one()
        if after == head:
            self._authority = head
        until = min(head, after + FACTS_AT_ONCE)
        return [(at, _AUTHORITY, row_key([at])) for at in range(after + 1, until + 1)]

    def _begin(self) -> None:
        """Tell of everything there is where nothing was ever logged: the log was begun
        before there were facts in it, or anew."""
        with reading(self._engines.evidence) as connection:
            if connection.execute(select(FACTS.c.kind).limit(1)).first() is not None:
                return
        if self._has_facts():
            return
        for schema, engine, writes in (
            ("evidence", self._engines.evidence, EVIDENCE_WRITES),
            ("records", self._engines.records, CONSENT_WRITES),
        ):
            tables = tuple(each.table for each in self._kept.values() if each.schema == schema)
            for table in _filled(engine, tables):
                with engine.begin() as connection:
                    there = connection.execute(select(*table.primary_key)).all()
                    for some in pages(map(row_key, there)):
                        rows = [{"written": table.name, "row_key": key} for key in some]
                        connection.execute(insert(writes), rows)

    def _has_facts(self) -> bool:
        latest = self._log.latest()
        size = 0 if latest is None else latest.size
        for start in range(0, size, _ENTRIES_AT_ONCE):
            for entry in self._log.entries(range(start, min(size, start + _ENTRIES_AT_ONCE))):
                if pb.DecisionEntry.FromString(entry).fact_kind:
                    return True
        return False


def _filled(engine: Engine, tables: tuple[Table, ...]) -> list[Table]:
    """Return those of the tables that have rows: of a new installation none."""
    if not tables:
        return []
    with reading(engine) as connection:
        found = connection.execute(_asking(tables)).one()
    return [table for table, filled in zip(tables, found, strict=True) if filled]


@cache
def _asking(tables: tuple[Table, ...]) -> Select[*tuple[bool, ...]]:
    one = literal_column("1")
    return select(*(select(one).select_from(table).exists() for table in tables))


def _waiting(engine: Engine, writes: Table) -> list[_Told]:
    with reading(engine) as connection:
        return [
            (number, kind, key) for number, kind, key in connection.execute(_WAITING[writes.name])
        ]


def _forget(connection: Connection, writes: Table, told: Sequence[_Told]) -> None:
    for some in pages(number for number, *_ in told):
        connection.execute(_FORGET[writes.name], {"some": some})


def _keep_salts(
    connection: Connection, facts: Sequence[Fact], salts: Sequence[bytes], first: int
) -> None:
    """Keep where the newest facts of rows are in the log, instead of those before."""
    put_rows(
        connection,
        FACTS,
        [
            (fact.kind, fact.key, index, salt)
            for index, (fact, salt) in enumerate(zip(facts, salts, strict=True), first)
        ],
    )
