"""Processes of the gateway: several on one store, draining, dying, coming back."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import grpc

from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import disclosure_service_pb2_grpc as disclosure_grpc
from sdk.refusals import explain
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
        served.process.terminate()
        assert await asyncio.wait_for(served.process.wait(), 15) == 0
        assert not any(lives(child) for child in first)
