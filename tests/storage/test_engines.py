"""Connections to the stores: as many as ask at once."""

from contextlib import ExitStack
from pathlib import Path

from gateway.storage.engines import open_engines, reading


def test_on_sqlite_nobody_waits_for_a_connection(tmp_path: Path) -> None:
    engines = open_engines("sqlite", tmp_path)
    with ExitStack() as stack:
        for engine in (engines.authority, engines.records, engines.evidence):
            for _ in range(40):
                connection = stack.enter_context(reading(engine))
                assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    engines.dispose()
