"""The pulse of who works in the background."""

import asyncio
from threading import Event

import pytest

from gateway.server import pulse
from gateway.server.line import line_within
from gateway.server.pulse import PULSE, at_work, beat, felt_pulse
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.turn import ALERTS
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
