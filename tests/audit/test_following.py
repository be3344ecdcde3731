"""Decisions are followed into the log whatever order their numbers come in, and checked."""

from dataclasses import dataclass
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from consent.sql import SqlConsents
from consent.tables import CONSENT_CHANGE
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.audit.answered import usage_digest
from gateway.audit.check import check_decisions
from gateway.audit.following import GAP_SECONDS
from gateway.audit.lost import LOOK_SECONDS, lost_in, ranges_of, without
from gateway.audit.tables import DECISIONS, FOLLOWED, GAPS, LOST, Source
from gateway.audit.writer import DecisionWriter
from gateway.meter.model import pack_entries
from gateway.meter.tables import REFUSALS, USAGE
from gateway.storage.engines import Engines
from gateway.transparency.faults import Fault
from gateway.transparency.log import MerkleLog
from gateway.transparency.tables import LogId
from tests.clock import NOW
from tests.people import COMPANY
from tests.transparency.keys import key_of
from tests.transparency.tampering import removed, rows_of, tampered


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
        return check_decisions(self.engines, SqlConsents(self.engines.records).receipts, {})

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

    def answer(
        self, sequence: int, at: int = NOW, entries: bytes = b"", fee: int = 0, lines: str = "[]"
    ) -> None:
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
                    entry_count=len(entries) // 8,
                    fee=fee,
                    lines=lines,
                    entries=entries,
                    kind=1,
                    usage_index=sequence,
                    records_digest=b"",
                )
            )

    def change_consent(self, sequence: int) -> None:
        """Write the change of a consent under a number."""
        with self.engines.records.begin() as connection:
            connection.execute(
                insert(CONSENT_CHANGE).values(
                    sequence=sequence,
                    consent_id="c-1",
                    operator_id="alpha",
                    subject=COMPANY,
                    state=1,
                    actor="operator",
                    actor_id="alpha-one",
                    reason="",
                    at=NOW,
                    data_life_end=0,
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


def test_a_number_that_never_comes_is_given_up_and_told(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.refuse(3)
    desk.follow()
    desk.follow(NOW + GAP_SECONDS)
    desk.refuse(4)
    assert desk.follow(NOW + GAP_SECONDS) == ["refused-3", "refused-4"]
    with desk.engines.evidence.connect() as connection:
        assert connection.execute(select(func.count()).select_from(GAPS)).scalar_one() == 0
        assert lost_in(connection, Source.REFUSALS) == [range(1, 3)]
    assert "numbers of refusals were given up" in caplog.text
    assert "1-2" in caplog.text
    assert desk.check() == (2, [])


def test_a_number_that_comes_after_it_was_given_up_is_logged_all_the_same(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.refuse(7)
    desk.follow()
    now = NOW + GAP_SECONDS
    desk.follow(now)
    desk.refuse(3)
    _, faults = desk.check()
    assert [fault.place for fault in faults] == ["refusals, sequence 3"]
    assert desk.follow(now + LOOK_SECONDS) == ["refused-7", "refused-3"]
    assert "came after they had been given up" in caplog.text
    with desk.engines.evidence.connect() as connection:
        assert lost_in(connection, Source.REFUSALS) == [range(1, 3), range(4, 7)]
    assert desk.check() == (2, [])
    assert len(desk.follow(now + 2 * LOOK_SECONDS)) == 2


def test_numbers_far_behind_are_given_up_at_once_and_not_forgotten(desk: Desk) -> None:
    desk.refuse(20_000)
    desk.follow()
    desk.refuse(5)
    desk.refuse(19_000)
    assert desk.follow(NOW + LOOK_SECONDS) == ["refused-20000", "refused-19000", "refused-5"]


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
        (desk.engines.records, update(USAGE).where(USAGE.c.sequence == 1).values(fee=1)),
        (
            desk.engines.records,
            update(REFUSALS).where(REFUSALS.c.sequence == 3).values(consent="c"),
        ),
    ):
        _, before = desk.check()
        with engine.begin() as connection:
            connection.execute(change)
        _, after = desk.check()
        assert len(after) > len(before)


@pytest.mark.parametrize(
    "changed",
    [{"entries": b"\x01" + bytes(7)}, {"fee": 0}, {"lines": "[[1,1,8]]"}, {"chunk": 1}],
    ids=["entries", "fee", "lines", "chunk"],
)
def test_the_check_finds_what_was_changed_of_what_was_served_and_charged(
    desk: Desk, changed: dict[str, object]
) -> None:
    desk.answer(1, entries=bytes(8), fee=7, lines="[[1,1,7]]")
    desk.answer(2)
    desk.follow()
    assert desk.check() == (2, [])
    with desk.engines.records.begin() as connection:
        connection.execute(update(USAGE).where(USAGE.c.sequence == 1).values(**changed))
    _, faults = desk.check()
    assert [fault.place for fault in faults] == ["usage_answers, sequence 1"]


def test_the_check_finds_an_operator_that_was_changed_in_the_ledger(desk: Desk) -> None:
    desk.answer(1)
    desk.follow()
    with desk.engines.records.begin() as connection:
        connection.execute(update(USAGE).values(operator_id="beta"))
    assert len(desk.check()[1]) == 1


def test_the_check_finds_decisions_that_the_log_left_out(desk: Desk) -> None:
    for sequence in (1, 3):
        desk.answer(sequence)
        desk.refuse(sequence)
        desk.change_consent(sequence)
    desk.follow()
    with desk.engines.evidence.begin() as connection:
        # Nothing is missed any more, so nobody looks for what comes now.
        connection.execute(delete(GAPS))
        connection.execute(update(FOLLOWED).values(sequence=5))
    desk.answer(2)
    desk.refuse(4)
    desk.refuse(6)
    desk.change_consent(5)
    desk.change_consent(6)
    places = [fault.place for fault in desk.check()[1]]
    # That it was followed further than it was, and numbers are missing, shows too.
    assert [place for place in places if not place.startswith("audit_followed")] == [
        "usage_answers, sequence 2",
        "refusals, sequence 4",
        "consent_changes, sequence 5",
    ]


def test_what_the_log_looks_for_still_is_no_fault(desk: Desk) -> None:
    desk.answer(2)
    desk.follow()
    desk.answer(1)
    assert desk.check() == (1, [])


def test_what_is_served_and_charged_is_digested_as_the_contract_says() -> None:
    written = (
        b"creditgate/usage/v1\n"
        + bytes.fromhex("0000000000000002 00000000000249f0 0000000000000010")
        + bytes.fromhex("0000000000000105 0000000000000003")
        + b"[[4,2,75000]]"
    )
    entries = pack_entries([0x105, 3])
    assert usage_digest(2, 150_000, entries, "[[4,2,75000]]") == sha256(written).digest()


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(0, 60))
def test_ranges_hold_just_the_numbers_that_are_left(found: set[int], one: int, other: int) -> None:
    numbers = range(min(one, other), max(one, other))
    left = list(without(numbers, found & set(numbers)))
    assert [each for some in left for each in some] == sorted(set(numbers) - found)
    assert ranges_of(number for some in left for number in some) == left


def test_positions_and_gaps_changed_or_taken_away_are_found(desk: Desk) -> None:
    desk.answer(1)
    desk.refuse(2)
    desk.refuse(5)
    desk.follow()
    desk.refuse(9)
    desk.follow(NOW + GAP_SECONDS + 1)
    assert not desk.check()[1]
    evidence = desk.engines.evidence
    for table in (FOLLOWED, GAPS, LOST):
        for row in rows_of(evidence, table):
            for column in table.columns:
                # Since when a number is missed tells nothing of whether it is.
                if column is GAPS.c.since:
                    continue
                with tampered(evidence, table, row, column, row[column.name] + 40):
                    assert desk.check()[1], (table.name, column.name)
            with removed(evidence, table, row):
                assert desk.check()[1], table.name
