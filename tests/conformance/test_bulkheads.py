"""Trouble with evidence, and whoever makes much of it, hold up nobody else."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from sdk.refusals import explain
from tests.installation import PUBLISHER, Gateway, company, furnished
from tests.server.calls import draft, publish, query
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

_FLOOD = 60
_QUICK_SECONDS = 2.0


@dataclass
class Site:
    """A gateway, the store of its evidence, and the channels of those who call it."""

    gateway: Gateway
    evidence: Path
    alpha: grpc.aio.Channel
    publisher: grpc.aio.Channel

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep everybody from writing evidence."""
        store = sqlite3.connect(self.evidence, isolation_level=None, timeout=10)
        store.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            store.execute("ROLLBACK")
            store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(sqlite_stores: SqliteStores) -> AsyncIterator[Site]:
    """A gateway of two operators."""
    with furnished(sqlite_stores) as installation:
        installation.license("beta", "L-BETA")
        installation.enrol("beta-one", ClientRole.CLIENT_ROLE_OPERATOR, "beta")
        async with (
            installation.running() as gateway,
            gateway.channel() as alpha,
            gateway.channel(PUBLISHER) as publisher,
        ):
            await publish(publisher, [draft("r-1", company(1))])
            yield Site(gateway, installation.folder / "evidence.db", alpha, publisher)


async def _outcome(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return explain(error).reason or error.code().name
    return ""


async def test_a_flood_of_work_on_a_locked_store_keeps_nobody_from_signing_in_or_publishing(
    site: Site,
) -> None:
    stub = ConformanceServiceStub(site.alpha)
    contest = pb.ContestFindingRequest(name=f"findings/{0:010x}-{0:024x}", statement="no")
    with site.locked():
        flood = [
            asyncio.ensure_future(_outcome(stub.ContestFinding(contest, timeout=30)))
            for _ in range(_FLOOD)
        ]
        await asyncio.sleep(0.3)
        began = time.monotonic()
        async with site.gateway.channel("beta-one") as beta:
            assert (await query(beta, company(1))).records
        await publish(site.publisher, [draft("r-2", company(2))])
        took = time.monotonic() - began
    outcomes = await asyncio.gather(*flood)
    assert took < _QUICK_SECONDS
    assert outcomes.count("RATE_EXCEEDED") >= _FLOOD - 20


async def test_an_operator_that_asks_for_too_many_listings_at_once_is_told_to_wait(
    site: Site,
) -> None:
    own = ConformanceServiceStub(site.alpha)
    for ask in (
        lambda: own.ListFindings(pb.ListFindingsRequest()),
        lambda: own.ListAttestations(pb.ListAttestationsRequest()),
        lambda: own.ListChallenges(pb.ListChallengesRequest()),
    ):
        outcomes = await asyncio.gather(*(_outcome(ask()) for _ in range(_FLOOD)))
        assert set(outcomes) == {"", "RATE_EXCEEDED"}
