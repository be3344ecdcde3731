"""A load whose gateway cannot write tells why it waits, and goes on when that is over."""

import sqlite3
import subprocess
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.cli.commands import PROGRAM, SECONDS, Served, environment
from tests.loading.files import registration, write_csv


@contextmanager
def failing(store: Path) -> Generator[None]:
    """Let every write of a disclosure event fail."""
    with closing(sqlite3.connect(store, isolation_level=None, timeout=SECONDS)) as connection:
        connection.execute(
            "CREATE TRIGGER fault BEFORE INSERT ON disclosure_events"
            " BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER fault")


def test_a_load_that_has_to_wait_tells_why_and_then_goes_on(served: Served, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "x.csv", [registration(70_001)])
    errors = tmp_path / "errors"
    words = ("load", str(source), "--report", str(tmp_path / "r.csv"))
    with failing(served.home / "disclosure.db"), errors.open("w") as told:
        process = subprocess.Popen(
            [*PROGRAM, *words],
            env=environment(served.home, PROFILE=str(served.profile("publisher"))),
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )
        until = time.monotonic() + SECONDS
        while process.poll() is None and not errors.read_text() and time.monotonic() < until:
            time.sleep(0.1)
    try:
        out, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Loaded" in out
    (line,) = errors.read_text().splitlines()
    assert line.startswith("The gateway does not take the next rows (TEMPORARILY_UNAVAILABLE: ")
    assert "for 60 seconds at most, then the load ends; what was published stays" in line
    log = (served.home.parent / f"{served.home.name}.log").read_text()
    assert "a store failed: IntegrityError (SQLITE_CONSTRAINT_TRIGGER)" in log
