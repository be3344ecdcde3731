"""What a home region meters is charged to the firm that asked, whether it waited or not."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import func, select

from creditgate.federated_query import region_request_id
from creditgate.v1.federated_record_service_pb2_grpc import FederatedRecordServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_log_pb2 import UsageLeaf
from gateway.meter.tables import USAGE
from gateway.selfcheck.derived import check_derived
from gateway.selfcheck.region_uses import check_region_uses
from gateway.storage.engines import reading
from operators.model import CLIENT
from sdk.federated import ask_regions
from sdk.region_receipts import RegionReceipts
from sdk.tokens import TokenRefused
from sdk.usage import Usage
from sdk.usage_book import UsageBook
from tests.federation.asking.lost import correct, entries
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import (
    World,
    closing,
    company,
    ended,
    names,
    question,
)
from tests.installation import OPERATOR_ID, PRICE, PUBLIC_ITEM, eventually
from tests.server.delivering import key_of

pytestmark = pytest.mark.asyncio(loop_scope="package")
CHUNK: Final = 2
_SUPERSEDED: Final = RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED


class Question:
    """A question to region "two" about companies that have a record each."""

    def __init__(self, world: World, subjects: list[str]) -> None:
        self.world = world
        self.subjects = subjects
        self.request_id = uuid4().hex
        self.there = region_request_id(OPERATOR_ID, self.request_id, world.two.entity_id)

    @classmethod
    async def about(cls, world: World, companies: int) -> "Question":
        subjects = [company("two") for _ in range(companies)]
        for subject in subjects:
            await world.publish(world.two, subject)
        return cls(world, subjects)

    async def ask(self, **more: Any) -> Any:
        named: dict[str, Any] = {"regions": [self.world.two.entity_id]}
        return await self.world.ask(*self.subjects, request_id=self.request_id, **named | more)

    async def metered(self, records: int) -> bool:
        """Tell whether the home region has metered so many records."""
        return _sum(self.world, "two", self.there, USAGE.c.entry_count) == records

    async def charged(self, records: int) -> bool:
        """Tell whether the firm is charged for so many records."""
        return _sum(self.world, "one", self.there, USAGE.c.region_records) == records


def _sum(world: World, region: str, request_id: str, column: Any) -> int:
    query = select(func.coalesce(func.sum(column), 0)).where(USAGE.c.request_id == request_id)
    with reading(world.regions[region].installation.engines.records) as connection:
        return int(connection.execute(query).scalar_one())


async def _settled(world: World, asked: Question) -> None:
    """Check that both ends have the same of a question, and its own gateway's stores agree."""
    here, there = entries(world, asked.request_id)
    assert here == there
    engines = world.one.installation.engines
    assert check_derived(engines) == check_region_uses(engines) == []


async def test_what_was_metered_for_who_hung_up_is_charged_to_it_and_given_again_for_nothing(
    world: World, relay: Relay
) -> None:
    asked = await Question.about(world, 3 * CHUNK)
    relay.flowing.clear()
    try:
        async with world.one.gateway.channel("alpha-one") as channel:
            call: Any = FederatedRecordServiceStub(channel).QueryRegions(
                question(
                    asked.subjects,
                    request_id=asked.request_id,
                    regions=[world.two.entity_id],
                )
            )
            await call.read()
            await eventually(partial(asked.metered, CHUNK), 5)
            call.cancel()
        await asyncio.sleep(0.1)
        assert await asked.charged(0)
    finally:
        relay.flowing.set()
    await eventually(partial(asked.charged, CHUNK), 5)
    # Nobody waited, so nothing more was asked for: neither is owed anything.
    assert await asked.metered(CHUNK)
    await _settled(world, asked)
    again = await asked.ask()
    assert len(names(again, world.two)) == 3 * CHUNK
    assert closing(again, world.two).charged_micro_yuan == 2 * CHUNK * PRICE
    assert await asked.charged(3 * CHUNK)
    await _settled(world, asked)


async def test_who_lost_what_does_not_come_any_more_has_the_receipt_of_its_charge(
    world: World, relay: Relay, tmp_path: Path
) -> None:
    asked = await Question.about(world, CHUNK)
    relay.flowing.clear()
    try:
        async with world.one.gateway.channel("alpha-one") as channel:
            call: Any = FederatedRecordServiceStub(channel).QueryRegions(
                question(asked.subjects, request_id=asked.request_id, regions=[world.two.entity_id])
            )
            await call.read()
            await eventually(partial(asked.metered, CHUNK), 5)
            call.cancel()
    finally:
        relay.flowing.set()
    await eventually(partial(asked.charged, CHUNK), 5)
    await correct(world, f"records/two-{asked.subjects[0]}-{PUBLIC_ITEM}-0")
    book = UsageBook.begin(tmp_path / "book", OPERATOR_ID, key_of(world.one.installation))
    async with world.one.gateway.channel("alpha-one") as channel:
        named = question(asked.subjects, request_id=asked.request_id, regions=[world.two.entity_id])

        async def superseded() -> bool:
            answer = await ask_regions(channel, named, RegionReceipts(book, named.request_id))
            return closing(answer, world.two).refusal == _SUPERSEDED

        await eventually(superseded, 10)
        answer = await ask_regions(channel, named, RegionReceipts(book, named.request_id))
        (receipt,) = closing(answer, world.two).charged_before
        leaf = UsageLeaf.FromString(receipt.leaf)
        assert (leaf.request_id, leaf.fee_micro_yuan) == (asked.there, CHUNK * PRICE)

        async def logged() -> bool:
            return await Usage(channel).follow(book) > leaf.usage_index

        await eventually(logged, 10)
    # The question, and the chunk: nothing is left to be disputed of them.
    places = {leaf.usage_index, UsageLeaf.FromString(answer.question.usage.leaf).usage_index}
    assert not places & {each.usage_index for each in book.differences()}
    book.close()


async def test_what_was_metered_by_a_region_that_is_late_is_charged_too(
    world: World, relay: Relay
) -> None:
    asked = await Question.about(world, CHUNK)
    relay.flowing.clear()
    try:
        answer = await asked.ask(region_deadline=Duration(nanos=300_000_000))
        assert ended(answer, world.two) == "LATE"
        assert await asked.charged(0)
        await eventually(partial(asked.metered, CHUNK), 5)
    finally:
        relay.flowing.set()
    await eventually(partial(asked.charged, CHUNK), 5)
    await _settled(world, asked)
    again = await asked.ask()
    assert len(names(again, world.two)) == CHUNK
    assert closing(again, world.two).charged_micro_yuan == 0


async def test_a_region_meters_no_more_than_it_is_asked_for(world: World, relay: Relay) -> None:
    asked = await Question.about(world, 4 * CHUNK)
    async with world.one.gateway.channel("alpha-one") as channel:
        call: Any = FederatedRecordServiceStub(channel).QueryRegions(
            question(asked.subjects, request_id=asked.request_id, regions=[world.two.entity_id])
        )
        async for step in call:
            if step.HasField("part"):
                call.cancel()
                break
    await asyncio.sleep(0.3)
    metered = _sum(world, "two", asked.there, USAGE.c.entry_count)
    assert metered < 4 * CHUNK
    await eventually(partial(asked.charged, metered), 5)
    await _settled(world, asked)


async def test_who_removes_its_own_client_while_a_region_is_asked_has_hung_up(
    world: World, relay: Relay
) -> None:
    installation = world.one.installation
    installation.enrol("alpha-two", ClientRole.CLIENT_ROLE_OPERATOR, OPERATOR_ID)
    asked = await Question.about(world, CHUNK)

    async def known() -> bool:
        try:
            return bool(await world.ask(company(), client_id="alpha-two"))
        except TokenRefused:
            return False

    await eventually(known, 5)
    relay.flowing.clear()
    try:
        asking = asyncio.create_task(asked.ask(client_id="alpha-two"))
        await eventually(partial(asked.metered, CHUNK), 5)
        client = installation.log.history(kind=CLIENT, id="alpha-two", after=0, limit=9)[-1]
        removed = {**client.document, "removed_at": installation.clock.now()}
        installation.put(CLIENT, "alpha-two", removed)
        await asyncio.sleep(1.2)
    finally:
        relay.flowing.set()
    with pytest.raises(grpc.aio.AioRpcError):
        await asking
    await eventually(partial(asked.charged, CHUNK), 5)
    await _settled(world, asked)
