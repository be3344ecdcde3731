"""Use is charged exactly once (G5), whatever happens: kills, retries, duplicates, clock steps.

Two gateways serve one store, both killed with SIGKILL under load and started anew. What clients
sent is charged by a model of their own, which knows nothing of ledgers: how many records each
subject has. At the end nothing may be lost or double, and receipts and log must agree.
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from creditgate.transparency.usage_charges import Difference
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from gateway.meter.model import unpack_entries
from gateway.meter.tables import QUOTA, USAGE
from gateway.storage.engines import reading
from gateway.transparency.identity import known_key
from gateway.transparency.tables import LogId
from gateway.usage.check import check_usage
from sdk.usage import Usage
from sdk.usage_book import UsageBook
from tests.durability.using import CHUNK, MOST_AHEAD, RECORDS, Load
from tests.examples import rarely_on_postgresql
from tests.forking import STEPPED, nursery
from tests.installation import (
    OPERATOR_ID,
    PRICE,
    PUBLISHER,
    Gateway,
    GatewayProcess,
    Installation,
    place_in,
    settings_line,
)
from tests.server.calls import draft, publish
from tests.stepping import SteppedClock

CALLERS = 4
SETTLED = 40


@asynccontextmanager
async def stepped(installation: Installation, clock: Path) -> AsyncGenerator[GatewayProcess]:
    """Run a gateway whose clock is stepped, killed in the end."""
    config = installation.config.model_copy(update={"chunk_subjects": CHUNK})
    told = json.loads(settings_line(config)) | {"clock": str(clock)}
    process, line = await nursery().worker(json.dumps(told).encode() + b"\n", STEPPED)
    try:
        yield GatewayProcess(Gateway(installation, place_in(line)), process)
    finally:
        process.kill()
        await process.wait()


async def kill_under_load(installation: Installation, load: Load, clock: Path, kills: int) -> None:
    """Start two gateways, load them and kill both, one after the other, ``kills`` times."""
    for _ in range(kills):
        load.clock.step_to(0)
        async with (
            stepped(installation, clock) as one,
            stepped(installation, clock) as another,
            one.gateway.channel() as first,
            one.gateway.channel() as beside,
            another.gateway.channel() as second,
        ):
            load.over = False
            stubs = [CreditRecordServiceStub(each) for each in (first, beside, second)]
            tasks = [asyncio.create_task(load.ask(stubs)) for _ in range(CALLERS)]
            tasks.append(asyncio.create_task(load.step()))
            await asyncio.sleep(load.chance.uniform(0.05, 0.4))
            one.process.kill()
            await asyncio.sleep(load.chance.uniform(0.0, 0.2))
            another.process.kill()
            load.over = True
            await asyncio.wait_for(asyncio.gather(*tasks), 30)


async def finish(installation: Installation, load: Load, clock: Path) -> list[Difference]:
    """Have every request answered as a whole, follow the log, and return what differs."""
    load.clock.step_to(MOST_AHEAD)
    async with (
        stepped(installation, clock) as process,
        process.gateway.channel() as channel,
    ):
        stub = CreditRecordServiceStub(channel)
        for _ in range(SETTLED):
            for ask in load.open:
                await load.made(stub, ask)
        assert load.open == []
        usage, charged = Usage(channel), len(load.leaves)
        for _ in range(SETTLED):
            if await usage.follow(load.book) >= charged:
                break
            await asyncio.sleep(0.1)
    return list(load.book.differences())


def check(installation: Installation, load: Load) -> None:
    """Compare what the store holds with what the model says that clients used."""
    with reading(installation.engines.records) as connection:
        rows = connection.execute(select(USAGE)).all()
        counted = sum(connection.execute(select(QUOTA.c.used)).scalars())
    charged = {(row.request_id, row.chunk): row for row in rows}
    assert len(charged) == len(rows), "a use was charged twice"
    due = {(ask.request_id, chunk): ask.due(chunk) for ask in load.asks for chunk in ask.got}
    assert charged.keys() == due.keys(), "a use was lost, or none was made of one"
    for key, records in due.items():
        row = charged[key]
        assert len(set(unpack_entries(bytes(row.entries)))) == records == row.entry_count
        assert row.fee == PRICE * records
    assert counted == sum(due.values())
    assert sorted(row.usage_index for row in rows) == [*range(len(rows))]
    assert {row.operator_id for row in rows} == {OPERATOR_ID}
    assert check_usage(installation.engines).faults == []


@pytest.mark.parametrize(
    "kills",
    [pytest.param(2, id="2 kills"), pytest.param(200, id="200 kills", marks=pytest.mark.soak)],
)
@rarely_on_postgresql
async def test_use_is_charged_exactly_once_through_kills(
    installation: Installation, tmp_path: Path, kills: int
) -> None:
    clock = tmp_path / "clock"
    stepping = SteppedClock.begun(clock)
    async with (
        stepped(installation, clock) as process,
        process.gateway.channel(PUBLISHER) as publisher,
    ):
        await publish(
            publisher,
            [draft(f"{each}.{i}", each) for each, count in RECORDS.items() for i in range(count)],
        )
    with reading(installation.engines.evidence) as connection:
        key = known_key(connection, LogId.USAGE)
    assert key is not None
    book = UsageBook.begin(tmp_path / "receipts.book", OPERATOR_ID, key)
    load = Load(random.Random(20261128), book, stepping)
    await kill_under_load(installation, load, clock, kills)
    assert await finish(installation, load, clock) == []
    check(installation, load)
    book.close()
    # That there was load at all, whatever the machine.
    assert len(load.leaves) > kills
    print(
        f"{kills} kills: {len(load.asks)} requests, {len(load.leaves)} charged,"
        f" {load.again} asked again, {load.reused} refused for another payload"
    )
