"""A load that SIGTERM ends says so, and leaves nothing behind."""

import signal
import subprocess
import time
from pathlib import Path

from sdk.loading.mapping_file import shipped_mappings
from tests.cli.commands import PROGRAM, SECONDS, Served, environment

ROWS = 400_000


def test_a_load_that_is_terminated_tells_how_to_go_on(served: Served, tmp_path: Path) -> None:
    # Rows that the loader refuses by itself: nothing of them is published.
    source = tmp_path / "rows.csv"
    columns = shipped_mappings()["debarment"].used()
    source.write_text(f"{','.join(columns)}\n" + "a\n" * ROWS, encoding="utf-8")
    reports = tmp_path / "reports"
    reports.mkdir()
    process = subprocess.Popen(
        [*PROGRAM, "load", str(source), "--mapping", "debarment", "--report", reports / "r.csv"],
        env=environment(served.home, PROFILE=str(served.profile("publisher"))),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while process.poll() is None and not list(reports.iterdir()):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        out, told = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert (process.returncode, out) == (1, "")
    assert told.startswith("The load was ended by SIGTERM.")
    assert "run it again" in told
    assert list(reports.iterdir()) == []
