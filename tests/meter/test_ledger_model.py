"""G5 as a whole: any history of claims and retries charges what a plain model charges."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import (
    Charged,
    LineCount,
    NotCharged,
    Outcome,
    Replayed,
    Stale,
    UsageClaim,
    unpack_entries,
)
from tests.clock import StandingClock
from tests.meter.world import (
    DAY,
    MIDNIGHT,
    REPLAY_SECONDS,
    Disclosure,
    admitted,
    claim,
    committed,
    quota_used,
    stored,
    with_lines,
)
from tests.receipts import RECEIPTS

QUOTA = 6
PRICE = 7
RECORDS = ("rec-a", "rec-b", "rec-c", "rec-d")
_R = RefusalReason


@dataclass
class Model:
    """What a ledger has to do, in the plainest words."""

    live: dict[str, int]
    paid: dict[tuple[str, str, int], UsageClaim]

    def judge(self, made: UsageClaim, now: int) -> Outcome:
        """Return what must become of a claim, and keep it if it is charged."""
        entries = set(unpack_entries(made.entries))
        if now >= made.good_until or not entries <= set(self.live.values()):
            return Stale()
        key = made.operator_id, made.request_id
        known = [row for (*paid_key, _), row in self.paid.items() if tuple(paid_key) == key]
        if any(row.payload_digest != made.payload_digest for row in known):
            return NotCharged(_R.REFUSAL_REASON_REQUEST_ID_REUSED)
        same = self.paid.get((*key, made.chunk))
        if same is not None:
            if made.served_at - same.served_at >= REPLAY_SECONDS:
                return NotCharged(_R.REFUSAL_REASON_REQUEST_ID_REUSED)
            if not entries <= set(unpack_entries(same.entries)):
                return NotCharged(_R.REFUSAL_REASON_REQUEST_SUPERSEDED)
            if not entries and not made.may_be_empty:
                return NotCharged(_R.REFUSAL_REASON_RECORD_NOT_DISCLOSED)
            return Replayed(same.decision_id)
        used = self.used(made.operator_id, made.served_at // DAY)
        if used >= QUOTA:
            return NotCharged(_R.REFUSAL_REASON_QUOTA_EXHAUSTED, DAY - made.served_at % DAY)
        if not entries and not made.may_be_empty:
            return NotCharged(_R.REFUSAL_REASON_RECORD_NOT_DISCLOSED)
        self.paid[*key, made.chunk] = made
        return Charged(len(entries) * PRICE)

    def used(self, operator_id: str, day: int) -> int:
        """Return the records served to an operator on a day."""
        return sum(
            row.entry_count
            for row in self.paid.values()
            if (row.operator_id, row.served_at // DAY) == (operator_id, day)
        )


class LedgerMachine(RuleBasedStateMachine):
    """Claims, retries, changed payloads, corrections, repairs and clocks that jump.

    Each run has operators and records of its own in one store.
    """

    engine: Engine
    runs: Iterator[int]

    def __init__(self) -> None:
        super().__init__()
        run = next(self.runs)
        self.operators = [f"alpha-{run}", f"beta-{run}"]
        self.record_ids = [f"{name}-{run}" for name in RECORDS]
        self.clock = StandingClock(MIDNIGHT - 2)
        self.ledger = UsageLedger(with_lines(self.engine), self.clock, RECEIPTS)
        self.disclosure = Disclosure(self.engine, batches=f"run-{run}")
        sequences = self.disclosure.publish(*map(admitted, self.record_ids))
        self.model = Model(dict(zip(self.record_ids, sequences, strict=True)), {})
        self.revisions = dict.fromkeys(self.record_ids, 1)
        self.read_before: list[UsageClaim] = []
        self.made = 0

    @rule(
        asked=st.lists(
            st.tuples(
                st.sampled_from([0, 0, 1]),
                st.sampled_from(["r-1", "r-2", "r-3"]),
                st.sampled_from([0, 0, 0, 1, 2]),
                st.sampled_from([b"p", b"p", b"p", b"other"]),
                st.sets(st.sampled_from(range(4)), max_size=3),
                st.booleans(),
                st.booleans(),
            ),
            min_size=1,
            max_size=5,
        )
    )
    def read(self, asked: list[tuple[int, str, int, bytes, set[int], bool, bool]]) -> None:
        """Read the disclosure for some claims; they are committed later."""
        head = self.disclosure.store.head()
        for operator, request_id, chunk, digest, records, may_be_empty, hasty in asked:
            self.made += 1
            live = self.model.live
            names = [self.record_ids[index] for index in records]
            entries = sorted(live[name] for name in names if name in live)
            self.read_before.append(
                claim(
                    request_id,
                    entries,
                    operator_id=self.operators[operator],
                    chunk=chunk,
                    payload_digest=digest,
                    decision_id=f"d-{self.made}",
                    served_at=self.clock.at,
                    disclosure_sequence=head,
                    lines=(LineCount(1, len(entries), PRICE),) if entries else (),
                    daily_quota=QUOTA,
                    good_until=self.clock.at + (1 if hasty else DAY),
                    may_be_empty=may_be_empty,
                )
            )

    @rule(at_once=st.booleans())
    def commit(self, at_once: bool) -> None:
        """Commit what was read, in one group."""
        made, self.read_before = self.read_before, []
        expected = [self.model.judge(each, self.clock.at) for each in made]
        assert committed(self.ledger, made, at_once=at_once) == expected

    @rule(index=st.sampled_from(range(4)))
    def correct(self, index: int) -> None:
        """Replace a revision."""
        record_id = self.record_ids[index]
        if record_id in self.model.live:
            revision = self.revisions[record_id]
            record = admitted(record_id, content=b'{"revision":%d}' % (revision + 1))
            self.model.live[record_id] = self.disclosure.correct(record, revision)
            self.revisions[record_id] += 1

    @rule(index=st.sampled_from(range(4)))
    def repair(self, index: int) -> None:
        """End a record."""
        record_id = self.record_ids[index]
        if self.model.live.pop(record_id, None) is not None:
            self.disclosure.repair(record_id, self.revisions[record_id])

    @rule(seconds=st.sampled_from([1, 2, REPLAY_SECONDS, DAY, -1, -REPLAY_SECONDS, -DAY]))
    def set_clock(self, seconds: int) -> None:
        """Let time pass, or set the clock back."""
        self.clock.at += seconds

    @invariant()
    def ledger_holds_what_was_charged(self) -> None:
        """The rows are the charged claims, and the counters are their sums."""
        rows = stored(self.engine, *self.operators)
        assert {(row.operator_id, row.request_id, row.chunk) for row in rows} == set(
            self.model.paid
        )
        assert len(rows) == len(self.model.paid)
        for row in rows:
            paid = self.model.paid[row.operator_id, row.request_id, row.chunk]
            assert (row.entries, row.entry_count) == (paid.entries, paid.entry_count)
            assert (row.fee, row.decision_id) == (paid.entry_count * PRICE, paid.decision_id)
        used = {key: n for key, n in quota_used(self.engine).items() if key[0] in self.operators}
        assert used == {key: total for key in used if (total := self.model.used(*key))}
        most = max(0, *(row.entry_count for row in rows)) if rows else 0
        assert all(total < QUOTA + most for total in used.values())
        assert sum(used.values()) == sum(row.entry_count for row in rows)


@pytest.mark.parametrize(
    "most", [pytest.param(15, id="few"), pytest.param(160, id="many", marks=pytest.mark.soak)]
)
def test_any_history_charges_each_request_once_and_nothing_once_the_quota_is_used_up(
    records_engine: Engine, most: int
) -> None:
    class Machine(LedgerMachine):
        engine = records_engine
        runs = count()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=most,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
