"""Regions as processes of their own, each reached by others only on ways that may fail.

"one" asks, for its operator alpha; "two", and "three" where there is one, are home of records.
Each has a clock of its own, and may be killed and started again at the same addresses.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from creditgate.transparency.note import VerifierKey
from gateway.oauth.connection import bound_socket
from gateway.server.process import Running
from gateway.storage.engines import reading
from gateway.transparency.identity import known_key
from gateway.transparency.tables import LogId
from tests.cli import forked_command
from tests.faults.way import Way, open_way
from tests.federating import DISTRICTS, Anchor, RegionGateway, made_anchor
from tests.federation.asking.world import map_items
from tests.forking import COMMAND, STEPPED, Forked, nursery
from tests.installation import Gateway, Installation, eventually, settings_line
from tests.stepping import SteppedClock

CHUNK: Final = 2
LEASE_SECONDS: Final = 5.0
MOST_BEHIND: Final = 300
_READY_SECONDS: Final = 30


@dataclass
class Region:
    """A region, running or not.

    Others reach its authorisation server by ``https`` and its methods by ``grpc``; its own
    clients reach its methods directly. ``database`` is how it reaches its store, "" directly.
    """

    name: str
    installation: Installation
    clock: SteppedClock
    clock_file: Path
    https: Way
    grpc: Way
    database: str = ""
    process: Forked | None = None

    @property
    def ways(self) -> tuple[Way, Way]:
        """All ways to it."""
        return self.https, self.grpc

    @property
    def issuer(self) -> str:
        """Its entity identifier."""
        return f"https://{self.https.address}"

    @property
    def gateway(self) -> Gateway:
        """Its gateway, as clients of its own reach it."""
        running = Running(self.grpc.backend, self.issuer, self.installation.home.ca)
        return Gateway(self.installation, running)

    @property
    def federated(self) -> RegionGateway:
        """It as a region that others admit and ask."""
        return RegionGateway(self.gateway)

    async def start(self) -> None:
        """Start it, and return once it answers."""
        ports = {
            "https_port": int(self.https.backend.rpartition(":")[2]),
            "grpc_port": int(self.grpc.backend.rpartition(":")[2]),
        }
        config = self.installation.config.model_copy(update=ports)
        told = json.loads(settings_line(config)) | {"clock": str(self.clock_file)}
        told["database"] = self.database or told["database"]
        self.process, line = await nursery().worker(json.dumps(told).encode() + b"\n", STEPPED)
        assert line, f"region {self.name} did not start; its log says why"
        self.installation.addressed(self.gateway.running)

    async def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Have it do nothing, as a host that hangs (SIGSTOP)."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on (SIGCONT)."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def log_key(self, log: LogId) -> VerifierKey:
        """Return the key of one of its logs, as whoever pins it would."""
        with reading(self.installation.engines.evidence) as connection:
            key = known_key(connection, log)
        assert key is not None
        return key


@dataclass
class AnchorProgram:
    """The anchor, as its command runs it; regions reach it by ``way``."""

    anchor: Anchor
    way: Way
    process: Forked | None = None

    async def start(self) -> None:
        """Start it, and return once it answers."""
        host, _, port = self.way.backend.rpartition(":")
        home = str(self.anchor.home.root)
        words = ("anchor", "serve", "--home", home, "--host", host, "--port", port)
        told = forked_command.told(words, os.environ)
        self.process, line = await nursery().worker(told, COMMAND)
        assert line

    async def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None


@dataclass
class Country:
    """The regions by name, and their anchor."""

    anchor: AnchorProgram
    regions: Mapping[str, Region] = field(default_factory=dict[str, Region])

    @property
    def asking(self) -> Region:
        """The region that asks."""
        return self.regions["one"]

    @property
    def homes(self) -> list[Region]:
        """The regions that are asked."""
        return [region for name, region in self.regions.items() if name != "one"]

    @property
    def two(self) -> Region:
        """The home region that every country has."""
        return self.regions["two"]

    def ways(self) -> dict[str, Way]:
        """Return every way between parts, by what it leads to."""
        led = {"anchor": self.anchor.way}
        for name, region in self.regions.items():
            led |= {f"{name}: https": region.https, f"{name}: grpc": region.grpc}
        return led


def _free() -> str:
    with bound_socket("127.0.0.1", 0) as held:
        return f"127.0.0.1:{held.getsockname()[1]}"


Store = tuple[str, Path]


@asynccontextmanager
async def open_country(
    folder: Path,
    *names: str,
    stores: Mapping[str, Store] | None = None,
    databases: Mapping[str, str] | None = None,
    furnish: Callable[[Installation], None] = Installation.furnish,
) -> AsyncGenerator[Country]:
    """Run an anchor and regions that know, admit and map one another, until all may be asked.

    ``stores`` gives regions stores of their own (database setting, home folder), ``databases``
    other ways to them for the regions alone; ``furnish`` puts in what the asking one needs.
    """
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(open_way(_free()))
        port = int(way.address.rpartition(":")[2])
        program = AnchorProgram(made_anchor(folder / "anchor", port), way)
        stack.push_async_callback(program.kill)
        await program.start()
        regions: dict[str, Region] = {}
        for name in names:
            store = (stores or {}).get(name, ("sqlite", folder / name))
            region = await _region(stack, name, store, program.anchor)
            region.database = (databases or {}).get(name, "")
            # Licences begin before the earliest that a clock may tell.
            region.clock.step_to(-MOST_BEHIND - 1)
            (furnish if name == "one" else Installation.furnish)(region.installation)
            region.clock.step_to(0)
            stack.push_async_callback(region.kill)
            await region.start()
            program.anchor.enrol(await _configuration(region), (DISTRICTS[name],))
            regions[name] = region
        for region in regions.values():
            region.clock.step_to(-MOST_BEHIND - 1)
            for name, peer in regions.items():
                if peer is not region:
                    region.federated.admit(peer.federated, f"region-{name}")
            region.clock.step_to(0)
        country = Country(program, regions)
        for home in country.homes:
            map_items(country.asking.federated, home.federated)
            map_items(home.federated, country.asking.federated)
        for region in regions.values():
            for peer in regions.values():
                if peer is not region:
                    await eventually(partial(peer.federated.may_ask, region.federated), 20)
        yield country


async def _configuration(region: Region) -> str:
    """Return the statement of a region, which a busy one that just began may not have yet."""
    for _ in range(_READY_SECONDS):
        try:
            return await region.federated.configuration()
        except httpx.HTTPStatusError:
            await asyncio.sleep(1)
    raise AssertionError(f"region {region.name} does not say what it is")


async def _region(stack: AsyncExitStack, name: str, store: Store, anchor: Anchor) -> Region:
    https = await stack.enter_async_context(open_way(_free()))
    grpc = await stack.enter_async_context(open_way(_free()))
    database, home = store
    home.mkdir(parents=True, exist_ok=True)
    clock_file = home.parent / f"{name}-clock"
    clock = SteppedClock.begun(clock_file)
    settings = {
        **anchor.settings(),
        "issuer": f"https://{https.address}",
        "grpc_url": f"https://{grpc.address}",
        "chunk_subjects": CHUNK,
        "witness_quorum": 1,
        "federation_lease_seconds": LEASE_SECONDS,
    }
    installation = Installation(database, home, clock=clock, settings=settings)
    stack.callback(installation.close)
    return Region(name, installation, clock, clock_file, https, grpc)
