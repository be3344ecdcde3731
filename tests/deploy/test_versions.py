"""A process of the former version, on a store that a newer one has migrated."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.demo.ports import free_port
from gateway.server.process import Running
from gateway.storage.engines import Engines, reading
from tests.cli.commands import creditgate_here
from tests.deploy.test_takeover import version
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, Installation, company
from tests.server.calls import draft, publish, query
from tests.storage.newer import NEWER, migrate_to_newer
from tests.storage.schemas import TABLES, catalogue, engine_of


def _state(engines: Engines) -> list[object]:
    """Return the schemas, and what the stores note of their versions."""
    found: list[object] = [catalogue(engine_of(engines, schema)) for schema in TABLES]
    for schema in TABLES:
        with reading(engine_of(engines, schema)) as connection:
            rows = connection.execute(text(f"SELECT * FROM alembic_version_{schema}"))
            found.append([tuple(row) for row in rows])
    return found


def _command(installation: Installation, *words: str) -> tuple[int, str]:
    done = creditgate_here(installation.folder, *words, DATABASE=installation.database)
    return done.status, done.out + done.told


@rarely_on_postgresql
async def test_the_former_version_starts_and_answers_on_what_the_newer_made(
    installation: Installation, tmp_path: Path
) -> None:
    migrate_to_newer(installation.engines, tmp_path, beside=True)
    grpc_port, https_port = str(free_port()), str(free_port())
    environment = {
        "PATH": os.environ["PATH"],
        "CREDITGATE_HOME": str(installation.folder),
        "CREDITGATE_DATABASE": installation.database,
        "CREDITGATE_GRPC_PORT": grpc_port,
        "CREDITGATE_HTTPS_PORT": https_port,
    }
    running = Running(
        f"127.0.0.1:{grpc_port}", f"https://127.0.0.1:{https_port}", installation.home.ca
    )
    async with version(environment, tmp_path / "log"):
        gateway = installation.addressed(running)
        async with gateway.channel(PUBLISHER) as publisher, gateway.channel() as channel:
            await publish(publisher, [draft("r-1", company(1))])
            answer = await query(channel, company(1))
    assert answer.receipt.charged_entries == 1


def test_init_of_the_former_version_changes_nothing_that_the_newer_made(
    installation: Installation, tmp_path: Path
) -> None:
    migrate_to_newer(installation.engines, tmp_path, beside=True)
    before = _state(installation.engines)
    status, told = _command(installation, "init")
    assert status == 0, told
    assert _state(installation.engines) == before


@pytest.mark.parametrize("command", ["init", "serve"])
def test_the_former_version_does_not_start_where_the_newer_does_not_let_it(
    installation: Installation, tmp_path: Path, command: str
) -> None:
    migrate_to_newer(installation.engines, tmp_path, beside=False)
    before = _state(installation.engines)
    status, told = _command(installation, command)
    assert status == 1
    assert f"authority {NEWER}" in told
    assert "run that version" in told
    assert _state(installation.engines) == before
