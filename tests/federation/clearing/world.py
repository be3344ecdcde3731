"""Two regions that clear: "one" asks, for its operator alpha, and "two" is home of records."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1.clearing_service_pb2_grpc import ClearingServiceStub
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.rules import SETTLED_SECONDS
from sdk.federated import FederatedAnswer, ask_regions
from sdk.tokens import TokenRefused
from tests.federating import DISTRICTS, Anchor, RegionGateway, federation
from tests.federation.asking.world import company, map_items, placed, question
from tests.federation.channels import Channels
from tests.installation import ADMINISTRATOR, PRICE, PUBLIC_ITEM, PUBLISHER, eventually
from tests.server.calls import draft, publish
from tests.stores import PostgresStores, SqliteStores

FEE: Final = PRICE
"""What the home region charges for a record."""


@dataclass
class JumpingClock:
    """The time of this host, or what tests had no time to wait for, until it is that late."""

    reached: int = 0

    def now(self) -> int:
        """Give whole seconds since the epoch, UTC."""
        return max(self.reached, int(time.time()))


@dataclass
class World:
    """The regions, and what their people do; in the end its channels are closed."""

    clock: JumpingClock
    anchor: Anchor
    asking: RegionGateway
    home: RegionGateway
    channels: Channels = field(default_factory=Channels)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channels.close()

    @property
    def proposing(self) -> RegionGateway:
        """The region that proposes."""
        return min(self.asking, self.home, key=lambda each: each.entity_id)

    @property
    def other(self) -> RegionGateway:
        """The region that is asked to agree."""
        return max(self.asking, self.home, key=lambda each: each.entity_id)

    @property
    def uses(self) -> RegionUses:
        """What the asking region kept."""
        return RegionUses(self.asking.installation.engines.records)

    def peer(self, region: RegionGateway) -> RegionGateway:
        """Return the other of the two."""
        return self.home if region is self.asking else self.asking

    async def use(self, records: int = 1) -> str:
        """Let alpha be given records of the home region, and return whom they are about."""
        subject = company("two")
        drafts = [
            placed(draft(f"two-{subject}-{number}", subject, PUBLIC_ITEM), DISTRICTS["two"])
            for number in range(records)
        ]
        await publish(await self.channels.of(self.home.gateway, PUBLISHER), drafts)
        answer = await self.ask(subject)
        assert len(answer.regions[self.home.entity_id].records) == records
        return subject

    async def ask(self, *subjects: str, **more: Any) -> FederatedAnswer:
        """Ask the home region as alpha."""
        channel = await self.channels.of(self.asking.gateway)
        return await ask_regions(channel, question(subjects, **more))

    async def call(self, region: RegionGateway, method: str, request: Message) -> Any:
        """Call ClearingService of a region as its administrator."""
        channel = await self.channels.of(region.gateway, ADMINISTRATOR)
        return await getattr(ClearingServiceStub(channel), method)(request, timeout=60)

    async def run(self) -> pb.Clearing:
        """Clear all served by now, and return it as the proposing region has it."""
        until = self.settled()
        request = pb.RunClearingRequest(
            region=self.other.entity_id, until_time=Timestamp(seconds=until)
        )
        answer: pb.RunClearingResponse = await self.call(self.proposing, "RunClearing", request)
        await eventually(self._idle)
        return answer.clearing

    async def _idle(self) -> bool:
        """Tell whether the proposing region is done with what was wanted."""
        engine = self.proposing.installation.engines.evidence
        return not SqlAttempts(engine).wanted()

    async def clearings(self, region: RegionGateway) -> list[pb.Clearing]:
        """Return the clearings a region lists, newest first."""
        answer = await self.call(region, "ListClearings", pb.ListClearingsRequest())
        return list(answer.clearings)

    async def disputes(
        self, region: RegionGateway, *, closed: bool = False
    ) -> list[pb.ClearingDispute]:
        """Return the disputes a region lists."""
        request = pb.ListClearingDisputesRequest(show_closed=closed)
        answer = await self.call(region, "ListClearingDisputes", request)
        return list(answer.disputes)

    async def resolve(
        self, region: RegionGateway, dispute: pb.ClearingDispute, stands: pb.ClearingStand.ValueType
    ) -> pb.ClearingDispute:
        """Resolve a dispute in one region, by the version that it shows now."""
        (shown,) = [
            each for each in await self.disputes(region) if each.dispute_id == dispute.dispute_id
        ]
        home = stands == pb.ClearingStand.CLEARING_STAND_HOME
        request = pb.ResolveClearingDisputeRequest(
            dispute_id=dispute.dispute_id,
            stands=stands,
            version=shown.home_version if home else shown.asking_version,
            note="looked at the receipt",
        )
        answer = await self.call(region, "ResolveClearingDispute", request)
        return answer.dispute

    async def signed(self, region: RegionGateway, clearing: pb.Clearing) -> pb.GetClearingResponse:
        """Return a clearing as a region has it."""
        request = pb.GetClearingRequest(
            region=self.peer(region).entity_id, until_time=clearing.until_time
        )
        return await self.call(region, "GetClearing", request)

    def settled(self) -> int:
        """Return an instant that is just over, and which all served before lies before."""
        until = self.clock.now() + 1
        self.clock.reached = until + SETTLED_SECONDS
        return until


@asynccontextmanager
async def open_world(
    folder: Path, stores: SqliteStores | PostgresStores, **settings: Any
) -> AsyncGenerator[World]:
    """Run an anchor and the two regions on stores of their own, until the home region answers."""
    with stores.database() as one, stores.database() as two:
        own = {"one": one, "two": two}
        clock = JumpingClock()
        async with federation(folder, "one", "two", stores=own, clock=clock, **settings) as made:
            anchor, regions = made
            async with World(clock, anchor, regions["one"], regions["two"]) as world:
                map_items(world.asking, world.home)
                map_items(world.home, world.asking)
                await eventually(partial(_answered, world), 20)
                yield world


async def _answered(world: World) -> bool:
    try:
        answer = await world.ask(company())
    except (grpc.aio.AioRpcError, TokenRefused):
        return False
    return all(each.whole for each in answer.regions.values())
