"""A change of a log's key that is cut off anywhere is whole in the end: as before it, or done."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from sqlalchemy import Table

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.succession import open_succession
from gateway.clock import SystemClock
from gateway.installation import finishing
from gateway.installation.bootstrap import bootstrap
from gateway.server.log_keys import LogKeys
from gateway.storage.at_work import KeysChanging, alone
from gateway.storage.engines import open_engines, reading
from gateway.transparency import succeeding
from gateway.transparency.beginning import DISCLOSURE_TABLES
from gateway.transparency.identity import known_key
from gateway.transparency.last_signed import LastSigned
from gateway.transparency.succeeding import announce, succeed
from gateway.transparency.tables import LogId
from gateway.usage.agreed import LINKED_USAGE_TABLES
from tests.cli.commands import Done, creditgate_here
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, Installation, company, eventually
from tests.server.calls import draft, publish, query

_LOGS = (LogId.DISCLOSURE, LogId.USAGE)
_TABLES: dict[LogId, Sequence[Table]] = {
    LogId.DISCLOSURE: DISCLOSURE_TABLES,
    LogId.USAGE: LINKED_USAGE_TABLES,
}
_CUT = 9


def _before_the_key_is_in_place() -> None:
    whole = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.suffix == ".next":
            os._exit(_CUT)
        return whole(self, target)

    Path.replace = replace  # type: ignore[method-assign]


def _before_it_is_noted() -> None:
    def replaced(_key: Path, _origin: str) -> None:
        os._exit(_CUT)

    LastSigned.replaced = replaced  # type: ignore[method-assign,assignment]


def _before_the_commit() -> None:
    def forget(*_: object) -> None:
        os._exit(_CUT)

    succeeding.forget = forget


def _changing(
    database: str, folder: Path, log: LogId, file: Path, cut: Callable[[], None], stolen: bool
) -> None:
    cut()
    evidence = open_engines(database, folder).evidence
    succeed(evidence, log, file, _TABLES[log], stolen=stolen)
    os._exit(0)


def _cut_off(
    installation: Installation, log: LogId, cut: Callable[[], None], *, stolen: bool = False
) -> None:
    """Change a key by a process that ends amid that, as one that is killed does."""
    file = installation.home.log_key(log.path)
    place = (installation.database, installation.folder, log, file, cut, stolen)
    process = get_context("forkserver").Process(target=_changing, args=place)
    process.start()
    process.join(60)
    assert process.exitcode == _CUT


def _present(installation: Installation, log: LogId) -> VerifierKey:
    with reading(installation.engines.evidence) as connection:
        known = known_key(connection, log)
    assert known is not None
    return known


def _rotate(installation: Installation, log: LogId, *words: str) -> Done:
    line = ("log", "rotate", "--log", log.path, *words)
    return creditgate_here(installation.folder, *line, DATABASE=installation.database)


async def _serve(installation: Installation, record: str) -> None:
    bootstrap(installation.config, SystemClock())
    async with (
        installation.running() as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel() as operator,
    ):
        await publish(publisher, [draft(record, company(1))])
        await query(operator, company(1))


@pytest.mark.parametrize("cut", [_before_the_key_is_in_place, _before_it_is_noted])
@pytest.mark.parametrize("log", _LOGS)
async def test_the_next_start_finishes_a_change_that_was_cut_off(
    embedded: Installation, log: LogId, cut: Callable[[], None]
) -> None:
    await _serve(embedded, "r-1")
    former = _present(embedded, log)
    _cut_off(embedded, log, cut)
    await _serve(embedded, "r-2")
    _goes_on_from(embedded, log, former)


async def test_a_change_that_was_cut_off_goes_over_to_the_key_that_was_announced(
    installation: Installation,
) -> None:
    log = LogId.USAGE
    await _serve(installation, "r-1")
    former = _present(installation, log)
    evidence, file = installation.engines.evidence, installation.home.log_key(log.path)
    announce(evidence, log, file, installation.clock.now())
    told = LogKeys(installation.home, installation.engines, "").links(log).notes()
    announced = LinkedKeys.of(former, told).announced
    _cut_off(installation, log, _before_the_key_is_in_place)
    await _serve(installation, "r-2")
    assert _goes_on_from(installation, log, former) == announced


@pytest.mark.parametrize("cut", [_before_the_key_is_in_place, _before_it_is_noted])
@pytest.mark.parametrize("log", _LOGS)
async def test_the_next_rotate_finishes_a_change_that_was_cut_off_and_prints_its_note(
    embedded: Installation, log: LogId, cut: Callable[[], None]
) -> None:
    await _serve(embedded, "r-1")
    former = _present(embedded, log)
    _cut_off(embedded, log, cut)
    # Without --at-once: what was begun needs no announcement.
    done = _rotate(embedded, log)
    assert done.status == 0, done.told
    assert open_succession(done.out, former).former == former
    again = _rotate(embedded, log, "--at-once")
    assert again.status == 1 and "start the gateway once" in again.told
    await _serve(embedded, "r-2")
    present = _goes_on_from(embedded, log, former)
    assert open_succession(done.out, former).next_key == present


def _held(database: str, folder: Path, file: Path) -> None:
    """Change the key of usage as `log rotate` does, held before the key is put in place."""
    whole = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.suffix == ".next":
            (folder / "held").touch()
            while not (folder / "go").exists():
                sleep(0.05)
        return whole(self, target)

    Path.replace = replace  # type: ignore[method-assign]
    evidence = open_engines(database, folder).evidence
    with alone(evidence):
        succeed(evidence, LogId.USAGE, file, _TABLES[LogId.USAGE])


@asynccontextmanager
async def _changing_slowly(installation: Installation) -> AsyncGenerator[BaseProcess]:
    """Give a process that changes the key of usage, amid that, until the file `go` is there."""
    file = installation.home.log_key(LogId.USAGE.path)
    place = (installation.database, installation.folder, file)
    process = get_context("forkserver").Process(target=_held, args=place)
    process.start()
    try:

        async def is_held() -> bool:
            return (installation.folder / "held").exists()

        await eventually(is_held, 20)
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.join)


@rarely_on_postgresql
async def test_a_change_that_is_under_way_is_waited_for_and_not_taken_for_cut_off(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    await _serve(installation, "r-1")
    former = _present(installation, LogId.USAGE)
    following = installation.home.log_key(LogId.USAGE.path).with_suffix(".next")
    async with _changing_slowly(installation) as changing:
        start = asyncio.create_task(
            asyncio.to_thread(bootstrap, installation.config, SystemClock())
        )
        await asyncio.sleep(1)
        assert following.exists() and not start.done()
        (installation.folder / "go").touch()
        await asyncio.to_thread(changing.join, 20)
        assert changing.exitcode == 0
        await asyncio.wait_for(start, 20)
    assert "was cut off" not in caplog.text
    await _serve(installation, "r-2")
    _goes_on_from(installation, LogId.USAGE, former)


@rarely_on_postgresql
async def test_a_start_says_so_where_a_change_is_long_under_way_and_finishes_it_once_that_is_killed(
    installation: Installation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _serve(installation, "r-1")
    former = _present(installation, LogId.USAGE)
    with monkeypatch.context() as patched:
        patched.setattr(finishing, "PATIENT_SECONDS", 0.5)
        async with _changing_slowly(installation):
            with pytest.raises(KeysChanging):
                await asyncio.to_thread(bootstrap, installation.config, SystemClock())
    assert "was cut off" not in caplog.text
    await _serve(installation, "r-2")
    assert "the log of usage was cut off; it is done" in caplog.text
    _goes_on_from(installation, LogId.USAGE, former)


@rarely_on_postgresql
async def test_a_start_finishes_what_is_killed_while_it_waits_to_be_at_work(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    await _serve(installation, "r-1")
    former = _present(installation, LogId.USAGE)

    async def start() -> None:
        # As behind a bootstrap that found nothing begun.
        async with installation.running() as gateway, gateway.channel() as operator:
            await query(operator, company(1))

    async with _changing_slowly(installation) as changing:
        starting = asyncio.create_task(start())
        await asyncio.sleep(1)
        assert not starting.done()
        changing.kill()
        await asyncio.wait_for(starting, 20)
    assert "the log of usage was cut off; it is done" in caplog.text
    _goes_on_from(installation, LogId.USAGE, former)


async def test_by_no_other_command_is_a_change_that_was_cut_off_lost(
    embedded: Installation,
) -> None:
    log = LogId.USAGE
    await _serve(embedded, "r-1")
    former = _present(embedded, log)
    _cut_off(embedded, log, _before_the_key_is_in_place)
    begun = creditgate_here(embedded.folder, "log", "begin", "--log", log.path)
    assert begun.status == 1 and "finished now: start the gateway" in begun.told
    await _serve(embedded, "r-2")
    _goes_on_from(embedded, log, former)
    second = _present(embedded, log)
    _cut_off(embedded, log, _before_it_is_noted)
    stolen = _rotate(embedded, log, "--stolen")
    assert stolen.status == 1 and "start the gateway once" in stolen.told
    await _serve(embedded, "r-3")
    assert _goes_on_from(embedded, log, former, second).name.endswith("/usage/3")
    assert _rotate(embedded, log, "--stolen").status == 0


async def test_a_change_that_was_cut_off_before_its_commit_was_none(
    embedded: Installation,
) -> None:
    log = LogId.DISCLOSURE
    await _serve(embedded, "r-1")
    former = _present(embedded, log)
    _cut_off(embedded, log, _before_the_commit)
    await _serve(embedded, "r-2")
    assert _present(embedded, log) == former
    assert _rotate(embedded, log, "--at-once").status == 0
    await _serve(embedded, "r-3")
    _goes_on_from(embedded, log, former)


async def test_a_stolen_key_is_linked_to_none_though_its_change_was_cut_off(
    embedded: Installation,
) -> None:
    log = LogId.USAGE
    await _serve(embedded, "r-1")
    former = _present(embedded, log)
    assert _rotate(embedded, log, "--at-once").status == 0
    await _serve(embedded, "r-2")
    stolen = _present(embedded, log)
    _cut_off(embedded, log, _before_the_key_is_in_place, stolen=True)
    begun: Any = creditgate_here(embedded.folder, "log", "begin", "--log", log.path)
    assert begun.status == 0, begun.told
    await _serve(embedded, "r-3")
    keys = LogKeys(embedded.home, embedded.engines, "").links(log).keys
    assert keys.chain == (_present(embedded, log),)
    assert not {former, stolen} & {*keys.chain}


def _goes_on_from(installation: Installation, log: LogId, *former: VerifierKey) -> VerifierKey:
    """Check that a log goes on, and is linked to the keys before; return its present key."""
    present = _present(installation, log)
    links = LogKeys(installation.home, installation.engines, "").links(log)
    assert links.keys.chain == (*former, present)
    assert not installation.home.log_key(log.path).with_suffix(".next").exists()
    checked = creditgate_here(installation.folder, "log", "check", DATABASE=installation.database)
    assert checked.status == 0, checked.out + checked.told
    return present
