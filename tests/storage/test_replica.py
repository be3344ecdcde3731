"""From a replica nothing is served (G4, G9); what is over may be read there."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from gateway.analytics.archive import extend
from gateway.storage.engines import open_for_archive, reading
from sdk.request_ids import new_request_id
from tests.installation import (
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    Installation,
    company,
    eventually,
)
from tests.own_server import OwnServer
from tests.server.calls import draft, publish


@pytest.fixture
def server() -> Iterator[OwnServer]:
    started = OwnServer()
    yield started
    started.remove()


async def test_no_gateway_starts_on_a_replica_and_the_archive_is_made_from_one(
    server: OwnServer, tmp_path: Path
) -> None:
    primary = Installation(server.database, tmp_path / "home")
    primary.furnish()
    request = records_pb.GetSubjectRecordsRequest(
        subject=company(1), items=[PUBLIC_ITEM], purpose=PURPOSE
    )
    async with primary.running() as gateway:
        async with gateway.channel(PUBLISHER) as channel:
            await publish(channel, [draft("record-1", company(1))])
        async with gateway.channel() as channel:
            for _ in range(3):
                request.request_id = new_request_id()
                await records_grpc.CreditRecordServiceStub(channel).GetSubjectRecords(request)
    with server.replica() as address:
        engines = open_for_archive(address, tmp_path)

        async def followed() -> bool:
            with reading(engines.records) as connection:
                return connection.execute(text("SELECT count(*) FROM usage_answers")).scalar() == 3

        await eventually(followed)
        assert extend(tmp_path / "archive", engines.records).uses == 3

        engines.dispose()

        told = await asyncio.to_thread(_serve, address, tmp_path / "home")
        assert told.returncode
        assert "session is read-only" in told.stderr
        assert "Traceback" not in told.stderr
    primary.close()


def _serve(database: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Begin to serve from a store, as its administrator does."""
    settings = {"CREDITGATE_DATABASE": database, "CREDITGATE_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", "serve"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
