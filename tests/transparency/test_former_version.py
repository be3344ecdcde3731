"""A key changed beside a process that takes no lock, as of a former version: that is told, and mended."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from sqlalchemy import Connection, Engine

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.clock import SystemClock
from gateway.installation.bootstrap import bootstrap
from gateway.server.health import USAGE_LOGS
from gateway.server.log_keys import LogKeys
from gateway.storage.engines import reading
from gateway.transparency.identity import AnotherLog, known_key
from gateway.transparency.keys import LogKey
from gateway.transparency.last_signed import LastSigned
from gateway.transparency.log import SignedCheckpoint
from gateway.transparency.succeeding import succeed
from gateway.transparency.tables import LogId
from gateway.usage.agreed import LINKED_USAGE_TABLES
from gateway.usage.logs import OperatorLogs
from gateway.usage.writer import UsageLogWriter
from tests.cli.commands import Done, creditgate_here
from tests.examples import rarely_on_postgresql
from tests.installation import OPERATOR_ID, PUBLISHER, Installation, company, eventually
from tests.server.calls import draft, publish, query

_STATUS = health_pb2.HealthCheckResponse
_BETA = "beta-one"


def _key(installation: Installation) -> LogKey:
    with reading(installation.engines.evidence) as connection:
        known = known_key(connection, LogId.USAGE)
    assert known is not None
    return LogKey.kept_in(installation.home.log_key(LogId.USAGE.path), known.name)


class _FormerLogs(OperatorLogs):
    """Usage logs as a former version wrote them: it did not ask whether its key is the store's, nor
    whose name is beside that, and noted there what it signed."""

    def __init__(self, evidence: Engine, key: LogKey) -> None:
        super().__init__(evidence, key.named(key.verifier.name))
        self._noting = OperatorLogs(evidence, key.after({f"{key.verifier.name}/2"}))

    def link(
        self, connection: Connection, heads: Sequence[tuple[str, SignedCheckpoint]], at: int
    ) -> None:
        self._noting.link(connection, heads, at)

    def committed(self) -> None:
        self._noting.committed()


def _logged_by(installation: Installation, key: LogKey) -> None:
    """Log what was used as a process of a former version does by a key that is over."""
    logs = _FormerLogs(installation.engines.evidence, key)
    UsageLogWriter(installation.engines.records, installation.engines.evidence, logs).step(
        installation.clock.now()
    )
    noted = LastSigned.read(installation.home.log_key(LogId.USAGE.path))
    assert noted is not None and noted.origin == key.verifier.name and not noted.unused


def _rotated(installation: Installation, *, is_begun: bool) -> LogKey:
    """Change the key of usage, begin its log under the next where ``is_begun``, as a start does, and
    return the former."""
    former, file = _key(installation), installation.home.log_key(LogId.USAGE.path)
    succeed(installation.engines.evidence, LogId.USAGE, file, LINKED_USAGE_TABLES)
    if is_begun:
        LogKeys(installation.home, installation.engines, "").of(LogId.USAGE)
    return former


def _logged(installation: Installation) -> dict[str, int]:
    """Return how much is logged of each operator's use."""
    logs = OperatorLogs(installation.engines.evidence, _key(installation))
    with reading(installation.engines.evidence) as connection:
        return {each: standing.size for each, standing in logs.standings(connection).items()}


async def _used(installation: Installation) -> None:
    async with (
        installation.running() as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel() as operator,
    ):
        await publish(publisher, [draft("r-1", company(1))])
        await query(operator, company(1))
        assert await _told(gateway, operator) == ("ok", _STATUS.SERVING)


async def _told(gateway: Any, channel: Any) -> tuple[str, Any]:
    """Return what is told of the gateway's health, and of its usage logs."""
    async with httpx.AsyncClient(verify=False) as http:
        answer = await http.get(f"{gateway.running.issuer}/healthz")
    assert answer.status_code == 200
    health: Any = HealthStub(channel)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == _STATUS.SERVING
    logs = await health.Check(health_pb2.HealthCheckRequest(service=USAGE_LOGS))
    return answer.json()["status"], logs.status


@rarely_on_postgresql
@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_usage_log_of_a_former_key_is_told_and_mended(
    installation: Installation, caplog: pytest.LogCaptureFixture, is_begun: bool
) -> None:
    async def command(*words: str, **settings: str) -> Done:
        store = {"DATABASE": installation.database, **settings}
        return await asyncio.to_thread(creditgate_here, installation.folder, *words, **store)

    installation.license("beta", "L-BETA")
    installation.enrol(_BETA, ClientRole.CLIENT_ROLE_OPERATOR, "beta")
    await _used(installation)
    _logged_by(installation, _rotated(installation, is_begun=is_begun))

    bootstrap(installation.config, SystemClock())
    assert "of usage was changed, a process of a former version signed" in caplog.text
    assert "was cut off" not in caplog.text
    async with (
        installation.running() as gateway,
        gateway.channel() as operator,
        gateway.channel(_BETA) as other,
    ):

        async def is_told() -> bool:
            return await _told(gateway, operator) == ("impaired", _STATUS.NOT_SERVING)

        await eventually(is_told, 10)
        # What serves goes on.
        await query(operator, company(1))
        port = str(urlsplit(gateway.running.issuer).port)
        asked = await command("health", HTTPS_PORT=port)
        assert asked.status == 0 and "log rotate --log usage --at-once" in asked.out
        asked = await command("health", "--json", HTTPS_PORT=port)
        assert "log rotate --log usage --at-once" in asked.json["unwell"]
        # Another operator's use is logged all the same.
        await query(other, company(1))

        async def is_logged() -> bool:
            return _logged(installation) == {OPERATOR_ID: 1, "beta": 1}

        await eventually(is_logged, 10)
    assert "`creditgate log rotate --log usage --at-once`" in caplog.text
    assert f"It is of: {OPERATOR_ID}" in caplog.text
    assert (await command("log", "check")).status == 1

    done = await command("log", "rotate", "--log", "usage", "--at-once")
    assert done.status == 0, done.told
    async with installation.running() as gateway, gateway.channel() as operator:
        await query(operator, company(1))
        assert await _told(gateway, operator) == ("ok", _STATUS.SERVING)

        async def is_whole() -> bool:
            return (await command("log", "check")).status == 0

        await eventually(is_whole, 20)


async def test_the_key_is_changed_again_before_any_start_where_a_former_version_signed(
    embedded: Installation,
) -> None:
    await _used(embedded)
    _logged_by(embedded, _rotated(embedded, is_begun=True))
    line = ("log", "rotate", "--log", "usage", "--at-once")
    done = await asyncio.to_thread(
        creditgate_here, embedded.folder, *line, DATABASE=embedded.database
    )
    assert done.status == 0, done.told
    bootstrap(embedded.config, SystemClock())
    async with embedded.running() as gateway, gateway.channel() as operator:
        await query(operator, company(1))
        assert await _told(gateway, operator) == ("ok", _STATUS.SERVING)
    assert _key(embedded).verifier.name.endswith("/log/usage/3")


@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_store_that_was_put_back_is_refused_whoever_signed_last(
    embedded: Installation, is_begun: bool
) -> None:
    await _used(embedded)
    former = _rotated(embedded, is_begun=is_begun)
    store, copy = embedded.folder / "evidence.db", embedded.folder / "copy.db"
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    _logged_by(embedded, former)
    embedded.engines.dispose()
    for file in embedded.folder.glob("evidence.db*"):
        file.unlink()
    copy.rename(store)

    bootstrap(embedded.config, SystemClock())
    with pytest.raises(AnotherLog, match="older copy"):
        async with embedded.running():
            pass
    line = ("log", "rotate", "--log", "usage", "--at-once")
    refused = await asyncio.to_thread(
        creditgate_here, embedded.folder, *line, DATABASE=embedded.database
    )
    assert refused.status == 1 and "The store lacks what was signed" in refused.told
