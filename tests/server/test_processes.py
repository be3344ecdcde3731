"""Processes of the gateway: several on one store, draining, dying, coming back."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from uuid import uuid4

import grpc
import pytest

from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import disclosure_service_pb2_grpc as disclosure_grpc
from sdk.refusals import explain
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, Gateway, Installation, company, eventually
from tests.server.calls import draft, query
from tests.server.supervising import lives, supervised


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


@rarely_on_postgresql
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
    async with embedded.process() as served:
        started = time.monotonic()
        served.process.send(signal.SIGTERM)
        assert await asyncio.wait_for(served.process.ended_in_order(), 10)
    assert time.monotonic() - started < 5


async def test_a_worker_does_not_outlive_its_supervisor(embedded: Installation) -> None:
    async with embedded.process() as served:
        served.process.let_go()
        assert await asyncio.wait_for(served.process.ended_in_order(), 10)


async def test_a_process_that_hangs_while_it_serves_is_killed_and_started_anew(
    embedded: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    async with supervised(embedded, workers=2, lost=2) as served:
        first = served.children()
        hung, other = (child for child in first if child != served.keeper())
        hung.suspend()

        async def another_serves() -> bool:
            children = served.children()
            return hung not in children and len(children) == 3

        async def all_answer() -> bool:
            for _ in range(4):
                async with served.gateway.channel() as channel:
                    if await refusal_reason(channel):
                        return False
            return True

        await eventually(another_serves, 20)
        await eventually(all_answer, 15)
        assert other in served.children()
        assert served.present_keeper() in first
    assert f"worker {hung.pid} hangs and is killed" in capfd.readouterr().err


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.soak), 2])
async def test_the_first_process_tells_who_started_it_that_it_is_ready_and_lives(
    embedded: Installation, workers: int
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = f"@creditgate-test-{uuid4()}"
        manager.bind("\0" + address[1:])
        manager.setblocking(False)
        notify = {"NOTIFY_SOCKET": address}

        def said() -> list[bytes]:
            told: list[bytes] = []
            with suppress(BlockingIOError):
                while True:
                    told.append(manager.recv(64))
            return told

        async with supervised(embedded, workers=workers, environment=notify) as served:
            assert b"READY=1" in said()
            await asyncio.sleep(1.3)
            assert set(said()) == {b"WATCHDOG=1"}
            served.process.send(signal.SIGSTOP)
            said()
            await asyncio.sleep(1.3)
            assert said() == []
            served.process.send(signal.SIGCONT)
            served.terminate()
            assert await asyncio.wait_for(served.process.ended_in_order(), 15)
            assert b"STOPPING=1" in said()


@rarely_on_postgresql
async def test_workers_share_a_port_and_one_that_died_comes_back(
    installation: Installation,
) -> None:
    async with supervised(installation, workers=2) as served:
        first = served.children()
        assert len(first) == 3
        worker = next(child for child in first if child != served.keeper())
        async with served.gateway.channel() as channel:
            assert await refusal_reason(channel) == ""
        worker.kill()

        async def two_again() -> bool:
            children = served.children()
            return len(children) == 3 and worker not in children

        await eventually(two_again, 15)

        async def all_answer() -> bool:
            for _ in range(4):
                async with served.gateway.channel() as channel:
                    if await refusal_reason(channel):
                        return False
            return True

        await eventually(all_answer, 15)
        served.terminate()
        assert await asyncio.wait_for(served.process.ended_in_order(), 15)
        assert not any(lives(child) for child in first)
