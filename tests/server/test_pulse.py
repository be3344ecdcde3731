"""The pulse of who works in the background."""

import asyncio
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from gateway.federation.asking.region_events import SqlRegionEvents
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.server import clearing, pulse
from gateway.server.health import KEEPER
from gateway.server.line import line_within
from gateway.server.pulse import PULSE, at_work, beat, felt_pulse
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.turn import ALERTS
from tests.federating import DISTRICTS, running_anchor_at, running_region
from tests.installation import Installation, eventually


async def test_a_step_that_hangs_stops_the_pulse_until_it_ends(
    embedded: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pulse, "_BEAT_SECONDS", 0.02)
    waiting, working = line_within()
    beats: list[None] = []
    waiting.listen(PULSE, lambda: beats.append(None))
    at_it, go_on = Event(), Event()

    def step() -> None:
        at_it.set()
        assert go_on.wait(20)

    work = BackgroundWork(embedded.engines.evidence, ALERTS, step, pace=Pace(0.01))
    async with at_work(beat(working, [work], stuck_seconds=0.3)):
        await asyncio.sleep(0.1)
        assert len(beats) > 1
        await work.start()
        assert await asyncio.to_thread(at_it.wait, 5)
        await asyncio.sleep(0.5)
        beats.clear()
        await asyncio.sleep(0.2)
        assert beats == []
        go_on.set()

        async def beats_again() -> bool:
            return len(beats) > 1

        await eventually(beats_again)
    await work.stop()
    assert [each.getMessage() for each in caplog.records] == [
        "alerts has been at one step for 0.3 s"
    ]


async def test_a_pulse_is_lost_after_the_stated_seconds_and_back_with_the_next_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "_BEAT_SECONDS", 0.02)
    waiting, working = line_within()
    async with felt_pulse(waiting) as felt:
        for _ in range(30):
            await asyncio.sleep(0.02)
            working.tell(PULSE)
        assert not felt.is_lost
        await asyncio.wait_for(felt.lost_anew(), 5)
        assert felt.is_lost
        assert felt.counts.losses == 1
        working.tell(PULSE)
        assert not felt.is_lost
        assert felt.counts.silent_seconds == 0


async def test_work_between_regions_that_hangs_is_seen_by_the_keepers_pulse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pulse, "LOST_SECONDS", 1)
    monkeypatch.setattr(pulse.beat, "__defaults__", (1.0,))
    monkeypatch.setattr(clearing, "_STEP_SECONDS", 0.0)
    go_on = Event()

    def hang(*_: object) -> None:
        assert go_on.wait(30)

    # A store that answers no more, as far as these works ask it.
    monkeypatch.setattr(SqlAttempts, "wanted", hang)
    monkeypatch.setattr(SqlRegionEvents, "tell_late", hang)
    async with running_anchor_at(tmp_path / "anchor") as anchor:
        installation = Installation("sqlite", tmp_path / "one", settings=anchor.settings())
        installation.furnish()
        async with (
            running_region(installation, anchor, (DISTRICTS["one"],)) as region,
            region.gateway.channel() as channel,
        ):
            health: Any = HealthStub(channel)

            async def is_lost() -> bool:
                answer = await health.Check(health_pb2.HealthCheckRequest(service=KEEPER))
                return answer.status == health_pb2.HealthCheckResponse.NOT_SERVING

            async def both_told() -> bool:
                # On a busy machine others may be slow too.
                return {each.getMessage() for each in caplog.records} >= {
                    "clearing has been at one step for 1 s",
                    "region-events has been at one step for 1 s",
                }

            async def is_back() -> bool:
                return not await is_lost()

            await eventually(both_told, 15)
            await eventually(is_lost, 15)
            go_on.set()
            await eventually(is_back, 15)
        installation.close()
