"""Whichever part is killed, hangs, or tells another time, what the gateways promise holds.

After each test all parts run again, and the model judges all that was done until then.
"""

import asyncio
import time
from functools import partial
from typing import Final

import pytest
from sqlalchemy import select

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.disclose.store import DisclosureStore
from gateway.storage.engines import reading
from gateway.transparency.map_tables import MAP_HEAD
from tests.faults.model import Answer, Record, Span
from tests.faults.regions import LEASE_SECONDS, MOST_BEHIND, Country, Region
from tests.faults.watching import Watcher
from tests.federation.asking.world import company
from tests.installation import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
_QUESTIONS = 6
_WITHDRAWN: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN


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


@pytest.mark.soak
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


@pytest.mark.soak
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


def withdraw_at_once(region: Region, record: Record) -> None:
    """Withdraw a record in the region's store, as a process of it would whoever may call it."""
    record.ended = Span(time.monotonic(), float("inf"))
    DisclosureStore(region.installation.engines.records).end(
        record.record_id, 1, _WITHDRAWN, "in error", "site", region.clock.now()
    )
    record.ended = record.ended._replace(ended=time.monotonic())


async def is_logged(region: Region) -> bool:
    """Tell whether the map of a region reflects all that was disclosed there."""
    engines = region.installation.engines
    head = DisclosureStore(engines.records).head()
    with reading(engines.evidence) as connection:
        return connection.scalar(select(MAP_HEAD.c.event_sequence)) == head


async def at_another_time(watcher: Watcher, ahead: int) -> list[Answer]:
    """Ask while the home region's clock is ahead, and return what was told."""
    two, subject = watcher.country.two, company("two")
    await watcher.publish(two, subject)
    other = await watcher.publish(two, company("two"))
    two.clock.step_to(ahead)
    try:
        # What is withdrawn by that clock is logged by it.
        withdraw_at_once(two, other)
        await eventually(partial(is_logged, two), 20)
        told = [await watcher.ask([subject]) for _ in range(3)]
    finally:
        two.clock.step_to(0)
    for answer in told:
        # Tokens and assertions of now may be over there, or not begun.
        assert answer.ends[two.issuer] in {"ANSWERED", "REFUSED", "UNREACHABLE"}
    return told


async def test_a_region_whose_clock_was_behind_answers_once_it_is_right(
    watcher: Watcher, country: Country
) -> None:
    for answer in await at_another_time(watcher, -MOST_BEHIND):
        await answered_at_last(watcher, country.two, answer)


async def tells_when(watcher: Watcher, answer: Answer, issuer: str) -> bool:
    """Ask by the same id, and tell whether the region refused it until its proofs are of the past."""
    again = await watcher.ask(answer.subjects, request_id=answer.request_id)
    # An answer is given again as it was proved; what was not is not made up. Tokens of then are got anew.
    assert again.ends == {issuer: "REFUSED"}
    return MOST_BEHIND - 60 < again.waits[issuer] <= MOST_BEHIND


async def test_a_region_that_logged_by_a_clock_ahead_tells_when_it_can_prove_again(
    watcher: Watcher, country: Country
) -> None:
    issuer = country.two.issuer
    for answer in await at_another_time(watcher, MOST_BEHIND):
        await eventually(partial(tells_when, watcher, answer, issuer), 20)
