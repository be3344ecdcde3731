"""Decisions are followed into the log whatever order their numbers come in, and checked."""

from dataclasses import dataclass

import pytest
from sqlalchemy import delete, func, insert, select, update

from consent.sql import SqlConsents
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.audit.check import check_decisions
from gateway.audit.following import GAP_SECONDS
from gateway.audit.tables import DECISIONS, GAPS
from gateway.audit.writer import DecisionWriter
from gateway.meter.tables import REFUSALS, USAGE
from gateway.storage.engines import Engines
from gateway.transparency.faults import Fault
from gateway.transparency.log import MerkleLog
from gateway.transparency.tables import LogId
from tests.clock import NOW
from tests.transparency.keys import key_of


@dataclass
class Desk:
    """A ledger, a log of refusals, and the writer that follows both."""

    engines: Engines

    def __post_init__(self) -> None:
        key = key_of("gateway.invalid/log/decisions")
        self.log = MerkleLog(self.engines.evidence, LogId.DECISIONS, key)
        self.writer = DecisionWriter(
            self.engines.records,
            self.engines.evidence,
            self.log,
            lambda client: client[:5],
            SqlConsents(self.engines.records).receipts,
        )

    def check(self) -> tuple[int, list[Fault]]:
        """Check the log against what was written first."""
        return check_decisions(self.engines, SqlConsents(self.engines.records).receipts)

    def refuse(self, sequence: int, at: int = NOW) -> None:
        """Write a refusal under a number, as a transaction that commits now."""
        with self.engines.records.begin() as connection:
            connection.execute(
                insert(REFUSALS).values(
                    sequence=sequence,
                    decision_id=f"refused-{sequence}",
                    at=at,
                    client_id="alpha-one",
                    method="CreditRecordService/GetRecord",
                    reason=RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED,
                    purpose=1,
                    request_id=f"r-{sequence}",
                    consent="",
                )
            )

    def answer(self, sequence: int, at: int = NOW) -> None:
        """Write an answer under a number."""
        with self.engines.records.begin() as connection:
            connection.execute(
                insert(USAGE).values(
                    sequence=sequence,
                    operator_id="alpha",
                    client_id="alpha-one",
                    request_id=f"a-{sequence}",
                    chunk=0,
                    payload_digest=bytes(32),
                    licence="L",
                    consent="",
                    purpose=1,
                    decision_id=f"allowed-{sequence}",
                    served_at=at,
                    disclosure_sequence=1,
                    entry_count=0,
                    fee=0,
                    lines="[]",
                    entries=b"",
                )
            )

    def follow(self, now: int = NOW) -> list[str]:
        """Log all there is; return the log's decisions in order."""
        while self.writer.step(now):
            pass
        latest = self.log.latest()
        size = 0 if latest is None else latest.size
        entries = [pb.DecisionEntry.FromString(each) for each in self.log.entries(range(size))]
        assert [entry.sequence for entry in entries] == list(range(size))
        return [entry.name.removeprefix("decisions/") for entry in entries]


@pytest.fixture
def desk(engines: Engines) -> Desk:
    """A desk on an empty store of each kind."""
    return Desk(engines)


def test_a_number_that_is_committed_late_is_logged_and_none_twice(desk: Desk) -> None:
    for sequence in (1, 2, 5):
        desk.refuse(sequence)
    assert desk.follow() == ["refused-1", "refused-2", "refused-5"]
    desk.refuse(4)
    desk.answer(2)
    assert desk.follow()[3:] == ["allowed-2", "refused-4"]
    desk.refuse(3)
    desk.answer(1)
    assert desk.follow()[5:] == ["allowed-1", "refused-3"]
    assert len(desk.follow()) == 7
    with desk.engines.evidence.connect() as connection:
        assert connection.execute(select(func.count()).select_from(GAPS)).scalar_one() == 0


def test_a_number_that_never_comes_is_not_looked_for_for_ever(desk: Desk) -> None:
    desk.refuse(3)
    desk.follow()
    desk.follow(NOW + GAP_SECONDS)
    desk.refuse(4)
    assert desk.follow(NOW + GAP_SECONDS) == ["refused-3", "refused-4"]
    with desk.engines.evidence.connect() as connection:
        assert connection.execute(select(func.count()).select_from(GAPS)).scalar_one() == 0


def test_decisions_are_in_the_order_they_were_made(desk: Desk) -> None:
    desk.refuse(1, NOW + 5)
    desk.answer(1, NOW + 3)
    desk.refuse(2, NOW + 9)
    assert desk.follow() == ["allowed-1", "refused-1", "refused-2"]


def test_the_check_finds_what_was_changed_behind_the_gateways_back(desk: Desk) -> None:
    for sequence in range(1, 4):
        desk.answer(sequence)
        desk.refuse(sequence)
    desk.follow()
    assert desk.check() == (6, [])
    for engine, change in (
        (desk.engines.records, update(USAGE).where(USAGE.c.sequence == 2).values(licence="M")),
        (desk.engines.records, update(REFUSALS).where(REFUSALS.c.sequence == 1).values(reason=1)),
        (desk.engines.records, delete(USAGE).where(USAGE.c.sequence == 3)),
        (
            desk.engines.evidence,
            update(DECISIONS).where(DECISIONS.c.log_index == 5).values(client_id="other"),
        ),
        (desk.engines.evidence, delete(DECISIONS).where(DECISIONS.c.log_index == 4)),
    ):
        _, before = desk.check()
        with engine.begin() as connection:
            connection.execute(change)
        _, after = desk.check()
        assert len(after) > len(before)
