"""Usage logs follow the ledger: what a receipt states is logged, once, in its place."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, update

from creditgate.transparency.merkle import verify_consistency
from creditgate.transparency.strict import strictly
from creditgate.v1.usage_log_pb2 import UsageLeaf
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged
from gateway.meter.tables import USAGE, USAGE_HEADS
from gateway.storage.background import NotNow
from gateway.storage.engines import Engines
from gateway.usage import writer as writing
from gateway.usage.check import check_usage
from gateway.usage.leaves import LedgerLost
from gateway.usage.tables import USAGE_LOGS
from tests.meter.world import NOW, claim, stored
from tests.receipts import RECEIPTS
from tests.stores import PostgresStores, engines_of
from tests.usage.world import Used


@pytest.fixture
def used(engines: Engines) -> Used:
    """Usage logs on an empty store."""
    return Used(engines)


def test_what_a_receipt_states_is_in_the_log_at_its_place(used: Used) -> None:
    alpha = used.charge(claim("r-1", [1]), claim("r-2"), claim("r-3", [2, 3]))
    beta = used.charge(claim("r-1", [1], operator_id="beta"))
    used.follow()
    alpha += used.charge(claim("r-4", [1]))
    used.follow()
    assert used.logged() == alpha
    assert used.logged("beta") == beta
    assert check_usage(used.engines) == (2, 5, [])


def test_log_only_grows(used: Used) -> None:
    checkpoints = [used.checkpoint("alpha", _note(used))] if used.logged() else []
    for number in range(5):
        used.charge(*(claim(f"r-{number}-{i}", [i]) for i in range(number + 1)))
        used.clock.at += 1
        used.follow()
        checkpoints.append(used.checkpoint("alpha", _note(used)))
    last = checkpoints[-1]
    for before in checkpoints:
        page = used.proofs.leaves("alpha", 0, 1, before.size)
        verify_consistency(before.size, last.size, before.root, last.root, [*page.consistency])


def test_steps_log_many_in_turns(used: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LEAVES_AT_ONCE", 6)
    monkeypatch.setattr(writing, "_LEAST_OF_ONE", 2)
    operators = [f"op-{number}" for number in range(4)]
    leaves = {
        operator_id: used.charge(*(claim(f"r-{i}", [i], operator_id=operator_id) for i in range(5)))
        for operator_id in operators
    }
    assert used.writer.step(NOW)
    # Each has its turn, however much there is of the others.
    assert {len(used.logged(operator_id)) for operator_id in operators} == {2}
    used.follow()
    assert {operator_id: used.logged(operator_id) for operator_id in operators} == leaves
    assert not used.writer.step(NOW)


def test_clock_steps_change_no_place(used: Used) -> None:
    leaves: list[bytes] = []
    for number, at in enumerate((NOW, NOW - 90_000, NOW + 5 * 86_400, NOW - 1, 0)):
        used.clock.at = at
        leaves += used.charge(claim(f"r-{number}", [number], served_at=at))
        used.follow()
    assert used.logged() == leaves
    assert [strictly(UsageLeaf, leaf).usage_index for leaf in leaves] == [*range(5)]


def test_writer_who_lost_its_turn_logs_nothing_twice(
    used: Used, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = used.charge(claim("r-1", [1]), claim("r-2", [2]))
    other = used.another_writer()
    write = other._write  # pyright: ignore[reportPrivateUsage]

    def late(news: object, now: int) -> None:
        used.follow()
        write(news, now)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(other, "_write", late)
    with pytest.raises(NotNow):
        other.step(NOW)
    assert used.logged() == leaves


def test_places_are_dense_whichever_process_charges(postgres_stores: PostgresStores) -> None:
    """On SQLite there is one writer at a time anyway."""
    with (
        postgres_stores.database() as store,
        engines_of(*store) as engines,
        engines_of(*store) as others,
    ):
        used = Used(engines)
        ledgers = [used.ledger, UsageLedger(others.records, used.clock, RECEIPTS)]

        def charge(process: int) -> None:
            for group in range(20):
                claims = [
                    claim(
                        f"{process}-{group}-{number}",
                        [number + 1],
                        operator_id=("alpha", "beta")[number % 2],
                    )
                    for number in range(5)
                ]
                outcomes = ledgers[process].commit(claims)
                assert all(isinstance(outcome, Charged) for outcome in outcomes)

        with ThreadPoolExecutor(3) as pool:
            under_way = [pool.submit(charge, process) for process in range(2)]
            while not all(each.done() for each in under_way):
                used.writer.step(NOW)
            for each in under_way:
                each.result()
        used.follow()
        for operator_id, count in (("alpha", 120), ("beta", 80)):
            rows = [row for row in stored(engines.records) if row.operator_id == operator_id]
            assert [row.usage_index for row in rows] == [*range(count)]
            assert len(used.logged(operator_id)) == count
        assert check_usage(engines).faults == []


def test_ledger_put_back_is_found_out_and_others_are_logged(used: Used) -> None:
    used.charge(claim("r-1", [1]), claim("r-2", [2]))
    used.charge(claim("r-1", [1], operator_id="beta"))
    used.follow()
    with used.engines.records.begin() as connection:
        connection.execute(delete(USAGE).where(USAGE.c.request_id == "r-2"))
        connection.execute(
            update(USAGE_HEADS).where(USAGE_HEADS.c.operator_id == "alpha").values(next_index=1)
        )
    more = used.charge(claim("r-2", [1], operator_id="beta"))
    with pytest.raises(LedgerLost):
        used.writer.step(NOW)
    assert used.logged("beta")[1:] == more
    # Uses in the places of those that were lost do not pass for them.
    used.charge(claim("r-4", [4]), claim("r-5", [5]))
    with pytest.raises(LedgerLost):
        used.writer.step(NOW)
    assert used.checkpoint("alpha", _note(used)).size == 2
    # Nor are they told for those that are logged.
    with pytest.raises(LedgerLost):
        used.logged()
    assert "usage_answers" in {
        fault.place.partition(",")[0] for fault in check_usage(used.engines).faults
    }


def test_ledger_put_back_does_not_pass_by_numbers_given_anew(used: Used) -> None:
    used.charge(claim("r-1", [1]), claim("r-2", [2]))
    used.follow()
    with used.engines.records.begin() as connection:
        connection.execute(delete(USAGE).where(USAGE.c.request_id == "r-2"))
        connection.execute(update(USAGE_HEADS).values(next_index=1))
    # On SQLite the first of these gets the number that the lost one had.
    used.charge(claim("r-3", [3]), claim("r-4", [4]))
    with pytest.raises(LedgerLost):
        used.writer.step(NOW)


def test_check_finds_what_was_changed(used: Used) -> None:
    used.charge(claim("r-1", [1]), claim("r-2", [2]), claim("r-1", operator_id="beta"))
    used.follow()

    def faults() -> list[str]:
        return [fault.place for fault in check_usage(used.engines).faults]

    assert faults() == []
    for column, other, was in (
        (USAGE.c.fee, 8, 7),
        (USAGE.c.lines, "[[1,1,8]]", "[[1,1,7]]"),
        (USAGE.c.usage_index, 7, 1),
        (USAGE.c.operator_id, "gamma", "alpha"),
        (USAGE.c.leaf_hash, b"h" * 32, _of(used, "r-2").leaf_hash),
    ):
        _set(used, column.name, other)
        assert faults(), column.name
        _set(used, column.name, was)
        assert faults() == []
    with used.engines.evidence.begin() as connection:
        connection.execute(update(USAGE_LOGS).values(sequence=1))
    assert faults()


def test_leaves_are_found_from_any_place_on(used: Used) -> None:
    names = ["alpha", "beta", "gamma"]
    chance = Random(20261128)
    leaves: dict[str, list[bytes]] = {name: [] for name in names}
    for number in range(60):
        name = chance.choice(names if number < 30 else names[:2])
        leaves[name] += used.charge(claim(f"r-{number}", [number], operator_id=name))
        used.follow()
    for name in names:
        for start in range(len(leaves[name]) + 1):
            assert [*used.proofs.leaves(name, start, 7, 0).leaves] == leaves[name][start:][:7]


def test_answers_that_are_kept_without_a_hash_are_logged_as_the_others(used: Used) -> None:
    leaves = used.charge(claim("r-1", [1]), claim("r-2", [2]), claim("r-3", [3]))
    _set(used, "leaf_hash", None)
    used.follow()
    assert used.logged() == leaves
    assert check_usage(used.engines).faults == []


def test_leaf_that_is_not_what_is_logged_is_not_told(used: Used) -> None:
    used.charge(claim("r-1", [1]), claim("r-2", [2]))
    used.follow()
    _set(used, "fee", 8)
    with pytest.raises(LedgerLost):
        used.proofs.leaves("alpha", 0, 10, 0)
    with pytest.raises(LedgerLost):
        used.proofs.use("alpha", _of(used, "r-2").sequence, 0)


def _of(used: Used, request_id: str) -> Any:
    return next(row for row in stored(used.engines.records) if row.request_id == request_id)


def _set(used: Used, column: str, value: object) -> None:
    with used.engines.records.begin() as connection:
        connection.execute(update(USAGE).where(USAGE.c.request_id == "r-2").values({column: value}))


def _note(used: Used) -> str:
    log = used.logs.of("alpha")
    latest = None if log is None else log.latest()
    assert latest is not None
    return latest.note
