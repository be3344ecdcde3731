"""A copy holds no secret in the clear, is whole or not there, and overwrites nothing."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import text

from gateway.backup.cut import NoStores, cut
from gateway.backup.manifest import BackupUnusable
from gateway.backup.restoring import restore
from gateway.backup.sealed import opened_files
from gateway.clock import SystemClock
from gateway.installation.home import Home
from gateway.storage.engines import Engines, open_engines, sqlite_files
from gateway.transparency.identity import AnotherLog
from gateway.transparency.last_signed import LastSigned
from operators.authority import Authority
from operators.sql import SqlAuthorityLog
from tests.cli.commands import creditgate_here
from tests.installation import PUBLISHER, Installation, company, eventually
from tests.server.calls import draft, publish, query

_LOGS = ("disclosure", "decisions", "usage")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Files of a recovery key: the public one, and the private one."""
    key = ECKey.generate_key("P-256")
    public, private = tmp_path / "recovery.pub", tmp_path / "recovery.key"
    public.write_bytes(key.as_pem(private=False))
    private.write_bytes(key.as_pem(private=True))
    return public, private


@pytest.fixture
async def home(embedded: Installation) -> Path:
    """The home of an installation that served something, stopped."""
    async with (
        embedded.running() as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel() as operator,
    ):
        await publish(publisher, [draft("r-1", company(1))])
        await query(operator)
    return embedded.folder


def test_files_are_read_of_one_instant_while_others_write(tmp_path: Path) -> None:
    engines = open_engines("sqlite", tmp_path)
    _tables(engines)
    over = threading.Event()
    writing = threading.Thread(target=_write, args=(engines, over))
    writing.start()
    try:
        for _ in range(40):
            with cut(tmp_path) as files:
                counts = {
                    name: connection.execute("SELECT count(*) FROM written").fetchone()[0]
                    for name, connection in files.items()
                    if name != "disclosure.db"
                }
                # Written in this order, one behind the other.
                first, second, third = (
                    counts[name] for name in ("records.db", "evidence.db", "authority.db")
                )
                assert first - 1 <= third <= second <= first
                again = {
                    name: files[name].execute("SELECT count(*) FROM written").fetchone()[0]
                    for name in counts
                }
                assert again == counts
    finally:
        over.set()
        writing.join()
        engines.dispose()


def test_where_there_are_no_stores_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoStores, match="no stores in"), cut(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_nobody_can_write_between_the_first_and_the_last_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = open_engines("sqlite", tmp_path)
    _tables(engines)
    names = ("records.db", "evidence.db", "authority.db")
    refused: list[str] = []

    def write_to_all() -> None:
        for name in names:
            with closing(sqlite3.Connection(tmp_path / name, timeout=0)) as connection:
                try:
                    connection.execute("INSERT INTO written VALUES (1)")
                    connection.commit()
                except sqlite3.OperationalError as error:
                    assert error.sqlite_errorcode == sqlite3.SQLITE_BUSY
                    refused.append(name)

    class Interrupted(sqlite3.Connection):
        """Lets a writer try its luck after each file of which a reading has begun."""

        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            cursor = super().execute(sql, parameters)
            if "sqlite_master" in sql:
                write_to_all()
            return cursor

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Interrupted))
    with cut(tmp_path) as files:
        counts = {
            name: files[name].execute("SELECT count(*) FROM written").fetchone()[0]
            for name in names
        }
    engines.dispose()

    assert counts == dict.fromkeys(names, 0)
    assert set(refused) == set(names)


def _tables(engines: Engines) -> None:
    for engine in (engines.records, engines.evidence, engines.authority):
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE written (number INTEGER)"))


def _write(engines: Engines, over: threading.Event) -> None:
    number = 0
    while not over.is_set():
        number += 1
        for engine in (engines.records, engines.evidence, engines.authority):
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO written VALUES (:number)"), {"number": number})


@pytest.mark.parametrize("name", ["copy#1", "copy%411", "copy?mode=rw"])
async def test_a_copy_is_made_however_its_folder_is_called(
    home: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "copies" / name
    folder.parent.mkdir()
    assert creditgate_here(home, "backup", folder).status == 0
    assert [each.name for each in folder.parent.iterdir()] == [name]


async def test_private_keys_are_in_a_copy_only_where_asked_and_encrypted(
    home: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    plain = creditgate_here(home, "backup", tmp_path / "plain")
    assert plain.status == 0, plain.told
    assert "NOT" in plain.out
    sealed = creditgate_here(home, "backup", tmp_path / "sealed", "--keys-for", keys[0])
    assert sealed.status == 0, sealed.told
    assert {file.name for file in (tmp_path / "plain").iterdir()} == {
        "authority.db",
        "backup.json",
        "disclosure.db",
        "evidence.db",
        "records.db",
    }
    secrets = [file.read_bytes() for file in (home / "keys").iterdir()]
    for file in (*(tmp_path / "plain").iterdir(), *(tmp_path / "sealed").iterdir()):
        assert file.stat().st_mode & 0o077 == 0
        content = file.read_bytes()
        assert b"PRIVATE KEY" not in content
        assert not any(secret in content for secret in secrets if len(secret) >= 32)
    found = opened_files(tmp_path / "sealed" / "keys.jwe", _private(keys))
    assert not any(path.suffix == ".signed" for path in found)
    assert {f"log-{log}.pem" for log in _LOGS} <= {path.name for path in found}
    with pytest.raises(BackupUnusable, match="not encrypted to this key"):
        opened_files(tmp_path / "sealed" / "keys.jwe", ECKey.generate_key("P-256"))


def _private(keys: tuple[Path, Path]) -> ECKey:
    key = ECKey.import_key(keys[1].read_bytes())
    assert isinstance(key, ECKey)
    return key


async def test_nothing_that_is_there_is_overwritten(
    home: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert creditgate_here(home, "backup", copy, "--keys-for", keys[0]).status == 0
    again = creditgate_here(home, "backup", copy)
    assert (again.status, "is there" in again.told) == (1, True)
    over = creditgate_here(home, "restore", copy)
    assert (over.status, "nothing is overwritten" in over.told) == (1, True)
    bare = tmp_path / "bare"
    (bare / "keys").mkdir(parents=True)
    (bare / "keys" / "log-usage.pem").write_text("another")
    over = creditgate_here(bare, "restore", copy, "--keys-with", keys[1])
    assert (over.status, "nothing is overwritten" in over.told) == (1, True)
    assert not (bare / "records.db").exists()


async def test_a_damaged_copy_is_not_restored(home: Path, tmp_path: Path) -> None:
    copy, place = tmp_path / "copy", tmp_path / "place"
    assert creditgate_here(home, "backup", copy).status == 0
    with (copy / "records.db").open("r+b") as file:
        file.seek(5_000)
        file.write(b"x")
    done = creditgate_here(place, "restore", copy)
    assert (done.status, "missing or damaged" in done.told) == (1, True)
    assert not place.exists()
    (copy / "backup.json").unlink()
    assert creditgate_here(place, "restore", copy).status == 1


class _Interrupted:
    """A clock at whose first look the restore is ended."""

    def now(self) -> int:
        raise KeyboardInterrupt


async def test_stores_are_in_place_with_the_brake_in_them_and_not_before(
    home: Path, tmp_path: Path
) -> None:
    copy, place = tmp_path / "copy", Home.at(tmp_path / "place")
    assert creditgate_here(home, "backup", copy).status == 0
    with pytest.raises(KeyboardInterrupt):
        restore(place, copy, _Interrupted(), stores=True, key=None)
    assert list(place.root.iterdir()) == []
    restore(place, copy, SystemClock(), stores=True, key=None)
    # Not one beside them, in which the brake would be.
    assert sorted(place.root.iterdir()) == sorted(sqlite_files(place.root).values())
    engines = open_engines("sqlite", place.root)
    brakes = Authority.empty().advanced(SqlAuthorityLog(engines.authority).since(0)).brakes
    engines.dispose()
    assert [each.reach for each in brakes.engaged()] == ["EVERYTHING"]


async def test_a_gateway_that_was_stopped_and_moved_goes_on_with_its_logs(
    home: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    copy, place = tmp_path / "copy", tmp_path / "place"
    notes: list[Path] = []
    for log in _LOGS[:2]:
        notes.append(tmp_path / log)
        notes[-1].write_text(creditgate_here(home, "log", "checkpoint", "--log", log).out)
    assert creditgate_here(home, "backup", copy, "--keys-for", keys[0]).status == 0
    assert creditgate_here(place, "restore", copy, "--keys-with", keys[1]).status == 0
    one = creditgate_here(place, "log", "resume", "--checkpoint", notes[0])
    assert (one.status, "decisions" in one.told) == (1, True)
    both = [word for note in notes for word in ("--checkpoint", note)]
    done = creditgate_here(place, "log", "resume", *both)
    assert done.status == 0, done.told
    assert "nothing to begin" in creditgate_here(place, "log", "begin").told
    moved = Installation("sqlite", place)
    async with moved.running():
        pass
    moved.close()


async def test_usage_logs_are_not_signed_over_by_a_store_that_was_put_back(
    embedded: Installation, tmp_path: Path
) -> None:
    async with embedded.running() as gateway, gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, [draft("r-1", company(1))])
    copy = tmp_path / "copy"
    assert creditgate_here(embedded.folder, "backup", copy).status == 0
    mark = LastSigned.beside(embedded.home.log_key("usage"))
    before = mark.read_bytes()
    async with embedded.running() as gateway, gateway.channel() as operator:

        async def is_signed() -> bool:
            return await asyncio.to_thread(mark.read_bytes) != before

        await query(operator)
        await eventually(is_signed, 30)
    embedded.close()
    for file in embedded.folder.glob("*.db*"):
        file.unlink()
    assert creditgate_here(embedded.folder, "restore", copy).status == 0
    # As if only the usage logs had been signed further.
    for log in _LOGS[:2]:
        done = creditgate_here(embedded.folder, "log", "begin", "--log", log)
        # The disclosure may have gone no further.
        assert done.status == 0 or "nothing to begin" in done.told
    again = Installation("sqlite", embedded.folder)
    with pytest.raises(AnotherLog, match="log begin --log usage"):
        async with again.running():
            pass
    assert creditgate_here(embedded.folder, "log", "begin", "--log", "usage").status == 0
    async with again.running():
        pass
    again.close()
