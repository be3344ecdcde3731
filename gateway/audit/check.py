"""The check of the decision log: every entry is made anew from what was written when it was
decided, every hash from the entries, and nothing that was decided is left out."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from google.protobuf.message import DecodeError
from sqlalchemy import Connection, Row, func, select

from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.check_facts import CheckedFacts, Stated
from gateway.audit.check_positions import check_positions
from gateway.audit.decision import Entries, Receipts
from gateway.audit.facts import Kept
from gateway.audit.following import Position, positions_in
from gateway.audit.sources import COLUMNS, Made, made_in, name_of
from gateway.audit.tables import DECISIONS
from gateway.meter.region_asks import asked_for
from gateway.storage.engines import Engines, reading, snapshot
from gateway.transparency.check_log import CheckedLog
from gateway.transparency.faults import EnoughFaults, Fault, Faults
from gateway.transparency.identity import known_key
from gateway.transparency.tables import LogId

_AT_ONCE: Final = 500
_NUMBERS: Final = 5_000
_Row = Row[*tuple[Any, ...]]


def check_decisions(
    engines: Engines, receipts: Receipts, kept: Mapping[str, Kept]
) -> tuple[int, list[Fault]]:
    """Check the decision log; return how many entries it has, and what was wrong. ``kept`` are
    the tables whose rows it has states of, by name.

    Raises what the stores raise when they cannot be read.
    """
    faults = Faults()
    with reading(engines.records) as records, snapshot(engines.evidence) as evidence:
        facts = CheckedFacts(engines, evidence, kept, faults)
        check = _Check(records, evidence, receipts, facts, faults)
        with suppress(EnoughFaults):
            check.run()
    return check.entries, faults.found


class _Check:
    def __init__(
        self,
        records: Connection,
        evidence: Connection,
        receipts: Receipts,
        facts: CheckedFacts,
        faults: Faults,
    ) -> None:
        self._facts = facts
        self._records = records
        self._evidence = evidence
        # Whose client it was is told by authority, which is not looked at here.
        self._entries = Entries(
            lambda _: self._logged.operator_id, receipts, partial(asked_for, records)
        )
        self._logged = pb.DecisionEntry()
        self._faults = faults
        self.entries = 0

    def run(self) -> None:
        """Check everything. Raises EnoughFaults."""
        key = known_key(self._evidence, LogId.DECISIONS)
        if key is not None:
            page: list[bytes] = []
            for entry in CheckedLog(self._evidence, LogId.DECISIONS, key, self._faults).entries():
                page.append(entry)
                if len(page) == _AT_ONCE:
                    self._check(page)
                    page = []
            self._check(page)
        kept = self._evidence.execute(select(func.count()).select_from(DECISIONS)).scalar_one()
        self._faults.require(
            kept == self.entries - self._facts.count,
            "audit_decisions",
            "there are rows too many, or too few",
        )
        for position in positions_in(self._evidence):
            self._require_all(position)
        check_positions(self._evidence, self._faults)
        self._facts.finish()

    def _check(self, page: list[bytes]) -> None:
        first, self.entries = self.entries, self.entries + len(page)
        rows = {
            row.log_index: row
            for row in self._evidence.execute(
                select(DECISIONS).where(
                    DECISIONS.c.log_index >= first, DECISIONS.c.log_index < self.entries
                )
            )
        }
        made = self._made(list(rows.values()))
        stated: list[Stated] = []
        for index, entry in enumerate(page, first):
            self._logged = self._decoded(index, entry)
            row = rows.get(index)
            if self._logged.fact_kind and row is None:
                stated.append(Stated(index, self._logged, entry))
                continue
            decision = None if row is None else made.get((row.source, row.source_sequence))
            if row is None or decision is None:
                self._faults.note(f"audit_decisions, log_index {index}", "it leads to no decision")
                continue
            (expected,) = self._entries.of([decision], index)
            self._faults.require(
                entry == expected.leaf,
                f"{name_of(row.source)}, sequence {row.source_sequence}",
                "it is not what the decision log has",
            )
            self._faults.require(
                _index_of(row) == _index_of_entry(self._logged),
                f"audit_decisions, log_index {index}",
                "it is not that of the entry",
            )
        self._facts.check(range(first, self.entries), stated)

    def _require_all(self, position: Position) -> None:
        """Check that the log left out nothing of a source, as far as it was followed."""
        source = position.source
        logged = select(DECISIONS.c.source_sequence).where(DECISIONS.c.source == source)
        newest = self._evidence.execute(
            logged.order_by(DECISIONS.c.source_sequence.desc()).limit(1)
        ).scalar()
        until, after = max(position.sequence, newest or 0), 0
        key = COLUMNS[source][0]
        while after < until:
            query = select(key).where(key > after, key <= until).order_by(key).limit(_NUMBERS)
            made = self._records.execute(query).scalars().all()
            to = made[-1] if len(made) == _NUMBERS else until
            known = DECISIONS.c.source_sequence
            there = set(self._evidence.execute(logged.where(known > after, known <= to)).scalars())
            for number in made:
                # What is looked for still is logged by the next step.
                self._faults.require(
                    number in there or number in position.gaps,
                    f"{name_of(source)}, sequence {number}",
                    "the decision log left it out",
                )
            after = to

    def _made(self, rows: list[_Row]) -> dict[tuple[int, int], Made]:
        """Return the decisions behind rows of the index, made anew."""
        made: dict[tuple[int, int], Made] = {}
        for source, columns in COLUMNS.items():
            sequences = [row.source_sequence for row in rows if row.source == source]
            found = self._records.execute(select(*columns).where(columns[0].in_(sequences))).all()
            for decision in made_in(source, found):
                made[source, decision[2][0]] = decision
        return made

    def _decoded(self, index: int, entry: bytes) -> pb.DecisionEntry:
        try:
            return pb.DecisionEntry.FromString(entry)
        except DecodeError:
            self._faults.note(f"log_bundles, decisions, entry {index}", "it cannot be read")
            return pb.DecisionEntry()


def _index_of(row: _Row) -> tuple[object, ...]:
    return (
        row.at,
        f"decisions/{row.decision_id}",
        row.client_id,
        row.operator_id,
        row.request_id,
        row.outcome,
        row.reason,
    )


def _index_of_entry(entry: pb.DecisionEntry) -> tuple[object, ...]:
    return (
        entry.decide_time.seconds,
        entry.name,
        entry.client_id,
        entry.operator_id,
        entry.request_id,
        entry.outcome,
        entry.reason,
    )
