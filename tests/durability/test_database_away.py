"""While PostgreSQL is away nothing is served, and once it is back all goes on by itself (G5, G12)."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from sqlalchemy import text

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from gateway.storage.engines import reading
from sdk.request_ids import new_request_id
from tests.installation import (
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    Gateway,
    Installation,
    company,
    eventually,
)
from tests.own_server import OwnServer
from tests.server.calls import draft, publish

_STATUS = "grpc-status-details-bin"
_SOON_SECONDS = 8.0


@pytest.fixture
def server() -> Iterator[OwnServer]:
    started = OwnServer()
    yield started
    started.remove()


@pytest.fixture
def installation(server: OwnServer, tmp_path: Path) -> Iterator[Installation]:
    installed = Installation(server.database, tmp_path)
    installed.furnish()
    yield installed
    installed.close()


class _Asking:
    """An operator that asks about one company, and counts what it was answered."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = records_grpc.CreditRecordServiceStub(channel)
        self.answered: set[str] = set()

    async def ask(self, request_id: str = "") -> grpc.aio.AioRpcError | None:
        """Return how a call failed, None where it was answered."""
        request_id = request_id or new_request_id()
        request = records_pb.GetSubjectRecordsRequest(
            subject=company(1), items=[PUBLIC_ITEM], purpose=PURPOSE, request_id=request_id
        )
        try:
            answer = await self._stub.GetSubjectRecords(request, timeout=_SOON_SECONDS)
        except grpc.aio.AioRpcError as error:
            return error
        assert len(answer.records) == 1
        self.answered.add(request_id)
        return None


def _told_to_retry(error: grpc.aio.AioRpcError) -> bool:
    (told,) = (value for key, value in error.trailing_metadata() or () if key == _STATUS)
    assert isinstance(told, bytes)
    details = status_pb2.Status.FromString(told).details
    return any(detail.type_url.endswith("google.rpc.RetryInfo") for detail in details)


async def _opened(gateway: Gateway) -> None:
    async with gateway.channel(PUBLISHER) as channel:
        await publish(channel, [draft("record-1", company(1))])


async def test_calls_are_refused_with_a_time_to_retry_and_served_again_once_postgresql_is_back(
    server: OwnServer, installation: Installation
) -> None:
    async with installation.running() as gateway:
        await _opened(gateway)
        async with gateway.channel() as channel:
            asking = _Asking(channel)
            assert await asking.ask() is None
            await asyncio.to_thread(server.kill)
            retried = new_request_id()
            for request_id in (retried, "", ""):
                error = await asking.ask(request_id)
                assert error is not None
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error.details()
                assert _told_to_retry(error)
                await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)

            async def answered() -> bool:
                return await asking.ask(retried) is None

            await eventually(answered, _SOON_SECONDS)
            assert await asking.ask() is None
    with reading(installation.engines.records) as connection:
        kept = set(connection.execute(text("SELECT request_id FROM usage_answers")).scalars())
    assert kept == asking.answered


@pytest.mark.soak
async def test_what_was_answered_before_a_crash_of_postgresql_is_charged_after_it(
    server: OwnServer, installation: Installation
) -> None:
    async with installation.running() as gateway:
        await _opened(gateway)
        async with gateway.channel() as channel:
            asking = _Asking(channel)
            over = asyncio.Event()

            async def on_and_on() -> None:
                while not over.is_set():
                    await asking.ask()

            asked = [asyncio.create_task(on_and_on()) for _ in range(8)]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.kill)
            over.set()
            await asyncio.gather(*asked)
        await asyncio.to_thread(server.start)
    assert len(asking.answered) > 8
    with reading(installation.engines.records) as connection:
        kept = set(connection.execute(text("SELECT request_id FROM usage_answers")).scalars())
    assert asking.answered <= kept
