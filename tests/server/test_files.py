"""Connections that say nothing never take the files that serving and storing need."""

import socket
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import urlsplit

import psutil
import pytest
import pytest_asyncio

from tests.forking import nursery
from tests.installation import PUBLISHER, Gateway, GatewayProgram, company, furnished
from tests.server.calls import draft, publish, query
from tests.server.supervising import supervised
from tests.stores import SqliteStores

_FILES: Final = 320
_SILENT: Final = 400
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(sqlite_stores: SqliteStores) -> AsyncIterator[GatewayProgram]:
    """A gateway that may open few files."""
    with furnished(sqlite_stores) as installation:
        async with installation.program(files=_FILES) as running:
            yield running


@contextmanager
def _silent(address: tuple[str, int]) -> Generator[None]:
    """Hold connections open that send nothing."""
    with ExitStack() as held:
        for _ in range(_SILENT):
            held.enter_context(socket.create_connection(address, 5))
        yield


def _https(gateway: Gateway) -> tuple[str, int]:
    place = urlsplit(gateway.running.issuer)
    assert place.hostname
    assert place.port
    return place.hostname, place.port


async def _works(gateway: Gateway, record: str) -> None:
    """Get tokens, write and read."""
    async with gateway.channel(PUBLISHER) as publisher, gateway.channel() as operator:
        await publish(publisher, [draft(record, company(1))])
        assert (await query(operator, company(1), seconds=5)).records


async def test_connections_without_a_handshake_stop_no_tokens_and_no_stores(
    program: GatewayProgram,
) -> None:
    with _silent(_https(program.gateway)):
        await _works(program.gateway, "r-1")
        assert psutil.Process(program.process.pid).num_fds() < _FILES // 2


async def test_connections_to_grpc_without_a_handshake_stop_nobody_who_is_there(
    program: GatewayProgram,
) -> None:
    gateway = program.gateway
    host, _, port = gateway.running.grpc.rpartition(":")
    async with gateway.channel() as there:
        await query(there)
        with _silent((host, int(port))):
            await query(there, seconds=5)
            # A token by HTTPS, and a store.
            async with gateway.channel(scopes=("credit.records:read",)):
                pass
            assert psutil.Process(program.process.pid).num_fds() < _FILES - 32


@contextmanager
def _usual_limit() -> Generator[int]:
    """Let what is forked meanwhile begin with the usual limit; give the most it may set."""
    nursery()
    (forker,) = [each for each in psutil.Process().children() if "tests.forking" in each.cmdline()]
    was = forker.rlimit(psutil.RLIMIT_NOFILE)
    forker.rlimit(psutil.RLIMIT_NOFILE, (1_024, was[1]))
    try:
        yield was[1]
    finally:
        forker.rlimit(psutil.RLIMIT_NOFILE, was)


async def test_a_gateway_lets_itself_open_more_files_than_is_usual(
    sqlite_stores: SqliteStores,
) -> None:
    with furnished(sqlite_stores) as installation, _usual_limit() as hard:
        async with supervised(installation) as gateway:
            for process in (psutil.Process(gateway.process.pid), gateway.present_keeper()):
                assert process.rlimit(psutil.RLIMIT_NOFILE) == (min(hard, 65_536), hard)
