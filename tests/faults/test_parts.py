"""Whichever part is killed, hangs, or tells another time, what the gateways promise holds.

After each test all parts run again, and the model judges all that was done until then.
"""

import asyncio

import pytest

from tests.faults.model import Answer
from tests.faults.regions import LEASE_SECONDS, MOST_BEHIND, Country, Region
from tests.faults.watching import Watcher
from tests.federation.asking.world import company
from tests.installation import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
_QUESTIONS = 6


async def answered_at_last(watcher: Watcher, home: Region, answer: Answer) -> None:
    """Ask by the same id until the region has answered."""

    async def answered() -> bool:
        again = await watcher.ask(answer.subjects, request_id=answer.request_id)
        return again.ends == {home.issuer: "ANSWERED"}

    await eventually(answered, 20)


async def killed_under_calls(watcher: Watcher, region: Region) -> list[Answer]:
    """Kill a region while it is asked, start it again, and return what was told meanwhile."""
    two = watcher.country.two
    subjects = [company("two") for _ in range(5)]
    for subject in subjects:
        await watcher.publish(two, subject)
    asked = [
        asyncio.create_task(watcher.ask(subjects, seconds=3, by_second=number % 2 == 1))
        for number in range(_QUESTIONS)
    ]
    await asyncio.sleep(0.15)
    await region.kill()
    told = await asyncio.gather(*asked)
    await region.start()
    for answer in told:
        await answered_at_last(watcher, two, answer)
    return told


async def test_a_home_region_that_is_killed_is_named_and_each_answer_is_metered_once(
    watcher: Watcher, country: Country
) -> None:
    told = await killed_under_calls(watcher, country.two)
    assert all(answer.ends for answer in told)


async def test_an_asking_region_that_is_killed_keeps_all_it_passed_on_and_nothing_twice(
    watcher: Watcher, country: Country
) -> None:
    await killed_under_calls(watcher, country.asking)


async def test_a_home_region_that_hangs_is_late_and_its_late_answers_cost_nothing_more(
    watcher: Watcher, country: Country
) -> None:
    two, subject = country.two, company("two")
    await watcher.publish(two, subject)
    two.stop()
    answer = await watcher.ask([subject], seconds=1)
    assert answer.ends == {two.issuer: "LATE"}
    two.go_on()
    await answered_at_last(watcher, two, answer)


async def test_an_anchor_that_is_killed_is_missed_once_the_lease_is_over(
    watcher: Watcher, country: Country
) -> None:
    two, subject = country.two, company("two")
    await watcher.publish(two, subject)
    await country.anchor.kill()
    await asyncio.sleep(LEASE_SECONDS + 1)
    missed = await watcher.ask([subject])
    assert missed.refused == "FEDERATION_UNKNOWN"
    await country.anchor.start()
    await answered_at_last(watcher, two, missed)


@pytest.mark.parametrize("ahead", [MOST_BEHIND, -MOST_BEHIND])
async def test_a_region_whose_clock_is_five_minutes_off_answers_or_is_named(
    watcher: Watcher, country: Country, ahead: int
) -> None:
    two, subject = country.two, company("two")
    await watcher.publish(two, subject)
    two.clock.step_to(ahead)
    try:
        told = [await watcher.ask([subject]) for _ in range(3)]
    finally:
        two.clock.step_to(0)
    for answer in told:
        # Tokens and assertions of now may be over there, or not begun.
        assert answer.ends[two.issuer] in {"ANSWERED", "REFUSED", "UNREACHABLE"}
        await answered_at_last(watcher, two, answer)
    print(f"{ahead} s: {[answer.ends[two.issuer] for answer in told]}")
