"""Faults of any part and any way, each begun and mended after a while; what was tried is counted."""

import asyncio
import random
import resource
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import psutil

from tests.faults.packets import HERE, THERE, NoLink, open_link
from tests.faults.regions import MOST_BEHIND, Country, Region
from tests.faults.way import Way, open_way
from tests.own_server import OwnServer

_LARGEST_FILE: Final = 65_536
_CUT_EVERY_SECONDS: Final = 0.2
Fault = AbstractAsyncContextManager[str]


@dataclass
class Breaker:
    """Breaks a country, and the way to the PostgreSQL of region "two", by chance."""

    country: Country
    database: OwnServer
    database_way: Way
    chance: random.Random
    tried: Counter[str] = field(default_factory=Counter[str])

    @property
    def kinds(self) -> tuple[Callable[[], Fault], ...]:
        """Every kind of fault."""
        return (
            *(self.way_slow, self.way_narrow, self.way_silent, self.way_deaf, self.way_cut),
            *(self.way_parted, self.packets_lost, self.killed, self.hanging, self.anchor_killed),
            *(self.database_killed, self.no_room, self.clock_off),
        )

    async def break_for(self, seconds: float, faults: int) -> None:
        """Let some faults of different kinds, each with its own beginning, be for a while."""
        async with AsyncExitStack() as stack:
            for kind in self.chance.sample(self.kinds, faults):
                what = await stack.enter_async_context(kind())
                self.tried[what] += 1
                await asyncio.sleep(self.chance.uniform(0, seconds / faults))

    def _way(self) -> Way:
        return self.chance.choice([*self.country.ways().values(), self.database_way])

    def _home(self) -> Region:
        return self.chance.choice(self.country.homes)

    @asynccontextmanager
    async def way_slow(self) -> AsyncGenerator[str]:
        """Every byte takes long."""
        way = self._way()
        way.delay = self.chance.uniform(0.01, 0.4)
        yield "a slow way"
        way.heal()

    @asynccontextmanager
    async def way_narrow(self) -> AsyncGenerator[str]:
        """Few bytes pass."""
        way = self._way()
        way.rate = self.chance.randrange(20_000, 200_000)
        yield "a narrow way"
        way.heal()

    @asynccontextmanager
    async def way_silent(self) -> AsyncGenerator[str]:
        """Nothing passes, and nobody is told; what was held comes late, or is lost in the end."""
        way = self._way()
        way.fall_silent()
        yield "a half-open way"
        if self.chance.random() < 0.5:
            way.cut()
        way.heal()

    @asynccontextmanager
    async def way_deaf(self) -> AsyncGenerator[str]:
        """Questions arrive, answers do not."""
        way = self._way()
        way.back.clear()
        yield "a way on which answers stay out"
        if self.chance.random() < 0.5:
            way.cut()
        way.heal()

    @asynccontextmanager
    async def way_cut(self) -> AsyncGenerator[str]:
        """Connections are reset again and again."""
        way = self._way()

        async def cut() -> None:
            while True:
                way.cut()
                await asyncio.sleep(self.chance.uniform(0, 2 * _CUT_EVERY_SECONDS))

        cutting = asyncio.create_task(cut())
        yield "connections reset"
        cutting.cancel()

    @asynccontextmanager
    async def way_parted(self) -> AsyncGenerator[str]:
        """No connection can be had."""
        way = self._way()
        way.part()
        yield "connections refused"
        way.heal()

    @asynccontextmanager
    async def packets_lost(self) -> AsyncGenerator[str]:
        """Real packets are lost, doubled, and overtake one another."""
        way = self._home().grpc
        home = way.backend
        try:
            with open_link(self.chance) as link:
                async with open_way(home, HERE) as there:
                    link.loss, link.doubled, link.longest = 0.05, 0.1, 0.03
                    way.backend = f"{THERE}:{there.address.rpartition(':')[2]}"
                    way.cut()
                    yield "packets lost, doubled, reordered"
                    way.backend = home
                    way.cut()
        except NoLink as error:
            yield f"no packets lost: {error}"

    @asynccontextmanager
    async def killed(self) -> AsyncGenerator[str]:
        """A region is killed, and started again."""
        region = self.chance.choice(list(self.country.regions.values()))
        await region.kill()
        yield f"region {region.name} killed"
        # It does not start without its store.
        self.database_way.heal()
        await region.start()

    @asynccontextmanager
    async def hanging(self) -> AsyncGenerator[str]:
        """A home region does nothing for a moment."""
        region = self._home()
        if region.process is None:
            yield "nothing: it was killed before"
            return
        region.stop()
        await asyncio.sleep(self.chance.uniform(0.2, 1.5))
        region.go_on()
        yield f"region {region.name} stopped"

    @asynccontextmanager
    async def anchor_killed(self) -> AsyncGenerator[str]:
        """The anchor is killed, and started again."""
        await self.country.anchor.kill()
        yield "the anchor killed"
        await self.country.anchor.start()

    @asynccontextmanager
    async def database_killed(self) -> AsyncGenerator[str]:
        """PostgreSQL is killed, and started again."""
        await asyncio.to_thread(self.database.kill)
        try:
            yield "PostgreSQL killed"
        finally:
            await asyncio.to_thread(self.database.start)

    @asynccontextmanager
    async def no_room(self) -> AsyncGenerator[str]:
        """No file of a region that keeps files may grow."""
        region = self.chance.choice([self.country.asking, self.country.regions["three"]])
        if region.process is None:
            yield "nothing: it was killed before"
            return
        process = psutil.Process(region.process.pid)
        before = process.rlimit(resource.RLIMIT_FSIZE)
        process.rlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, before[1]))
        yield f"region {region.name} without room"
        if process.is_running():
            process.rlimit(resource.RLIMIT_FSIZE, before)

    @asynccontextmanager
    async def clock_off(self) -> AsyncGenerator[str]:
        """A home region's clock is up to five minutes off."""
        region = self._home()
        # What is logged by a clock ahead cannot be proved before time has caught up: seldom far.
        region.clock.step_to(self.chance.choice((-MOST_BEHIND, -60, -60, 10, 20, 20)))
        yield f"region {region.name} at another time"
        region.clock.step_to(0)
