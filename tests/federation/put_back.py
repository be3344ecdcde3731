"""Two regions of which one loses all, and is put back from a copy."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import grpc
from joserfc.jwk import ECKey

from creditgate.v1 import brake_service_pb2 as brake_pb
from creditgate.v1.brake_service_pb2_grpc import BrakeServiceStub
from creditgate.v1.federated_record_service_pb2 import WatchRegionRecordsRequest
from creditgate.v1.federated_record_service_pb2_grpc import FederatedRecordServiceStub
from gateway.backup.restoring import restore
from gateway.backup.taking import take
from gateway.clock import Clock, SystemClock
from gateway.demo.ports import free_port
from gateway.installation.home import Home
from sdk.tokens import TokenRefused
from tests.cli.commands import creditgate_here
from tests.federating import DISTRICTS, Anchor, RegionGateway, running_anchor_at, running_region
from tests.federation.asking.lost import withdraw
from tests.federation.asking.world import World, company, ended, map_items, names
from tests.installation import ADMINISTRATOR, Installation, eventually

NAMES: Final = ("one", "two")
_KEY: Final = ECKey.generate_key("P-256")


class Regions:
    """Region "one" asks "two"; each is at places of its own, whatever store it has."""

    def __init__(self, folder: Path, anchor: Anchor, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._anchor = anchor
        self._ports = {
            name: {"https_port": free_port(), "grpc_port": free_port()} for name in NAMES
        }
        self._running: dict[str, AsyncExitStack] = {}
        self._regions: dict[str, RegionGateway] = {}

    @property
    def anchor(self) -> Anchor:
        """The anchor above both."""
        return self._anchor

    @property
    def world(self) -> World:
        """The regions as they are now."""
        return World(self._anchor, self._regions)

    def __getitem__(self, name: str) -> RegionGateway:
        return self._regions[name]

    async def begin(self) -> None:
        """Start both, until one is answered."""
        for name in NAMES:
            installation = self._installation(name)
            installation.furnish()
            running = running_region(
                installation, self._anchor, (DISTRICTS[name],), **self._ports[name]
            )
            self._running[name] = AsyncExitStack()
            self._running[name].callback(installation.close)
            self._regions[name] = await self._running[name].enter_async_context(running)
        one, two = self._regions.values()
        for here, there, other in ((one, two, "two"), (two, one, "one")):
            here.admit(there, f"region-{other}")
            map_items(here, there)
        await eventually(partial(self.given, company("two"), 0), 30)

    def _installation(self, name: str) -> Installation:
        settings = self._anchor.settings()
        return Installation("sqlite", self._folder / name, clock=self._clock, settings=settings)

    async def given(self, subject: str, records: int = 1) -> bool:
        """Tell whether one is given so many records about a subject."""
        with suppress(grpc.aio.AioRpcError, TokenRefused):
            async with self.world as world:
                answer = await world.ask(subject)
            two = self._regions["two"]
            if two.entity_id in answer.regions and ended(answer, two) in ("ANSWERED", "EMPTY"):
                return len(names(answer, two)) == records
        return False

    async def hold(self) -> str:
        """Publish a record in two and have one's firm be given it; return its name."""
        subject = company("two")
        async with self.world as world:
            (record,) = await world.publish(world.two, subject)
        await eventually(partial(self.given, subject), 30)
        return record

    async def withdrawn(self, *records: str) -> None:
        """Withdraw records in two."""
        async with self.world as world:
            for record in records:
                await withdraw(world, record)

    async def told(self, after: int, *records: str) -> list[tuple[int, str]]:
        """Return what the firm is told behind a number until it was told of some records: numbers
        and records."""
        found: list[tuple[int, str]] = []
        async with self._regions["one"].gateway.channel() as channel:
            call = FederatedRecordServiceStub(channel).WatchRegionRecords(
                WatchRegionRecordsRequest(after_number=after), timeout=30
            )
            async for response in call:
                if response.HasField("event"):
                    found.append((response.event.number, response.event.record))
                    if {record for _, record in found} >= set(records):
                        break
            call.cancel()
        return found

    async def copy(self, name: str) -> None:
        """Copy a region while it runs."""
        home = self._regions[name].installation.home
        copy = self._folder / "copy"
        await asyncio.to_thread(take, home, copy, self._clock, stores=True, recipient=_KEY)

    async def put_back(self, name: str) -> None:
        """Have a region lose all, and begin anew from its copy as docs/operations.md tells."""
        await self._running[name].aclose()
        self._regions[name].installation.folder.rename(self._folder / "lost")
        await asyncio.to_thread(self._restore, self._folder / name)
        installation = self._installation(name)
        stack = self._running[name] = AsyncExitStack()
        stack.callback(installation.close)
        running = installation.running(**self._ports[name])
        self._regions[name] = RegionGateway(await stack.enter_async_context(running))
        async with self._regions[name].gateway.channel(ADMINISTRATOR) as channel:
            brakes = BrakeServiceStub(channel)
            (engaged,) = (await brakes.ListBrakes(brake_pb.ListBrakesRequest())).brakes
            await brakes.ReleaseBrake(
                brake_pb.ReleaseBrakeRequest(brake_id=engaged.brake_id, reason="done again")
            )

    def _restore(self, folder: Path) -> None:
        copy = self._folder / "copy"
        restore(Home.at(folder), copy, self._clock, stores=True, key=_KEY)
        for log in ("disclosure", "decisions", "usage"):
            done = creditgate_here(folder, "log", "begin", "--log", log)
            assert done.status == 0, done.told

    async def end(self) -> None:
        """Stop both."""
        for stack in self._running.values():
            await stack.aclose()


@asynccontextmanager
async def running(folder: Path, clock: Clock | None = None) -> AsyncGenerator[Regions]:
    """Run both regions, by the host's clock or another."""
    clock = clock or SystemClock()
    async with running_anchor_at(folder / "anchor", clock) as anchor:
        regions = Regions(folder, anchor, clock)
        try:
            await regions.begin()
            yield regions
        finally:
            await regions.end()
