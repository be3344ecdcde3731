"""The archive has every use once, and a question reads the archive and nothing else."""

import json
import resource
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
from psutil import Process
from sqlalchemy import delete, update

from gateway.analytics import archive as archiving
from gateway.analytics import question
from gateway.analytics.answering import DATA_BYTES
from gateway.analytics.archive import (
    MANIFEST,
    ArchiveBusy,
    ArchiveUnreadable,
    extend,
    read_manifest,
)
from gateway.analytics.question import QuestionRefused, ask
from gateway.exports.uses import LedgerLost
from gateway.meter.model import LineCount
from gateway.meter.tables import USAGE, USAGE_HEADS
from tests.exports.world import Ledger
from tests.meter.world import NOW, claim
from tests.stores import engines_of

_MONTH = 31 * 86_400
_BY_MONTH = (
    "SELECT month, sum(records)::BIGINT, sum(fee_micro_yuan)::BIGINT FROM usage"
    " GROUP BY month ORDER BY month"
)


def _used(ledger: Ledger) -> None:
    two = (LineCount(1, 1, 7), LineCount(2, 2, 5))
    ledger.charge(claim("r-1", [1]), claim("r-2"), claim("r-3", [1, 2, 3], lines=two))
    ledger.charge(claim("r-1", [1], operator_id="beta", served_at=NOW + _MONTH))
    ledger.give_back("r-3", NOW + _MONTH)


def test_every_use_is_archived_once_in_the_month_it_was_made_in(
    ledger: Ledger, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    _used(ledger)
    assert extend(folder, ledger.engines.records) == (6, 2)
    assert extend(folder, ledger.engines.records) == (0, 0)
    # What came late to March is given back in March.
    assert ask(folder, _BY_MONTH).rows == [("2026-03", 1, 7), ("2026-05", 1, 7)]
    ledger.charge(claim("r-4", [1, 2]))
    assert extend(folder, ledger.engines.records) == (1, 1)
    assert ask(folder, _BY_MONTH).rows == [("2026-03", 3, 21), ("2026-05", 1, 7)]
    kinds = "SELECT kind, item, purpose, count(*) FROM usage GROUP BY ALL ORDER BY ALL"
    assert ask(folder, kinds).rows == [
        ("ANSWER", "item-2", "BIDDING", 1),
        ("ANSWER", "penalty.general", "BIDDING", 4),
        ("REVERSAL", "item-2", "BIDDING", 1),
        ("REVERSAL", "penalty.general", "BIDDING", 1),
    ]
    for file in read_manifest(folder).files:
        path = folder / file.name
        assert sha256(path.read_bytes()).hexdigest() == file.sha256
        assert path.stat().st_mode & 0o777 == 0o600


def test_run_that_ended_in_the_middle_adds_nothing_twice(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _used(ledger)

    def full(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(archiving, "_replace", full)
        with pytest.raises(OSError):
            extend(tmp_path, ledger.engines.records)
    assert [*tmp_path.glob("month=*/*.parquet")]
    with pytest.raises(ArchiveUnreadable):
        ask(tmp_path, _BY_MONTH)
    extend(tmp_path, ledger.engines.records)
    assert ask(tmp_path, "SELECT count(*) FROM usage").rows == [(6,)]


def test_large_ledgers_are_archived_in_groups(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "_ROWS_AT_ONCE", 3)
    monkeypatch.setattr(archiving, "_LEAST_GROUP", 4)
    ledger.charge(*(claim(f"r-{number}", [1]) for number in range(20)))
    assert extend(tmp_path, ledger.engines.records) == (20, 1)
    places = "SELECT list(usage_index ORDER BY usage_index) FROM usage"
    assert ask(tmp_path, places).rows == [([*range(20)],)]


def test_ledger_put_back_and_second_writers_are_refused(ledger: Ledger, tmp_path: Path) -> None:
    _used(ledger)
    extend(tmp_path, ledger.engines.records)
    with archiving._alone(tmp_path), pytest.raises(ArchiveBusy):  # pyright: ignore[reportPrivateUsage]
        extend(tmp_path, ledger.engines.records)
    with ledger.engines.records.begin() as connection:
        connection.execute(delete(USAGE).where(USAGE.c.operator_id == "beta"))
        connection.execute(
            update(USAGE_HEADS).where(USAGE_HEADS.c.operator_id == "beta").values(next_index=0)
        )
    with pytest.raises(LedgerLost):
        extend(tmp_path, ledger.engines.records)


@pytest.fixture
def archive(sqlite_store: tuple[str, Path], tmp_path: Path) -> Path:
    """An archive with uses; a question does not meet the store it comes from."""
    with engines_of(*sqlite_store) as engines:
        _used(Ledger(engines))
        extend(tmp_path, engines.records)
    return tmp_path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('{folder}/manifest.json')",
        "SELECT * FROM glob('/etc/*')",
        "COPY usage TO '{folder}/stolen.csv'",
        "COPY usage TO '{file}'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "ATTACH '{folder}/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW usage",
        "SELECT 1; SELECT 2",
        "",
        "SELECT",
        "nonsense",
        "SELECT nothing FROM usage",
    ],
)
def test_question_reads_the_archive_alone_and_writes_nothing(archive: Path, sql: str) -> None:
    file = archive / read_manifest(archive).files[0].name
    before = file.read_bytes()
    with pytest.raises(QuestionRefused):
        ask(archive, sql.format(folder=archive, file=file))
    assert file.read_bytes() == before
    assert not (archive / "stolen.csv").exists()


def test_long_answers_are_cut_and_say_so(archive: Path) -> None:
    told = ask(archive, "SELECT usage_index FROM usage ORDER BY ALL", most=4)
    assert (len(told.rows), told.more, told.columns) == (4, True, ["usage_index"])


@pytest.mark.parametrize(
    "sql",
    [
        # DuckDB's own limit covers neither what these two make,
        "SELECT sum(x) FROM (SELECT unnest(range(3000000000)) x)",
        "SELECT len(repeat('x', 2000000000))",
        # nor what Python makes of rows, but what is grouped.
        "SELECT repeat('x', 300000000) FROM range(20)",
        "SELECT count(*) FROM (SELECT DISTINCT range FROM range(200000000))",
    ],
)
def test_a_question_takes_bounded_memory_and_says_so(archive: Path, sql: str) -> None:
    with pytest.raises(QuestionRefused, match=r"takes more memory than it may: .* 2 GiB in all"):
        ask(archive, sql)
    most_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert most_kib << 10 < DATA_BYTES + (512 << 20)


def test_a_question_that_ends_its_process_is_refused(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aborting = (sys.executable, "-c", "import os; os.abort()")
    monkeypatch.setattr(question, "_COMMAND", aborting)
    with pytest.raises(QuestionRefused, match="more memory"):
        ask(archive, "SELECT 1")


def test_values_are_those_of_json_or_texts(archive: Path) -> None:
    told = ask(
        archive,
        "SELECT 'nan'::DOUBLE, '-inf'::DOUBLE, 0.5::DOUBLE, 1.5::DECIMAL(4, 1), DATE '2026-01-02',"
        " [DATE '2026-01-02', NULL], {'x': [1.5::DECIMAL(4, 1)], 'y': true}",
    )
    assert told.rows == [
        ("nan", "-inf", 0.5, "1.5", "2026-01-02", ["2026-01-02", None], {"x": ["1.5"], "y": True})
    ]
    json.dumps(told.rows, allow_nan=False)


def test_a_question_that_is_no_utf_8_is_refused_in_words(archive: Path) -> None:
    with pytest.raises(QuestionRefused, match="UTF-8"):
        ask(archive, "SELECT '\udcff'")


def test_a_question_ends_with_who_asked_it(archive: Path) -> None:
    endless = (
        "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE hash(a.range, b.range) = 7"
    )
    code = (
        "import sys; from pathlib import Path; from gateway.analytics.question import ask;"
        " ask(Path(sys.argv[1]), sys.argv[2])"
    )
    asker = subprocess.Popen([sys.executable, "-c", code, str(archive), endless])
    try:
        answering = _at_work(Process(asker.pid))
    finally:
        asker.terminate()
        asker.wait()
    answering.wait(10)


def _at_work(asker: Process) -> Process:
    """Return the process that answers once it is at the question."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        for child in asker.children():
            if child.cpu_times().user > 2:
                return child
        time.sleep(0.05)
    raise AssertionError("nobody answers")


def test_an_answer_that_is_too_large_is_refused(archive: Path) -> None:
    with pytest.raises(QuestionRefused, match="larger than 64 MiB"):
        ask(archive, "SELECT repeat('x', 70000000)")


def test_values_that_json_has_not_are_texts(archive: Path) -> None:
    sql = "SELECT 1.50::DECIMAL(9, 2), [1, 2], DATE '2026-03-31', NULL, true, 'x'::BLOB, 2::HUGEINT"
    assert ask(archive, sql).rows == [("1.50", [1, 2], "2026-03-31", None, True, "b'x'", 2)]


def test_a_module_beside_the_caller_is_not_run(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "duckdb.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert ask(archive, "SELECT 1").rows == [(1,)]


def test_archive_without_uses_has_a_table_and_a_missing_one_is_told(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.charge(claim("r-1"))
    extend(tmp_path, ledger.engines.records)
    assert ask(tmp_path, "SELECT count(*), sum(fee_micro_yuan) FROM usage").rows == [(0, None)]
    (tmp_path / MANIFEST).write_text("{}x")
    with pytest.raises(ArchiveUnreadable):
        ask(tmp_path, "SELECT 1")
