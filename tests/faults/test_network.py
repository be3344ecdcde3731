"""Whatever a network does between regions, what the gateways promise holds (G1 to G12).

After each test the network is made whole, and the model judges all that was done until then.
"""

import asyncio
import random
import time

import pytest

from tests.faults.ledgers import broken_promises
from tests.faults.packets import HERE, THERE, NoLink, open_link
from tests.faults.regions import LEASE_SECONDS, Country
from tests.faults.watching import Watcher
from tests.faults.way import open_way
from tests.federation.asking.world import company
from tests.installation import CONSENT_ITEM, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.soak
async def test_a_slow_way_makes_answers_late_and_loses_none(
    watcher: Watcher, country: Country
) -> None:
    two, subject = country.two, company("two")
    await watcher.publish(two, subject)
    two.grpc.delay = 0.5
    late = await watcher.ask([subject], seconds=0.4)
    assert late.ends == {two.issuer: "LATE"}
    two.grpc.delay = 0.1
    again = await watcher.ask([subject], request_id=late.request_id, seconds=8)
    assert again.ends == {two.issuer: "ANSWERED"}


async def test_a_way_that_fell_silent_holds_nobody_up_and_a_late_answer_costs_nothing_more(
    watcher: Watcher, country: Country
) -> None:
    two, subject = country.two, company("two")
    await watcher.publish(two, subject)
    # Questions arrive, and are metered there; answers do not.
    two.grpc.back.clear()
    began = time.monotonic()
    late = await watcher.ask([subject], seconds=1)
    assert late.ends == {two.issuer: "LATE"}
    assert time.monotonic() - began < 3
    retried = asyncio.create_task(
        watcher.ask([subject], request_id=late.request_id, seconds=6, by_second=True)
    )
    await asyncio.sleep(0.5)
    two.grpc.heal()
    assert (await retried).ends == {two.issuer: "ANSWERED"}


async def test_an_answer_that_is_cut_again_and_again_is_whole_and_charged_once(
    watcher: Watcher, country: Country
) -> None:
    two, subjects = country.two, [company("two") for _ in range(16)]
    for subject in subjects:
        await watcher.publish(two, subject)
    two.grpc.rate = 60_000
    asked = asyncio.create_task(watcher.ask(subjects, seconds=20))
    cuts = 0
    for _ in range(3):
        before = two.grpc.passed_back

        async def passed(before: int = before) -> bool:
            # A chunk or two.
            return asked.done() or two.grpc.passed_back >= before + 9_000

        await eventually(passed, 15)
        cuts += not asked.done()
        two.grpc.cut()
    assert cuts
    two.grpc.heal()
    last = (await asked).request_id

    async def answered() -> bool:
        return (await watcher.ask(subjects, request_id=last)).ends == {two.issuer: "ANSWERED"}

    await eventually(answered, 15)


async def test_the_same_question_many_times_at_once_is_charged_once(
    watcher: Watcher, country: Country
) -> None:
    two, subject = country.two, company("two")
    await watcher.publish(two, subject)
    two.grpc.delay = 0.05
    first = "same-question"
    calls = [
        watcher.ask([subject], request_id=first, seconds=8, by_second=number % 2 == 1)
        for number in range(6)
    ]
    answers = await asyncio.gather(*calls)
    assert {answer.ends.get(two.issuer) for answer in answers} == {"ANSWERED"}


async def test_a_home_region_that_is_cut_off_is_named_and_asked_again_once_it_is_back(
    watcher: Watcher, country: Country
) -> None:
    two, subject = country.two, company("two")
    await watcher.publish(two, subject)
    for way in two.ways:
        way.part()
    answer = await watcher.ask([subject], seconds=2)
    assert answer.ends[two.issuer] in {"UNREACHABLE", "LATE"}
    for way in two.ways:
        way.heal()

    async def answered() -> bool:
        again = await watcher.ask([subject], request_id=answer.request_id)
        return again.ends == {two.issuer: "ANSWERED"}

    await eventually(answered, 20)


async def test_without_the_anchor_nothing_crosses_regions_once_the_lease_is_over(
    watcher: Watcher, country: Country
) -> None:
    two, subject = country.two, company("two")
    await watcher.publish(two, subject)
    country.anchor.way.fall_silent()
    await asyncio.sleep(LEASE_SECONDS + 1)
    answer = await watcher.ask([subject])
    assert (answer.refused, answer.ends) == ("FEDERATION_UNKNOWN", {})
    country.anchor.way.heal()

    async def answered() -> bool:
        return (await watcher.ask([subject])).ends == {two.issuer: "ANSWERED"}

    await eventually(answered, 15)


async def test_a_consent_opens_nothing_where_it_cannot_be_heard_that_it_stands(
    watcher: Watcher, country: Country
) -> None:
    one, two, subject = country.asking, country.two, company("two")
    await watcher.publish(two, subject, CONSENT_ITEM)
    consent = await watcher.consented(subject)

    async def ended() -> str:
        answer = await watcher.ask([subject], CONSENT_ITEM, consent.name, seconds=1.5)
        return answer.ends.get(two.issuer, answer.refused)

    async def answered() -> bool:
        return await ended() == "ANSWERED"

    await eventually(answered, 15)
    # The home region follows consents at the one that granted them.
    one.grpc.fall_silent()
    await asyncio.sleep(LEASE_SECONDS + 1)
    assert await ended() in {"REFUSED", "LATE"}
    one.grpc.heal()
    await eventually(answered, 15)
    await watcher.revoke(consent)
    await asyncio.sleep(1)
    assert await ended() == "CONSENT_REVOKED"


async def test_without_its_witness_a_region_is_named_and_believed_once_the_witness_is_back(
    watcher: Watcher, country: Country
) -> None:
    one, two, subject = country.asking, country.two, company("two")
    one.https.part()
    await watcher.publish(two, subject)
    answer = await watcher.ask([subject], seconds=1.5)
    assert answer.ends[two.issuer] in {"ANSWERED", "UNVERIFIED", "REFUSED", "LATE"}
    one.https.heal()

    async def answered() -> bool:
        again = await watcher.ask([subject], request_id=answer.request_id)
        return again.ends == {two.issuer: "ANSWERED"}

    await eventually(answered, 20)


@pytest.mark.soak
async def test_packets_lost_doubled_and_out_of_order_change_no_answer(
    watcher: Watcher, country: Country
) -> None:
    two, subjects = country.two, [company("two") for _ in range(6)]
    for subject in subjects:
        await watcher.publish(two, subject)
    home = two.grpc.backend
    try:
        with open_link(random.Random(20261128)) as link:
            async with open_way(home, HERE) as there:
                port = there.address.rpartition(":")[2]
                link.loss, link.doubled, link.longest = 0.03, 0.1, 0.02
                two.grpc.backend = f"{THERE}:{port}"
                two.grpc.cut()
                for _ in range(3):
                    answer = await watcher.ask(subjects, seconds=20)
                    assert answer.ends == {two.issuer: "ANSWERED"}
                assert link.lost > 0
                two.grpc.backend = home
                two.grpc.cut()
    except NoLink as error:
        pytest.skip(f"real packets were not lost, proxies alone were tried: {error}")
    finally:
        two.grpc.backend = home
    assert broken_promises(watcher) == []
