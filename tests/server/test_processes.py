"""Processes of the gateway: several on one store, draining, dying, coming back."""

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import grpc
import psutil

from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import disclosure_service_pb2_grpc as disclosure_grpc
from gateway.server.process import Running
from sdk.refusals import explain
from tests.installation import PUBLISHER, Gateway, Installation, company, eventually
from tests.server.calls import draft, query

SUPERVISOR = """
import json, sys
from gateway.config import GatewayConfig
from gateway.server import supervisor
supervisor._LEAST_LIFE_SECONDS = 0.0
config = GatewayConfig.model_validate_json(sys.stdin.readline())
supervisor.serve(config, lambda at: print(json.dumps([at.grpc, at.issuer]), flush=True))
"""


async def refusal_reason(channel: grpc.aio.Channel) -> str:
    """Return why a query is refused, "" when it is served."""
    try:
        await query(channel)
    except grpc.aio.AioRpcError as error:
        return explain(error).reason or error.code().name
    return ""


async def last_served(gateway: Gateway) -> tuple[str, float]:
    """Ask without pause until refused; return the reason and when the last answer came."""
    last = 0.0
    async with gateway.channel() as channel:
        while not (reason := await refusal_reason(channel)):
            last = time.monotonic()
    return reason, last


async def test_every_process_refuses_within_a_second_of_a_suspension(
    installation: Installation,
) -> None:
    async with AsyncExitStack() as stack:
        served = [await stack.enter_async_context(installation.process()) for _ in range(2)]
        asking = [asyncio.create_task(last_served(one.gateway)) for one in served]
        await asyncio.sleep(0.5)
        installation.suspend()
        suspended_at = time.monotonic()
        ended = await asyncio.wait_for(asyncio.gather(*asking), 5)
    assert [reason for reason, _ in ended] == ["OPERATOR_SUSPENDED"] * 2
    assert max(last for _, last in ended) - suspended_at < 1
    assert min(last for _, last in ended) > suspended_at - 0.5


async def test_an_open_call_is_answered_while_its_process_drains(embedded: Installation) -> None:
    more = asyncio.Event()

    async def batches() -> AsyncIterator[disclosure_pb.PublishRecordsRequest]:
        yield disclosure_pb.PublishRecordsRequest(
            batch_id="b-1", records=[draft("r-1", company(1))]
        )
        await more.wait()
        yield disclosure_pb.PublishRecordsRequest(
            batch_id="b-2", records=[draft("r-2", company(1))]
        )

    async with embedded.program() as served, served.gateway.channel(PUBLISHER) as channel:
        publishing = disclosure_grpc.DisclosureServiceStub(channel).PublishRecords(batches())
        await asyncio.sleep(0.3)
        served.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        more.set()
        assert (await publishing).published_records == 2
        assert await asyncio.wait_for(served.process.wait(), 10) == 0


async def test_an_idle_process_ends_at_once_when_told(embedded: Installation) -> None:
    async with embedded.program() as served:
        started = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(served.process.wait(), 10) == 0
    assert time.monotonic() - started < 5


async def test_a_worker_does_not_outlive_its_supervisor(embedded: Installation) -> None:
    async with embedded.program() as served:
        assert served.process.stdin is not None
        served.process.stdin.close()
        assert await asyncio.wait_for(served.process.wait(), 10) == 0


async def supervised(installation: Installation, workers: int) -> tuple[Process, Gateway]:
    """Start a supervisor with workers and return it with where they answer."""
    config = installation.config.model_copy(update={"workers": workers})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISOR, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    settings = config.model_dump(mode="json") | {"database": config.database.get_secret_value()}
    process.stdin.write(json.dumps(settings).encode() + b"\n")
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    grpc_address, issuer = json.loads(line)
    running = Running(grpc_address, issuer, installation.home.ca)
    return process, installation.addressed(running)


async def test_workers_share_a_port_and_one_that_died_comes_back(
    installation: Installation,
) -> None:
    process, gateway = await supervised(installation, workers=2)
    try:
        parent = psutil.Process(process.pid)
        first = parent.children()
        assert len(first) == 2
        async with gateway.channel() as channel:
            assert await refusal_reason(channel) == ""
        first[0].kill()

        async def two_again() -> bool:
            alive = [one for one in parent.children() if one.status() != psutil.STATUS_ZOMBIE]
            return len(alive) == 2 and first[0] not in alive

        await eventually(two_again, 15)

        async def all_answer() -> bool:
            for _ in range(4):
                async with gateway.channel() as channel:
                    if await refusal_reason(channel):
                        return False
            return True

        await eventually(all_answer, 15)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 15) == 0
        assert not [one for one in first if one.is_running() and one.status() != "zombie"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
