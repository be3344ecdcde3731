"""A consent granted here opens records of other regions within its regions, and no longer."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from sdk.refusals import explain
from sdk.tokens import TokenRefused
from tests.consents.counter import OTHER_CLIENT, Counter, furnish, open_counter
from tests.federation.asking.world import (
    World,
    company,
    ended,
    names,
    not_asked,
    open_world,
)
from tests.installation import CONSENT_ITEM, Gateway, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(Path(tmp_path_factory.mktemp("consents"))) as opened:
        furnish(opened.one.installation)
        await eventually(partial(_enrolled, opened.one.gateway), 10)
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(world: World) -> AsyncIterator[Counter]:
    async with open_counter(world.one.gateway) as opened:
        yield opened


async def test_a_consent_opens_records_of_every_region_it_holds_in(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    kept = await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    assert names(answer, world.two) == kept
    assert ended(answer, world.three) == "EMPTY"


async def test_a_region_outside_the_consent_is_not_asked(world: World, counter: Counter) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject, counter.terms(regions=["000003"]))
    answer = await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    assert not_asked(answer, world.two) == "OUTSIDE_LICENCE"
    assert names(answer, world.two) == []
    assert ended(answer, world.three) == "EMPTY"


async def test_a_consent_taken_back_opens_nothing_any_more(world: World, counter: Counter) -> None:
    subject = company("two")
    await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    counter.revoke(consent)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    assert explain(error.value).reason == "CONSENT_REVOKED"


async def test_a_consent_of_another_subject_opens_nothing(world: World, counter: Counter) -> None:
    consent = await counter.given(company("two"))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.ask(company("two"), items=[CONSENT_ITEM], consent=consent.name)
    assert explain(error.value).reason == "CONSENT_EXCEEDED"


async def _enrolled(gateway: Gateway) -> bool:
    try:
        async with gateway.channel(OTHER_CLIENT):
            return True
    except TokenRefused:
        return False
