"""A writer of consents gets its turn, gives up in the end, and leaves nothing half done."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from consent.connections import writing
from consent.states import GRANTED
from gateway.storage.engines import sqlite_engine
from tests.consent.store import ConsentStore
from tests.consent.world import act


def test_a_change_that_fails_leaves_nothing_behind_and_no_lock(consents: ConsentStore) -> None:
    made = consents.requested()
    with pytest.raises(ValidationError):
        consents.move(made.consent_id, "grant", act(), also={"signer": "x" * 81})
    assert consents.get(made.consent_id) == made
    assert consents.head() == 1
    assert consents.move(made.consent_id, "grant", act()).state == GRANTED


def test_a_writer_waits_for_another_and_gives_up_in_the_end(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "records.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE written (number INTEGER)"))
    taken, leave = Event(), Event()

    def hold() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO written VALUES (1)"))
            taken.set()
            leave.wait(30)

    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(hold)
        assert taken.wait(30)
        with engine.execution_options(creditgate_reads=True).connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=50")
        with pytest.raises(OperationalError), writing(engine):
            pass
        with engine.execution_options(creditgate_reads=True).connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 50
        leave.set()
        holding.result()
    with writing(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM written")).scalar_one() == 1
    engine.dispose()
