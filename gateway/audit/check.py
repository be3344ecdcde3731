"""The check of the decision log: every entry is made anew from what was written when it was
decided, every hash from the entries, and nothing that was decided is left out."""

from contextlib import suppress
from typing import Any, Final

from google.protobuf.message import DecodeError
from sqlalchemy import Connection, Row, func, select

from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.decision import Decision, Receipts
from gateway.audit.following import position_in
from gateway.audit.sources import TABLES, decisions_of
from gateway.audit.tables import DECISIONS, Source
from gateway.storage.engines import Engines, reading, snapshot
from gateway.transparency.check_log import CheckedLog
from gateway.transparency.faults import EnoughFaults, Fault, Faults
from gateway.transparency.identity import known_key
from gateway.transparency.tables import LogId

_AT_ONCE: Final = 500
_NUMBERS: Final = 5_000
_Row = Row[*tuple[Any, ...]]


def check_decisions(engines: Engines, receipts: Receipts) -> tuple[int, list[Fault]]:
    """Check the decision log; return how many entries it has, and what was wrong.

    Raises what the stores raise when they cannot be read.
    """
    faults = Faults()
    with reading(engines.records) as records, snapshot(engines.evidence) as evidence:
        check = _Check(records, evidence, receipts, faults)
        with suppress(EnoughFaults):
            check.run()
    return check.entries, faults.found


class _Check:
    def __init__(
        self, records: Connection, evidence: Connection, receipts: Receipts, faults: Faults
    ) -> None:
        self._records = records
        self._evidence = evidence
        self._receipts = receipts
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
            kept == self.entries, "audit_decisions", "there are rows too many, or too few"
        )
        for source in Source:
            self._require_all(source)

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
        for index, entry in enumerate(page, first):
            decoded = self._decoded(index, entry)
            row = rows.get(index)
            source = None if row is None else made.get((row.source, row.source_sequence))
            if row is None or source is None:
                self._faults.note(f"audit_decisions, log_index {index}", "it leads to no decision")
                continue
            expected = source.entry
            expected.sequence = index
            if source.source == Source.REFUSALS:
                # Whose client it was is told by authority, which is not looked at here.
                expected.operator_id = decoded.operator_id
            self._faults.require(
                entry == expected.SerializeToString(deterministic=True),
                f"{TABLES[source.source].name}, sequence {source.source_sequence}",
                "it is not what the decision log has",
            )
            self._faults.require(
                _index_of(row) == _index_of_entry(decoded),
                f"audit_decisions, log_index {index}",
                "it is not that of the entry",
            )

    def _require_all(self, source: Source) -> None:
        """Check that the log left out nothing of a source, as far as it was followed."""
        position = position_in(self._evidence, source)
        logged = select(DECISIONS.c.source_sequence).where(DECISIONS.c.source == source)
        newest = self._evidence.execute(
            logged.order_by(DECISIONS.c.source_sequence.desc()).limit(1)
        ).scalar()
        until, after = max(position.sequence, newest or 0), 0
        key = TABLES[source].c.sequence
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
                    f"{TABLES[source].name}, sequence {number}",
                    "the decision log left it out",
                )
            after = to

    def _made(self, rows: list[_Row]) -> dict[tuple[int, int], Decision]:
        """Return the decisions behind rows of the index, made anew."""
        made: dict[tuple[int, int], Decision] = {}
        for source, table in TABLES.items():
            sequences = [row.source_sequence for row in rows if row.source == source]
            found = self._records.execute(
                select(table).where(table.c.sequence.in_(sequences))
            ).all()
            for decision in decisions_of(source, found, _nobody, self._receipts):
                made[source, decision.source_sequence] = decision
        return made

    def _decoded(self, index: int, entry: bytes) -> pb.DecisionEntry:
        try:
            return pb.DecisionEntry.FromString(entry)
        except DecodeError:
            self._faults.note(f"log_bundles, decisions, entry {index}", "it cannot be read")
            return pb.DecisionEntry()


def _nobody(_: str) -> str:
    return ""


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
