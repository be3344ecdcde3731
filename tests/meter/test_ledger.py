"""The ledger on both stores: removals, quotas, several processes, claims that cannot be written."""

import json
import resource
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import Engine, select

from consent.tables import WRITES
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import (
    Charged,
    Left,
    LineCount,
    NotCharged,
    Outcome,
    Replayed,
    Stale,
    Unwritable,
    UsageClaim,
    unpack_entries,
)
from gateway.meter.postgresql import PostgresLedgerStore
from gateway.meter.replays import REPLAYS
from gateway.meter.sqlite import SqliteLedgerStore
from gateway.meter.tables import REFUSALS
from gateway.storage.engines import reading
from tests.clock import StandingClock
from tests.meter.world import (
    DAY,
    MIDNIGHT,
    NOW,
    REPLAY_SECONDS,
    Disclosure,
    admitted,
    claim,
    paused_before_commit,
    quota_used,
    refusal,
    stored,
    with_lines,
)
from tests.receipts import RECEIPTS
from tests.stores import PostgresStores, SqliteStores, engines_of

_R = RefusalReason


@pytest.fixture
def ledger(records_engine: Engine) -> UsageLedger:
    """A ledger on an empty store, whose clock stands still."""
    return UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)


def refused(outcome: Outcome) -> str:
    """Return the reason of a refusal, for short."""
    assert isinstance(outcome, NotCharged)
    return RefusalReason.Name(outcome.reason).removeprefix("REFUSAL_REASON_")


def test_a_retry_that_is_given_records_is_noted_and_no_other(records_engine: Engine) -> None:
    clock = StandingClock()
    ledger = UsageLedger(with_lines(records_engine), clock, RECEIPTS)
    uses = [claim("r-1", [1]), claim("r-2"), claim("r-3", [1]), claim("r-4", [1], chunk=2)]
    ledger.commit(uses)
    for at in (NOW + 5, NOW + 9):
        clock.at = at
        # In one group as in several: each is one time more.
        outcomes = ledger.commit([*uses[:2], uses[3]] if at == NOW + 5 else [uses[0]] * 2)
        assert {type(each) for each in outcomes} == {Replayed}
    with reading(records_engine) as connection:
        rows = connection.execute(select(REPLAYS).order_by(REPLAYS.c.request_id)).all()
        told = connection.execute(select(WRITES.c.written, WRITES.c.row_key)).all()
    assert [
        (*row[:3], [*unpack_entries(row.entries)], row.replayed_at, row.times) for row in rows
    ] == [
        ("alpha", "r-1", 0, [1], NOW + 9, 3),
        ("alpha", "r-4", 2, [1], NOW + 5, 1),
    ]
    # Each time it was: the state that a fact is logged of.
    assert {each.written for each in told} == {REPLAYS.name}
    assert Counter(json.loads(each.row_key)[1] for each in told) == {"r-1": 2, "r-4": 1}


def test_a_retry_that_is_given_less_is_noted_with_what_it_was_given(
    records_engine: Engine,
) -> None:
    clock = StandingClock()
    ledger = UsageLedger(with_lines(records_engine), clock, RECEIPTS)
    ledger.commit([claim("r-1", [1, 2])])
    for at, given in ((NOW + 1, [1, 2]), (NOW + 5, [2]), (NOW + 9, [2])):
        clock.at = at
        ledger.commit([claim("r-1", given)])
    with reading(records_engine) as connection:
        rows = connection.execute(select(REPLAYS).order_by(REPLAYS.c.replayed_at)).all()
    assert [([*unpack_entries(row.entries)], row.replayed_at, row.times) for row in rows] == [
        ([1, 2], NOW + 1, 1),
        ([2], NOW + 9, 2),
    ]


def test_charged_answer_is_stored_as_claimed(ledger: UsageLedger, records_engine: Engine) -> None:
    made = claim(
        "r-1",
        [3, 1, 2],
        chunk=4,
        disclosure_sequence=0,
        lines=(LineCount(1, 2, 7), LineCount(2, 1, 10**12)),
        asked_subjects=5,
    )
    assert ledger.commit([made]) == [Charged(14 + 10**12)]
    (row,) = stored(records_engine)
    shared = {*UsageClaim._fields} & {*row._mapping} - {"lines", "asked_items"}
    assert {name: row._mapping[name] for name in shared} == {
        name: getattr(made, name) for name in shared
    }
    assert len(shared) == 14
    assert (row.lines, row.entry_count, row.fee) == (
        f"[[1,2,7],[2,1,{10**12}]]",
        3,
        14 + 10**12,
    )


def test_removal_committed_before_the_claim_makes_it_stale(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    disclosure = Disclosure(records_engine)
    kept, corrected, repaired = disclosure.publish(*map(admitted, ("a", "b", "c")))
    head = disclosure.store.head()
    disclosure.correct(admitted("b", content=b'{"about":"y"}'))
    disclosure.repair("c")
    outcomes = ledger.commit(
        [
            claim("r-1", [kept, corrected], disclosure_sequence=head),
            claim("r-2", [repaired], disclosure_sequence=head),
            claim("r-3", [kept], disclosure_sequence=head),
            claim("r-4", [], disclosure_sequence=head),
        ]
    )
    assert outcomes == [Stale(), Stale(), Charged(7), Charged(0)]
    assert [row.request_id for row in stored(records_engine)] == ["r-3", "r-4"]


def test_bulk_load_between_reading_and_commit_holds_no_claim_up(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    """What is looked at grows with the claim, not with what was published meanwhile."""
    disclosure = Disclosure(records_engine)
    (sequence,) = disclosure.publish(admitted("a"))
    head = disclosure.store.head()
    disclosure.publish(*(admitted(f"bulk-{i}", i) for i in range(3_000)))
    assert ledger.commit([claim("r-1", [sequence], disclosure_sequence=head)]) == [Charged(7)]


def test_claim_waits_for_a_removal_in_progress_but_not_for_a_publication(
    postgres_stores: PostgresStores,
) -> None:
    """SQLite has one writer at a time anyway."""
    with postgres_stores.database() as store, engines_of(*store) as engines:
        _waits_for_removals_only(engines.records)


def _waits_for_removals_only(engine: Engine) -> None:
    disclosure = Disclosure(engine)
    (sequence,) = disclosure.publish(admitted("a"))
    ledger = UsageLedger(with_lines(engine), StandingClock(), RECEIPTS)
    made = [claim("r-1", [sequence], disclosure_sequence=disclosure.store.head())]
    with paused_before_commit(engine, lambda: disclosure.publish(admitted("b"))):
        assert ledger.commit([made[0]._replace(request_id="r-2")]) == [Charged(7)]
    with (
        ThreadPoolExecutor(1) as pool,
        paused_before_commit(engine, lambda: disclosure.repair("a")) as go_on,
    ):
        outcome = pool.submit(ledger.commit, made)
        with pytest.raises(TimeoutError):
            outcome.result(0.5)
        go_on()
        assert outcome.result(10) == [Stale()]


def test_claim_gets_its_turn_between_the_batches_of_a_bulk_load(
    sqlite_stores: SqliteStores,
) -> None:
    """A loader that takes SQLite's one write lock again and again does not starve charges."""
    batches = 0
    held, done = Event(), Event()

    def load(engine: Engine) -> None:
        nonlocal batches
        while not done.is_set():
            with engine.begin():
                held.set()
                time.sleep(0.03)
            batches += 1
            time.sleep(0.001)

    with sqlite_stores.database() as store, engines_of(*store) as engines:
        ledger = UsageLedger(with_lines(engines.records), StandingClock(), RECEIPTS)
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load, engines.records)
            waited: list[int] = []
            for number in range(5):
                held.clear()
                assert held.wait(10)
                before = batches
                assert ledger.commit([claim(f"r-{number}", [1])]) == [Charged(7)]
                waited.append(batches - before)
            done.set()
            loading.result()
    assert max(waited) <= 12


def test_a_ledger_that_waits_for_that_of_another_process_is_asleep(
    sqlite_stores: SqliteStores,
) -> None:
    def woken() -> int:
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

    def commit(engine: Engine) -> tuple[list[Outcome], int]:
        before = woken()
        outcomes = UsageLedger(engine, StandingClock(), RECEIPTS).commit([claim("r-1", [1])])
        return outcomes, woken() - before

    with (
        sqlite_stores.database() as store,
        engines_of(*store) as one,
        engines_of(*store) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        with_lines(one.records)
        with SqliteLedgerStore(other.records).transaction([]):
            waiting = pool.submit(commit, one.records)
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
        outcomes, times = waiting.result(10)
    assert outcomes == [Charged(7)]
    assert times < 100


def test_a_ledger_whose_group_fails_holds_nobody_up(sqlite_stores: SqliteStores) -> None:
    with (
        sqlite_stores.database() as store,
        engines_of(*store) as one,
        engines_of(*store) as other,
    ):
        failing = SqliteLedgerStore(other.records)
        with pytest.raises(ZeroDivisionError), failing.transaction([]):
            raise ZeroDivisionError
        ledger = UsageLedger(with_lines(one.records), StandingClock(), RECEIPTS)
        # Of a thread that may wait for ever, so that this one would not.
        thread = Thread(target=ledger.commit, args=([claim("r-1", [1])],), daemon=True)
        thread.start()
        thread.join(10)
        assert len(stored(one.records)) == 1


def test_claim_that_waited_past_what_it_rests_on_is_stale(records_engine: Engine) -> None:
    clock = StandingClock()
    ledger = UsageLedger(with_lines(records_engine), clock, RECEIPTS)
    made = claim("r-1", [1], good_until=NOW + 2)
    clock.at = NOW + 2
    assert ledger.commit([made]) == [Stale()]
    clock.at = NOW + 1
    assert ledger.commit([made]) == [Charged(7)]


def test_claim_whose_authority_stands_no_more_is_stale(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    assert ledger.commit([claim("r-1", [1], stands=lambda: False)]) == [Stale()]
    assert not stored(records_engine)


def test_retry_is_judged_by_payload_window_and_what_was_paid(ledger: UsageLedger) -> None:
    ledger.commit([claim("r-1", [1, 2])])
    retries = {
        "same": claim("r-1", [1, 2]),
        "less": claim("r-1", [2]),
        "more": claim("r-1", [1, 2, 3]),
        "other payload": claim("r-1", [1, 2], payload_digest=b"other"),
        "last instant": claim("r-1", [1], served_at=NOW + REPLAY_SECONDS - 1),
        "too late": claim("r-1", [1], served_at=NOW + REPLAY_SECONDS),
        "clock set back": claim("r-1", [1], served_at=NOW - DAY),
        "other operator": claim("r-1", [1], operator_id="beta"),
    }
    outcomes = dict(zip(retries, ledger.commit(list(retries.values())), strict=True))
    replayed = Replayed("d-r-1")
    assert outcomes["same"] == outcomes["less"] == replayed
    assert outcomes["last instant"] == outcomes["clock set back"] == replayed
    assert refused(outcomes["more"]) == "REQUEST_SUPERSEDED"
    assert (
        refused(outcomes["other payload"]) == refused(outcomes["too late"]) == "REQUEST_ID_REUSED"
    )
    assert outcomes["other operator"] == Charged(7)


def test_id_of_a_batch_with_another_payload_is_refused_for_every_chunk(
    ledger: UsageLedger,
) -> None:
    ledger.commit([claim("r-1", [1], chunk=chunk) for chunk in (3, 4)])
    for chunk in (0, 3, 4, 9):
        (other,) = ledger.commit([claim("r-1", [1], chunk=chunk, payload_digest=b"other")])
        assert refused(other) == "REQUEST_ID_REUSED"
    assert ledger.commit([claim("r-1", [1], chunk=9)]) == [Charged(7)]


def test_twins_in_one_group_are_charged_once(ledger: UsageLedger, records_engine: Engine) -> None:
    outcomes = ledger.commit([claim("r-1", [1], decision_id=f"d-{i}") for i in range(5)])
    assert outcomes == [Charged(7), *[Replayed("d-0")] * 4]
    assert len(stored(records_engine)) == 1


def test_quota_counts_records_by_utc_day(ledger: UsageLedger, records_engine: Engine) -> None:
    def ask(request_id: str, records: int, at: int) -> UsageClaim:
        return claim(request_id, range(1, records + 1), served_at=at, daily_quota=4)

    outcomes = ledger.commit(
        [
            ask("r-1", 4, MIDNIGHT - 1),
            ask("r-2", 1, MIDNIGHT - 1),
            ask("r-3", 0, MIDNIGHT - 1),
            ask("r-4", 3, MIDNIGHT),
        ]
    )
    exhausted = NotCharged(_R.REFUSAL_REASON_QUOTA_EXHAUSTED, retry_after=1)
    assert outcomes == [Charged(28), exhausted, exhausted, Charged(21)]
    day = MIDNIGHT // DAY
    assert quota_used(records_engine) == {("alpha", day - 1): 4, ("alpha", day): 3}


def test_while_anything_is_left_of_a_quota_no_answer_tells_by_a_refusal_what_it_has(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    """G11: the last answer goes beyond the quota, and behind it all are refused alike."""

    def ask(request_id: str, records: int, **changes: bool) -> Outcome:
        made = claim(request_id, range(1, records + 1), daily_quota=4, **changes)
        return ledger.commit([made])[0]

    assert ask("r-1", 3) == Charged(21)
    assert ask("r-2", 0) == Charged(0)
    assert ask("r-3", 4) == Charged(28)
    refused = [
        ask("r-4", 0), ask("r-5", 1), ask("r-6", 9), ask("r-7", 0, may_be_empty=False),
    ]  # fmt: skip
    assert refused == [NotCharged(_R.REFUSAL_REASON_QUOTA_EXHAUSTED, DAY - NOW % DAY)] * 4
    assert {each.left for each in refused if isinstance(each, NotCharged)} == {
        Left(0, 4, DAY - NOW % DAY, ())
    }
    assert quota_used(records_engine) == {("alpha", NOW // DAY): 7}


def test_refusal_of_a_record_is_the_same_whether_it_is_there_or_not(ledger: UsageLedger) -> None:
    """G11: id, payload and quota refuse both alike; only then is it said that it is not there."""
    ledger.commit([claim("used", [1]), claim("full", [1, 2], operator_id="beta")])
    for changes, reason in (
        ({"request_id": "used", "payload_digest": b"other"}, "REQUEST_ID_REUSED"),
        ({"request_id": "new", "operator_id": "beta", "daily_quota": 2}, "QUOTA_EXHAUSTED"),
    ):
        for entries in ([5], []):
            made = claim("r", entries)._replace(may_be_empty=False, **changes)
            assert refused(ledger.commit([made])[0]) == reason
    gone = claim("used", [], may_be_empty=False)
    never = claim("new", [], may_be_empty=False)
    assert list(map(refused, ledger.commit([gone, never]))) == ["RECORD_NOT_DISCLOSED"] * 2


def test_claim_that_cannot_be_written_fails_alone(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    made = [claim(f"r-{i}", [1]) for i in range(9)]
    made[3] = claim("r-3", [1], lines=(LineCount(1, 1, 1 << 63),))
    made[7] = claim("r-7", [1], licence="\ud800")
    outcomes = ledger.commit(made, [refusal()])
    assert outcomes == [Unwritable() if i in {3, 7} else Charged(7) for i in range(9)]
    assert len(stored(records_engine)) == 7
    assert sum(quota_used(records_engine).values()) == 7
    with reading(records_engine) as connection:
        assert len(connection.execute(select(REFUSALS)).all()) == 1


def test_malformed_refusal_is_logged_as_far_as_it_can_be(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    """A refused call may carry anything; it must not stop the charges beside it."""
    hostile = ["x" * 10_000, "a\0b", "信用", "\ud800"]
    refusals = [refusal(request_id=request_id, purpose=2**31 - 1) for request_id in hostile]
    assert ledger.commit([claim("r-1", [1])], refusals) == [Charged(7)]
    with reading(records_engine) as connection:
        rows = connection.execute(select(REFUSALS).order_by(REFUSALS.c.sequence)).all()
    assert [row.request_id for row in rows] == ["x" * 64, "a?b", "??", "?"]
    assert {row.purpose for row in rows} == {0}


def test_two_processes_keep_one_quota_and_lose_nothing(store: tuple[str, Path]) -> None:
    """With groups in opposite orders, over midnight: exact, and without deadlock."""
    quota, groups = 40, 12
    operators = ["alpha", "beta", "gamma"]

    def made(name: str, number: int) -> list[UsageClaim]:
        return [
            claim(
                f"{'both' if i % 2 else name}-{number}-{i}",
                range(i % 3),
                operator_id=operator,
                served_at=MIDNIGHT - number % 2,
                daily_quota=quota,
            )
            for i in range(8)
            for operator in operators
        ]

    def run(engine: Engine, name: str, step: int) -> list[Outcome]:
        ledger = UsageLedger(with_lines(engine), StandingClock(), RECEIPTS)
        return [
            outcome
            for number in range(groups)
            for outcome in ledger.commit(made(name, number)[::step])
        ]

    with (
        engines_of(*store) as one,
        engines_of(*store) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        runs = [pool.submit(run, one.records, "one", 1), pool.submit(run, two.records, "two", -1)]
        outcomes = [outcome for each in runs for outcome in each.result(60)]
        rows = stored(one.records)
        used = quota_used(one.records)
    charged = [outcome for outcome in outcomes if isinstance(outcome, Charged)]
    assert len(rows) == len(charged)
    assert sum(row.fee for row in rows) == sum(outcome.fee for outcome in charged)
    assert {type(outcome) for outcome in outcomes} == {Charged, Replayed, NotCharged}
    # The last answer, of two records at most, may have gone beyond.
    assert all(count <= quota + 1 for count in used.values())
    for (operator, day), count in used.items():
        assert count == sum(
            row.entry_count
            for row in rows
            if (row.operator_id, row.served_at // DAY) == (operator, day)
        )


def test_groups_with_operators_in_opposite_orders_never_wait_for_each_other(
    postgres_stores: PostgresStores,
) -> None:
    """PostgreSQL would end one of two that do, and its callers be told to try again."""
    names = ["one", "middle", "other"]

    def run(engine: Engine, request_id: str, step: int) -> list[Outcome]:
        made = [claim(request_id, [1], operator_id=name) for name in names[::step]]
        return UsageLedger(with_lines(engine), StandingClock(), RECEIPTS).commit(made)

    with postgres_stores.database() as store, engines_of(*store) as engines:
        engine = engines.records
        with ThreadPoolExecutor(2) as pool:
            # Both come as far as they can while a third has the operator in the middle.
            with PostgresLedgerStore(engine).transaction([claim(operator_id="middle")]):
                runs = [pool.submit(run, engine, "r-1", 1), pool.submit(run, engine, "r-2", -1)]
                with pytest.raises(TimeoutError):
                    runs[0].result(0.5)
            assert [each.result(30) for each in runs] == [[Charged(7)] * 3] * 2


def test_sequences_of_an_operator_follow_the_order_of_commit(store: tuple[str, Path]) -> None:
    """Who has read up to a sequence has missed none of the operator's answers before it."""

    def write(engine: Engine, name: str) -> None:
        ledger = UsageLedger(with_lines(engine), StandingClock(), RECEIPTS)
        for number in range(40):
            ledger.commit([claim(f"{name}-{number}", [1], served_at=MIDNIGHT - number % 2)])

    with (
        engines_of(*store) as one,
        engines_of(*store) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        writing = [pool.submit(write, one.records, "one"), pool.submit(write, two.records, "two")]
        seen: set[int] = set()
        while not all(each.done() for each in writing):
            now = {row.sequence for row in stored(one.records)}
            assert not [s for s in now - seen if s < max(seen, default=0)]
            seen = now
        for each in writing:
            each.result()
