"""The light load generator makes calls that count: each is answered and metered by its request id."""

import asyncio
from collections.abc import Iterator

from sqlalchemy import select

from benchmarks.clients.http2 import Connection, keep_calling
from benchmarks.clients.protocol import Job
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsRequest
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from sdk.request_ids import new_request_id
from sdk.tokens import TokenSource
from tests.installation import PURPOSE, Gateway, Installation, company

AT_ONCE = 4


def message(request_id: str) -> bytes:
    """Return a request about an invented company."""
    request = GetSubjectRecordsRequest(subject=company(1), purpose=PURPOSE, request_id=request_id)
    return request.SerializeToString()


def connected(gateway: Gateway, token: str | None = None) -> Connection:
    """Return a connection that shows a token, by default one of the operator's."""
    credentials = gateway.credentials()
    job = Job(
        address=credentials.grpc,
        ca=credentials.ca,
        certificate=credentials.certificate,
        key=credentials.key,
        subjects=1,
        least_bytes=1,
    )
    method = "/creditgate.v1.CreditRecordService/GetSubjectRecords"
    return Connection(job, method, token or TokenSource(credentials).token())


def metered(installation: Installation) -> list[str]:
    """Return the request ids of all metered answers."""
    with reading(installation.engines.records) as records:
        return [*records.execute(select(USAGE.c.request_id)).scalars()]


def called(gateway: Gateway, asked: list[str]) -> list[tuple[int, float]]:
    """Keep calls in flight on two connections for a moment, noting each request id in ``asked``."""

    def messages() -> Iterator[bytes]:
        while True:
            asked.append(new_request_id())
            yield message(asked[-1])

    connections = [connected(gateway) for _ in range(2)]
    try:
        return keep_calling(connections, messages(), AT_ONCE, 0.3)
    finally:
        for connection in connections:
            connection.close()


async def test_every_call_is_answered_and_metered_by_its_own_request_id(
    embedded: Installation,
) -> None:
    asked: list[str] = []
    async with embedded.running() as gateway:
        seen = await asyncio.to_thread(called, gateway, asked)
        assert len(seen) == len(asked) > AT_ONCE
        assert min(size for size, _ in seen) > 0
        assert sorted(metered(embedded)) == sorted(asked)

        # So that a load generator sees a refused call for what it is.
        assert await asyncio.to_thread(refused, gateway) == [0]


def refused(gateway: Gateway) -> list[int]:
    """Return the bytes of the answer to a call without a right token."""
    connection = connected(gateway, "no token")
    try:
        return [size for size, _ in keep_calling([connection], iter([message("x")]), 1, 0)]
    finally:
        connection.close()
