"""What becomes of a record that another region gave an operator: it is told, or told that nothing
is known (guarantee G9)."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import update

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.federated_record_service_pb2 import (
    RegionHeard,
    WatchRegionRecordsRequest,
    WatchRegionRecordsResponse,
)
from creditgate.v1.federated_record_service_pb2_grpc import FederatedRecordServiceStub
from gateway.conformance.policy_file import read_policy
from gateway.disclose.store import DisclosureStore
from gateway.federation.asking.event_watch import MOST_WATCHERS
from gateway.federation.asking.removal_tables import REGION_REMOVALS
from gateway.federation.asking.removals import RegionRemovals
from sdk.federated import follow_region_records
from sdk.refusals import explain
from tests.federating import DISTRICTS, RegionGateway, running_anchor_at, running_region
from tests.federation.asking.relay import relaying
from tests.federation.asking.world import (
    World,
    company,
    map_items,
    names,
    open_relayed,
    open_world,
)
from tests.installation import Installation, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

_REPAIRED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED
_NEVER_TOLD = 1_000
"""A number that no event of a test has."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Three regions that answer; one test alone ends records."""
    async with open_world(Path(tmp_path_factory.mktemp("events"))) as opened:
        yield opened


async def test_a_record_repaired_elsewhere_is_told_within_two_seconds_to_who_was_given_it(
    world: World,
) -> None:
    first, other, unasked = [await given(world) for _ in range(2)] + [company("two")]
    (never_given,) = await world.publish(world.two, unasked)
    heard: dict[str, RegionHeard] = {}
    async with watched(world, heard=heard) as events:
        repair(world.two, never_given)
        repair(world.two, first)
        began = time.monotonic()
        told = await next_of(events)
        taken = time.monotonic() - began
        repair(world.two, other)
        second = await next_of(events)

        assert [each.event.record for each in (told, second)] == [first, other]
        assert [each.event.number for each in (told, second)] == [1, 2]
        assert told.event.region == world.two.entity_id
        assert (told.event.kind, told.event.revision) == (_REPAIRED, 1)
        assert taken < 2
        assert heard.keys() == {world.two.entity_id, world.three.entity_id}
        # From the number of the last one on: nothing twice, and nothing left out.
    later = put_off(world, second.event.number)
    async with watched(world, after=1) as events:
        again = await next_of(events)
        # What is owed is told as it is written down.
        assert again.event.removal_deadline.seconds == later
        again.event.removal_deadline.CopyFrom(second.event.removal_deadline)
        assert again.event == second.event


def put_off(world: World, number: int) -> int:
    """Put off what is owed for an event; return by when it is owed then."""
    engines = world.one.installation.engines
    RegionRemovals(engines, read_policy()).follow()
    columns = REGION_REMOVALS.c
    later = update(REGION_REMOVALS).values(deadline=columns.deadline + 1_000)
    with engines.evidence.begin() as connection:
        moved = connection.execute(
            later.where(columns.number == number).returning(columns.deadline)
        )
        return moved.scalar_one()


@pytest.mark.soak
async def test_a_region_that_was_away_misses_nothing_and_is_told_as_not_known_meanwhile(
    tmp_path: Path,
) -> None:
    async with (
        relaying() as relay,
        open_relayed(tmp_path, relay, federation_lease_seconds=5) as world,
    ):
        record = await given(world)
        heard: dict[str, RegionHeard] = {}
        async with watched(world, heard=heard) as events:
            await eventually(partial(is_known, heard, world.two), 10)
            backend, relay.backend = relay.backend, ""
            relay.cut()
            repair(world.two, record)
            await eventually(partial(is_unknown, heard, world.two), 20)
            assert is_known_now(heard, world.three)
            assert events.empty()

            relay.backend = backend
            told = await next_of(events)
            assert told.event.record == record
            await eventually(partial(is_known, heard, world.two), 20)


async def test_a_region_that_was_cut_off_is_told_as_not_known_at_once(world: World) -> None:
    heard: dict[str, RegionHeard] = {}
    async with watched(world, heard=heard):
        await eventually(partial(is_known, heard, world.two), 30)
        world.anchor.cut_off(world.two.entity_id)
        # A heartbeat's time, less than what is left of the lease of 15 seconds.
        await eventually(partial(is_unknown, heard, world.two), 9)
        assert is_known_now(heard, world.three)
    world.anchor.restore(world.two.entity_id)
    await eventually(partial(answers, world), 20)


async def test_what_came_while_the_asking_gateway_was_down_is_told_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with running_anchor_at(tmp_path / "anchor") as anchor, AsyncExitStack() as stack:
        one, two = (
            Installation("sqlite", tmp_path / name, settings=anchor.settings())
            for name in ("one", "two")
        )
        for each in (one, two):
            stack.callback(each.close)
            each.furnish()
        home = await stack.enter_async_context(running_region(two, anchor, (DISTRICTS["two"],)))
        async with running_region(one, anchor, (DISTRICTS["one"],)) as asking:
            asking.admit(home, "region-two")
            home.admit(asking, "region-one")
            map_items(asking, home)
            map_items(home, asking)
            await eventually(partial(asking.may_ask, home), 20)
            async with World(anchor, {"one": asking, "two": home}) as world:
                await eventually(partial(answers, world), 20)
                record, later = await given(world), await given(world)
            port = int(asking.entity_id.rpartition(":")[2])
        repair(home, record)
        async with (
            one.running(https_port=port) as gateway,
            World(anchor, {"one": RegionGateway(gateway), "two": home}) as again,
            watched(again) as events,
        ):
            told = await next_of(events)
            assert told.event.record == record
            repair(home, later)
            told = await next_of(events)
            assert (told.event.number, told.event.record) == (2, later)


async def test_who_watches_other_regions_is_refused_a_number_nobody_was_told_and_too_many_streams(
    world: World,
) -> None:
    # A channel of its own: closed with it, its streams are over.
    async with world.one.gateway.channel("alpha-one") as channel, AsyncExitStack() as stack:
        stub = FederatedRecordServiceStub(channel)
        never_told = WatchRegionRecordsRequest(after_number=_NEVER_TOLD)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await first_of(stub.WatchRegionRecords(never_told))
        assert reason(refused.value) == "INVALID_REQUEST"
        for _ in range(MOST_WATCHERS):
            call = stub.WatchRegionRecords(WatchRegionRecordsRequest())
            stack.callback(call.cancel)
            await first_of(call)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await first_of(stub.WatchRegionRecords(WatchRegionRecordsRequest()))
        assert reason(refused.value) == "RATE_EXCEEDED"


@asynccontextmanager
async def watched(
    world: World, after: int = 0, heard: dict[str, RegionHeard] | None = None
) -> AsyncGenerator[asyncio.Queue[WatchRegionRecordsResponse]]:
    """Follow as alpha; events come in the queue, ``heard`` is kept as of the last heartbeat."""
    come: asyncio.Queue[WatchRegionRecordsResponse] = asyncio.Queue()

    def note(regions: Sequence[RegionHeard]) -> None:
        if heard is not None:
            heard.update({each.region: each for each in regions})

    async def follow(channel: grpc.aio.Channel) -> None:
        stream = follow_region_records(channel, after, heard=note, pause_seconds=0.1)
        async with aclosing(stream) as events:
            async for event in events:
                come.put_nowait(event)

    following = asyncio.create_task(follow(await world.channels.of(world.one.gateway)))
    try:
        yield come
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def next_of(
    come: asyncio.Queue[WatchRegionRecordsResponse],
) -> WatchRegionRecordsResponse:
    return await asyncio.wait_for(come.get(), 20)


async def given(world: World) -> str:
    """Publish a record in region two and let alpha be given it; return its name."""
    subject = company("two")
    (name,) = await world.publish(world.two, subject)
    assert names(await world.ask(subject), world.two) == [name]
    return name


def repair(region: RegionGateway, name: str) -> None:
    """End the disclosure of a record's first revision as repaired."""
    DisclosureStore(region.installation.engines.records).end(
        name.removeprefix("records/"), 1, _REPAIRED, "decision", "site", int(time.time())
    )


def is_known_now(heard: Mapping[str, RegionHeard], region: RegionGateway) -> bool:
    return region.entity_id in heard and heard[region.entity_id].known


async def is_known(heard: Mapping[str, RegionHeard], region: RegionGateway) -> bool:
    return is_known_now(heard, region)


async def is_unknown(heard: Mapping[str, RegionHeard], region: RegionGateway) -> bool:
    return region.entity_id in heard and not heard[region.entity_id].known


async def answers(world: World) -> bool:
    answer = await world.ask(company())
    return all(each.whole for each in answer.regions.values()) and bool(answer.regions)


async def first_of(call: Any) -> WatchRegionRecordsResponse:
    return await asyncio.wait_for(anext(aiter(call)), 10)


def reason(error: grpc.aio.AioRpcError) -> str:
    return str(explain(error).reason)
