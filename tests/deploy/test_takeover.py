"""One version takes over from another on the same ports, under load, and no call is lost."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import select

from gateway.demo.ports import free_port
from gateway.meter.tables import USAGE
from gateway.server.process import Running
from gateway.storage.engines import reading
from sdk.refusals import explain
from tests.cli.commands import PROGRAM
from tests.installation import PUBLISHER, Gateway, Installation, company, eventually
from tests.server.calls import draft, publish, query

_TRIES = 5


@dataclass
class _Calls:
    """Calls by how they went: how many were answered, and how often one was made again."""

    answered: list[str] = field(default_factory=list)
    again: Counter[str] = field(default_factory=Counter)

    async def make(self, gateway: Gateway) -> None:
        """Ask again and again, each over a new connection now and then, until cancelled."""
        while True:
            async with gateway.channel() as channel:
                for _ in range(20):
                    await self._ask(channel)

    async def _ask(self, channel: grpc.aio.Channel) -> None:
        request_id = str(uuid4())
        for attempt in range(_TRIES):
            try:
                await query(channel, company(1), request_id=request_id)
            except grpc.aio.AioRpcError as error:
                told = explain(error)
                assert told.away, told
                self.again[told.reason or told.status] += 1
                await asyncio.sleep(0.05 * 2**attempt)
            else:
                self.answered.append(request_id)
                return
        raise AssertionError(dict(self.again))


@asynccontextmanager
async def version(environment: dict[str, str], log: Path) -> AsyncGenerator[Process]:
    with log.open("w") as errors:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "serve", env=environment, stdout=errors, stderr=errors
        )

    async def serves() -> bool:
        said = await asyncio.to_thread(log.read_text)
        assert process.returncode is None, said
        return "Serving" in said

    try:
        await eventually(serves, 60)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ended(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.soak
async def test_another_version_takes_over_and_no_call_is_lost(
    installation: Installation, tmp_path: Path
) -> None:
    grpc_port, https_port = str(free_port()), str(free_port())
    environment = {
        "PATH": os.environ["PATH"],
        "CREDITGATE_HOME": str(installation.folder),
        "CREDITGATE_DATABASE": installation.database,
        "CREDITGATE_GRPC_PORT": grpc_port,
        "CREDITGATE_HTTPS_PORT": https_port,
        "CREDITGATE_WORKERS": "2",
    }
    gateway = installation.addressed(
        Running(f"127.0.0.1:{grpc_port}", f"https://127.0.0.1:{https_port}", installation.home.ca)
    )
    calls = _Calls()

    async def more(by: int) -> None:
        wanted = len(calls.answered) + by

        async def there() -> bool:
            return len(calls.answered) >= wanted or any(task.done() for task in tasks)

        await eventually(there, 60)
        for task in tasks:
            if task.done():
                task.result()

    async with version(environment, tmp_path / "a") as former:
        async with gateway.channel(PUBLISHER) as publisher:
            await publish(publisher, [draft("r-1", company(1))])
        tasks = [asyncio.create_task(calls.make(gateway)) for _ in range(4)]
        try:
            await more(60)
            async with version(environment, tmp_path / "b") as latter:
                await more(60)
                await _ended(former)
                await more(200)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await _ended(latter)
        finally:
            for task in tasks:
                task.cancel()
    with reading(installation.engines.records) as connection:
        charged = Counter(connection.execute(select(USAGE.c.request_id)).scalars())
    assert set(calls.answered) <= charged.keys()
    assert set(charged.values()) == {1}
