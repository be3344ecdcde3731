"""A key changed beside a process that takes no lock, as of a former version: that is told, and mended."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from gateway.server.health import USAGE_LOGS
from gateway.storage.engines import reading
from gateway.transparency.identity import known_key
from gateway.transparency.keys import LogKey
from gateway.transparency.succeeding import succeed
from gateway.transparency.tables import LogId
from gateway.usage.agreed import LINKED_USAGE_TABLES
from gateway.usage.logs import OperatorLogs
from gateway.usage.writer import UsageLogWriter
from tests.cli.commands import Done, creditgate_here
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, Installation, company, eventually
from tests.server.calls import draft, publish, query

_STATUS = health_pb2.HealthCheckResponse


def _key(installation: Installation) -> LogKey:
    with reading(installation.engines.evidence) as connection:
        known = known_key(connection, LogId.USAGE)
    assert known is not None
    return LogKey.kept_in(installation.home.log_key(LogId.USAGE.path), known.name)


def _logged_by(installation: Installation, key: LogKey) -> None:
    """Log what was used as a former version did, which did not ask whether its key is the store's."""
    logs = OperatorLogs(installation.engines.evidence, key.named(key.verifier.name))
    UsageLogWriter(installation.engines.records, installation.engines.evidence, logs).step(
        installation.clock.now()
    )


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
async def test_a_usage_log_of_a_former_key_is_told_and_mended(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    async def command(*words: str, **settings: str) -> Done:
        store = {"DATABASE": installation.database, **settings}
        return await asyncio.to_thread(creditgate_here, installation.folder, *words, **store)

    async with (
        installation.running() as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel() as operator,
    ):
        await publish(publisher, [draft("r-1", company(1))])
        await query(operator, company(1))
        assert await _told(gateway, operator) == ("ok", _STATUS.SERVING)
    former, file = _key(installation), installation.home.log_key(LogId.USAGE.path)
    succeed(installation.engines.evidence, LogId.USAGE, file, LINKED_USAGE_TABLES)
    _logged_by(installation, former)

    async with installation.running() as gateway, gateway.channel() as operator:

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
    assert "`creditgate log rotate --log usage --at-once`" in caplog.text
    assert (await command("log", "check")).status == 1

    done = await command("log", "rotate", "--log", "usage", "--at-once")
    assert done.status == 0, done.told
    async with installation.running() as gateway, gateway.channel() as operator:
        await query(operator, company(1))
        assert await _told(gateway, operator) == ("ok", _STATUS.SERVING)

        async def is_whole() -> bool:
            return (await command("log", "check")).status == 0

        await eventually(is_whole, 20)
