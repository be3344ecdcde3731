"""One question to three regions, against the same question to the slowest of them alone.

Five processes' worth of gateways share the machine's cores here, which three provinces do not;
so what is compared is with the way between provinces, 20 ms either way, and told beside it what
it is without. Rounds of both take turns.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from statistics import median
from time import perf_counter
from typing import Final

import grpc

from benchmarks.delay import long_way
from benchmarks.parts.stage import Stage
from benchmarks.results import Measure
from benchmarks.rounds import Spread
from creditgate.v1.federated_record_service_pb2 import QueryRegionsRequest
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.demo.cast import PENALTY
from gateway.demo.federation_cast import ASKER, NORTH, SOUTH, WANDERER, WEST, InventedRegion
from gateway.demo.federation_land import Way, land, until
from gateway.demo.seed import acting_as
from sdk.federated import FederatedAnswer, ask_regions
from sdk.request_ids import new_request_id

EAST: Final = InventedRegion("east", "000004")
_HOMES: Final = (SOUTH, WEST, EAST)
_WAY_SECONDS: Final = 0.02
_A_SECOND: Final = 10
"""Questions of each kind for each second of a turn."""


def measure(stage: Stage) -> list[Measure]:
    """Return what a fan-out costs."""
    near = asyncio.run(_measured(stage, 0.0))
    far = asyncio.run(_measured(stage, _WAY_SECONDS))
    return [
        Measure("fanout.three_regions_over_slowest", Spread.of(far.ratios), at_most=1.3),
        Measure("fanout.three_regions_latency", Spread.of(far.all_us), "µs"),
        Measure("fanout.slowest_region_latency", Spread.of(far.slowest_us), "µs"),
        Measure("fanout.three_regions_over_slowest_without_distance", Spread.of(near.ratios)),
    ]


class _Seen:
    """Medians of each turn: of all three, and of the slowest alone."""

    def __init__(self) -> None:
        self.all_us: list[float] = []
        self.slowest_us: list[float] = []

    @property
    def ratios(self) -> list[float]:
        return [both / slowest for both, slowest in zip(self.all_us, self.slowest_us, strict=True)]


async def _measured(stage: Stage, seconds: float) -> _Seen:
    @asynccontextmanager
    async def reached(region: InventedRegion) -> AsyncGenerator[Way]:
        async with long_way(seconds) as way:

            def told(address: str) -> None:
                way.backend = address

            yield Way(way.address, told) if seconds and region is not NORTH else Way()

    seen = _Seen()
    folder = stage.folder / "fanout"
    shutil.rmtree(folder, ignore_errors=True)
    async with (
        land(folder / str(seconds), (NORTH, *_HOMES), reached) as made,
        acting_as(made.of(NORTH).home, ASKER.client_id) as gateway,
    ):
        every = [made.of(each).entity_id for each in _HOMES]

        async def answered() -> bool:
            return len(_whole(await _ask(gateway.channel, every))) == len(every)

        await until(answered)
        rounds = max(5, round(stage.pace.seconds * _A_SECOND))
        for _ in range(stage.pace.turns):
            await _turn(gateway.channel, every, rounds, seen)
    return seen


async def _turn(channel: grpc.aio.Channel, every: Sequence[str], rounds: int, seen: _Seen) -> None:
    took: dict[str, list[float]] = {region: [] for region in ("", *every)}
    for _ in range(rounds):
        for region, times in took.items():
            started = perf_counter()
            answer = await _ask(channel, [region] if region else every)
            times.append((perf_counter() - started) * 1e6)
            assert len(_whole(answer)) == (1 if region else len(every)), "a region failed"
    seen.all_us.append(median(took.pop("")))
    seen.slowest_us.append(max(median(times) for times in took.values()))


async def _ask(channel: grpc.aio.Channel, regions: Sequence[str]) -> FederatedAnswer:
    request = QueryRegionsRequest(
        subjects=[WANDERER],
        items=[PENALTY],
        purpose=Purpose.PURPOSE_SUPPLIER_CHECK,
        request_id=new_request_id(),
        regions=regions,
        every_region=True,
    )
    return await ask_regions(channel, request)


def _whole(answer: FederatedAnswer) -> list[str]:
    return [region for region, each in answer.regions.items() if each.whole]
