"""Deliveries are settled exactly once, whatever happens: kills, breaks, calls at once, resumes.

Two gateways serve one store, both killed with SIGKILL under load and started anew, each with a
settler that may be killed in the middle of its work.
"""

import asyncio
import random

import grpc
import pytest
from sqlalchemy import func, select

from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from gateway.meter.delivery import OPEN
from gateway.meter.delivery_tables import DELIVERIES
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.tables import QUOTA, USAGE
from gateway.selfcheck.derived import check_derived
from gateway.storage.engines import reading
from gateway.usage.check import check_usage
from sdk.connection import connect
from sdk.tokens import TokenRefused
from tests.durability.taking import CHUNK, GRACE, RECORDS, WINDOW, Takers
from tests.examples import rarely_on_sqlite
from tests.installation import PRICE, PUBLISHER, Gateway, Installation
from tests.server.calls import draft, publish

CALLERS = 4
MOST_A_CHUNK = CHUNK * max(RECORDS.values())
SETTINGS = {
    "delivery_chunk_subjects": CHUNK,
    "delivery_window_records": WINDOW,
    "delivery_grace_seconds": GRACE,
    "delivery_unacknowledged_records_per_day": 10**9,
}


async def kill_under_load(installation: Installation, takers: Takers, kills: int) -> None:
    """Start two gateways, take from them and kill both, ``kills`` times."""
    for _ in range(kills):
        async with (
            installation.process(**SETTINGS) as one,
            installation.process(**SETTINGS) as another,
            await connected(one.gateway) as first,
            await connected(another.gateway) as second,
        ):
            takers.over = False
            stubs = [CreditRecordServiceStub(each) for each in (first, second)]
            tasks = [asyncio.create_task(takers.take(stubs)) for _ in range(CALLERS)]
            # Past the grace, so that there is something to be settled meanwhile.
            await asyncio.sleep(takers.chance.uniform(0.2, 2.5 * GRACE))
            one.process.kill()
            await asyncio.sleep(takers.chance.uniform(0.0, 0.3))
            another.process.kill()
            takers.over = True
            await asyncio.wait_for(asyncio.gather(*tasks), 30)


async def connected(gateway: Gateway) -> grpc.aio.Channel:
    """Return a channel, once the gateway gives tokens: on a busy machine it may have to be asked
    again."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await connect(gateway.credentials())
            except TokenRefused:
                await asyncio.sleep(0.2)


def still_open(installation: Installation) -> int:
    """Return how many deliveries have yet to be settled."""
    with reading(installation.engines.records) as connection:
        query = select(func.count()).select_from(DELIVERIES).where(DELIVERIES.c.state == OPEN)
        return connection.execute(query).scalar_one()


async def settle(installation: Installation) -> None:
    """Let everything be settled."""
    async with installation.process(**SETTINGS):
        async with asyncio.timeout(30):
            while still_open(installation):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def check(installation: Installation, takers: Takers) -> tuple[int, int]:
    """Compare the ledger with what clients acknowledged; return records charged and credited."""
    with reading(installation.engines.records) as connection:
        rows = connection.execute(select(USAGE).order_by(USAGE.c.usage_index)).all()
        used = sum(connection.execute(select(QUOTA.c.used)).scalars())
    assert [row.usage_index for row in rows] == [*range(len(rows))]
    charged: dict[str, list[int]] = {}
    credited: dict[str, list[int]] = {}
    for row in rows:
        entries = unpack_entries(bytes(row.entries))
        assert row.fee == PRICE * len(entries)
        found = charged if row.kind == ANSWER else credited
        found.setdefault(row.request_id, []).extend(entries)
    assert charged.keys() <= {one.request_id for one in takers.taken}
    net = 0
    for one in takers.taken:
        paid, back = charged.get(one.request_id, []), credited.get(one.request_id, [])
        assert len(paid) == len(set(paid)), "a record was charged twice"
        assert len(back) == len(set(back)), "a record was credited twice"
        assert set(back) <= set(paid)
        left = set(paid) - set(back)
        net += len(left)
        assert left <= one.said, "a record is paid for that was not acknowledged"
        if one.is_whole:
            assert left == one.came
            assert len(left) == one.due
        # What was acknowledged and lost with a process is no more than was under way.
        assert len(one.said - left) <= WINDOW + MOST_A_CHUNK
    assert used == net
    assert check_derived(installation.engines) == []
    assert check_usage(installation.engines).faults == []
    return sum(map(len, charged.values())), sum(map(len, credited.values()))


@pytest.mark.parametrize(
    "kills",
    [pytest.param(1, id="1 kill"), pytest.param(60, id="60 kills", marks=pytest.mark.soak)],
)
@rarely_on_sqlite
async def test_deliveries_are_settled_exactly_once_through_kills(
    installation: Installation, kills: int
) -> None:
    async with (
        installation.process(**SETTINGS) as process,
        process.gateway.channel(PUBLISHER) as publisher,
    ):
        await publish(
            publisher,
            [draft(f"{each}.{i}", each) for each, count in RECORDS.items() for i in range(count)],
        )
    takers = Takers(random.Random(20261128))
    await kill_under_load(installation, takers, kills)
    await settle(installation)
    charged, credited = check(installation, takers)
    # That there was load at all, whatever the machine.
    assert len(takers.taken) > kills
    assert credited
    whole = sum(one.is_whole for one in takers.taken)
    print(
        f"{kills} kills: {len(takers.taken)} deliveries, {whole} whole, {charged} records charged,"
        f" {credited} credited"
    )
