"""``creditgate settlement`` against a real gateway whose ledger has a month that is over."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.meter.tables import USAGE
from gateway.settle.month import month_of, shifted
from gateway.storage.engines import open_engines
from tests.cli.commands import Served, creditgate_here, served_demo
from tests.settle.month import Served as Use
from tests.settlement.world import Ledger

ADMINISTRATOR = "administrator"
FIRM = "gone-firm"
LAST = shifted(month_of(int(time.time())), -1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with demo data, and use of the month before."""
    with served_demo(tmp_path_factory.mktemp("cli") / "home") as served:
        engines = open_engines("sqlite", served.home)
        ledger = Ledger(engines, FIRM, first=1_000_001)
        ledger.serve([Use(LAST.from_ + 5, 1, "x", "penalty", "mem", "11", 1, 1_000_000)])
        engines.dispose()
        parts = ("--source", "6000", "--region", "2500", "--platform", "1500")
        old = ("sharing", "create", "old", *parts, "--from", "2000-01-01", "--reason", "as before")
        served.answer(ADMINISTRATOR, *old)
        yield served


def test_a_month_is_closed_shown_booked_and_worked_out_again(served: Served) -> None:
    unclosed = served.run(ADMINISTRATOR, "settlement", "show", LAST.name)
    assert unclosed.status == 2
    closed = served.answer(ADMINISTRATOR, "settlement", "close", LAST.name)
    assert closed["settlement"]["total_micro_yuan"] == "1000000"
    assert served.answer(ADMINISTRATOR, "settlement", "show", LAST.name) == closed
    assert served.answer(ADMINISTRATOR, "settlement", "close", LAST.name) == closed
    assert "1.000000" in served.run(ADMINISTRATOR, "settlement", "closings").out
    journal = served.run(ADMINISTRATOR, "settlement", "journal", "--operator", FIRM).out
    assert f"operators/{FIRM}" in journal
    assert "statement" in journal
    check = creditgate_here(served.home, "settlement", "check", LAST.name)
    assert check.status == 0, check.out + check.told
    assert "the same bytes" in check.out


def test_a_month_whose_ledger_was_changed_fails_its_check(served: Served) -> None:
    served.answer(ADMINISTRATOR, "settlement", "close", LAST.name)
    engines = open_engines("sqlite", served.home)
    own = USAGE.c.operator_id == FIRM
    with engines.records.begin() as connection:
        (lines,) = connection.execute(select(USAGE.c.lines).where(own)).scalars()
        connection.execute(update(USAGE).where(own).values(lines=lines.replace(",1,", ",2,")))
    check = creditgate_here(served.home, "settlement", "check", LAST.name)
    with engines.records.begin() as connection:
        connection.execute(update(USAGE).where(own).values(lines=lines))
    engines.dispose()
    assert check.status == 1
    assert FIRM in check.out + check.told


def test_a_month_that_is_not_closed_has_nothing_to_check(served: Served) -> None:
    before = shifted(LAST, -1).name
    assert creditgate_here(served.home, "settlement", "check", before).status == 1


def test_evidence_that_proves_nothing_credits_nothing(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "dispute.bin"
    file.write_bytes(b"nonsense")
    credit = ("settlement", "credit", "alpha-credit", str(file), "--reason", "charged twice")
    assert served.refusal(ADMINISTRATOR, *credit) == "INVALID_REQUEST"
