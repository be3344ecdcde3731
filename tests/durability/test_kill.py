"""A gateway killed with SIGKILL under load, again and again, loses and repeats nothing."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import func, select

from creditgate.transparency.merkle import leaf_hash
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import disclosure_service_pb2_grpc as disclosure_grpc
from gateway.disclose.tables import BATCHES, REVISIONS
from gateway.meter.model import unpack_entries
from gateway.meter.tables import QUOTA, USAGE
from gateway.storage.engines import reading
from gateway.transparency.identity import known_key
from gateway.transparency.keys import LogKey
from gateway.transparency.tables import LogId
from gateway.usage.check import check_usage
from gateway.usage.logs import OperatorLogs
from gateway.usage.writer import UsageLogWriter
from sdk.refusals import explain
from tests.examples import rarely_on_sqlite
from tests.installation import (
    OPERATOR_ID,
    PRICE,
    PUBLISHER,
    PURPOSE,
    Installation,
    company,
)
from tests.receipts import verified
from tests.server.calls import draft

COMPANIES = 40
CALLERS = 6
BATCH = 8
# What a killed process or one that is coming up again gives; anything else is a fault.
CUT_OFF = {"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN"}


@dataclass
class Load:
    """What clients sent and what they were told; what is open is sent again."""

    chance: random.Random
    answered: dict[str, records_pb.GetSubjectRecordsResponse] = field(default_factory=dict)
    open_asks: list[records_pb.GetSubjectRecordsRequest] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    open_batches: list[disclosure_pb.PublishRecordsRequest] = field(default_factory=list)
    published: Counter[str] = field(default_factory=Counter)
    replayed: int = 0

    async def ask(self, channel: grpc.aio.Channel) -> None:
        """Ask until cut off; what was open when cut off comes first."""
        stub = records_grpc.CreditRecordServiceStub(channel)
        while True:
            request = (
                self.open_asks.pop()
                if self.open_asks
                else records_pb.GetSubjectRecordsRequest(
                    subject=company(self.chance.randrange(COMPANIES)),
                    purpose=PURPOSE,
                    request_id=str(uuid4()),
                )
            )
            try:
                answer = await stub.GetSubjectRecords(request, timeout=10)
            except grpc.aio.AioRpcError as error:
                told = explain(error)
                if told.reason == "REQUEST_SUPERSEDED":
                    # Records came between the first try and this one: an honest answer.
                    self.answered.pop(request.request_id, None)
                    continue
                self.open_asks.append(request)
                assert told.status in CUT_OFF, told
                return
            self.replayed += answer.receipt.replayed
            self.answered[request.request_id] = answer

    async def publish(self, channel: grpc.aio.Channel) -> None:
        """Publish batches, each acknowledged, until cut off."""
        stub = disclosure_grpc.DisclosureServiceStub(channel)
        while True:
            request = self.open_batches.pop() if self.open_batches else self.batch()
            try:
                answer = await stub.PublishRecords(one(request), timeout=10)
            except grpc.aio.AioRpcError as error:
                self.open_batches.append(request)
                assert explain(error).status in CUT_OFF, explain(error)
                return
            assert not answer.rejections
            self.acknowledged.add(request.batch_id)
            await asyncio.sleep(0.02)

    def batch(self) -> disclosure_pb.PublishRecordsRequest:
        """Return a batch of new records."""
        batch_id = str(uuid4())
        return disclosure_pb.PublishRecordsRequest(
            batch_id=batch_id,
            records=[
                draft(f"{batch_id}.{i}", company(self.chance.randrange(COMPANIES)))
                for i in range(BATCH)
            ],
        )


async def one(
    request: disclosure_pb.PublishRecordsRequest,
) -> AsyncIterator[disclosure_pb.PublishRecordsRequest]:
    """Yield one batch."""
    yield request


async def kill_under_load(installation: Installation, load: Load, kills: int) -> None:
    """Start, load and kill the gateway ``kills`` times."""
    for _ in range(kills):
        async with (
            installation.process() as served,
            served.gateway.channel() as operator,
            served.gateway.channel(PUBLISHER) as publisher,
        ):
            tasks = [asyncio.create_task(load.ask(operator)) for _ in range(CALLERS)]
            tasks.append(asyncio.create_task(load.publish(publisher)))
            await asyncio.sleep(load.chance.uniform(0.1, 0.7))
            served.process.kill()
            await served.process.wait()
            await asyncio.wait_for(asyncio.gather(*tasks), 30)


async def finish(installation: Installation, load: Load) -> None:
    """Send again what was left open, so that every request ends."""
    async with installation.process() as served:
        async with served.gateway.channel(PUBLISHER) as publisher:
            stub = disclosure_grpc.DisclosureServiceStub(publisher)
            for batch in load.open_batches:
                await stub.PublishRecords(one(batch), timeout=10)
                load.acknowledged.add(batch.batch_id)
        async with served.gateway.channel() as operator:
            asking = records_grpc.CreditRecordServiceStub(operator)
            for request in load.open_asks:
                try:
                    load.answered[request.request_id] = await asking.GetSubjectRecords(request)
                except grpc.aio.AioRpcError as error:
                    assert explain(error).reason == "REQUEST_SUPERSEDED"


def check(installation: Installation, load: Load) -> None:
    """Compare what clients were told with what the store holds."""
    with installation.engines.records.connect() as connection:
        usage = {row.request_id: row for row in connection.execute(select(USAGE))}
        rows = connection.execute(select(func.count()).select_from(USAGE)).scalar_one()
        batches = {row.batch_id: row for row in connection.execute(select(BATCHES))}
        records = Counter(connection.execute(select(REVISIONS.c.record_id)).scalars())
        quota = connection.execute(select(func.sum(QUOTA.c.used))).scalar()
    assert rows == len(usage), "a request was metered twice"
    for request_id, answer in load.answered.items():
        row = usage[request_id]
        sequences = {record.event_sequence for record in answer.records}
        assert sequences <= set(unpack_entries(bytes(row.entries))), "served, not metered"
        assert row.decision_id == answer.receipt.decision_id
        if not answer.receipt.replayed:
            assert answer.receipt.charged_entries == len(answer.records) == row.entry_count
            assert answer.receipt.charged_micro_yuan == row.fee == PRICE * row.entry_count
    assert quota == sum(row.entry_count for row in usage.values())
    assert {row.operator_id for row in usage.values()} == {OPERATOR_ID}
    assert load.acknowledged <= batches.keys(), "acknowledged, not there"
    for batch_id in load.acknowledged:
        assert batches[batch_id].published == BATCH
        assert all(records[f"{batch_id}.{i}"] == 1 for i in range(BATCH))
    assert set(records.values()) <= {1}, "a record was published twice"


def check_usage_log(installation: Installation, load: Load) -> None:
    """Compare the signed receipts that clients got with the usage log, once it is written."""
    engines = installation.engines
    with reading(engines.evidence) as connection:
        known = known_key(connection, LogId.USAGE)
    assert known is not None
    key = LogKey.kept_in(installation.home.log_key(LogId.USAGE.path), known.name)
    logs = OperatorLogs(engines.evidence, key)
    writer = UsageLogWriter(engines.records, engines.evidence, logs)
    while writer.step(installation.clock.now()):
        pass
    log = logs.of(OPERATOR_ID)
    assert log is not None
    latest = log.latest()
    assert latest is not None
    leaves = log.leaf_hashes(0, latest.size)
    for answer in load.answered.values():
        place = verified(answer.receipt.usage, known).usage_index
        assert leaves[place] == leaf_hash(answer.receipt.usage.leaf), "promised, not logged"
    with reading(engines.records) as connection:
        answers = connection.execute(select(func.count()).select_from(USAGE)).scalar_one()
    assert (latest.size, check_usage(engines).faults) == (answers, [])


@pytest.mark.parametrize(
    "kills",
    [pytest.param(3, id="3 kills"), pytest.param(50, id="50 kills", marks=pytest.mark.soak)],
)
@rarely_on_sqlite
async def test_nothing_acknowledged_is_lost_or_doubled_by_kills(
    installation: Installation, kills: int
) -> None:
    # A fast host serves more in the time of fifty kills than a usual licence allows in a day.
    installation.license(OPERATOR_ID, "L-ALPHA", quota=1_000_000_000)
    load = Load(random.Random(20261124))
    await kill_under_load(installation, load, kills)
    await finish(installation, load)
    check(installation, load)
    check_usage_log(installation, load)
    # That there was load at all, whatever the machine: a timing is no part of the promise.
    assert len(load.answered) > 10 * kills
    assert len(load.acknowledged) >= kills
    print(
        f"{kills} kills: {len(load.answered)} answers, {load.replayed} of them replays,"
        f" {len(load.acknowledged)} batches"
    )
