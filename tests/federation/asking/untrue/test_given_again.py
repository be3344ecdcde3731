"""What a region gives again is what it gave first, or nothing of it is passed on (G5, G10)."""

from uuid import uuid4

import pytest

from creditgate.federated_query import region_request_id
from creditgate.refusal import reason_name
from gateway.federation.asking.uses import RegionAnswer, RegionUse
from gateway.selfcheck.region_uses import check_region_uses
from sdk.federated import FederatedAnswer
from tests.federating import DISTRICTS
from tests.federation.asking.lost import forget, withdraw
from tests.federation.asking.untrue.dishonest import Homes
from tests.federation.asking.world import (
    World,
    closing,
    company,
    ended,
    names,
    placed,
)
from tests.installation import OPERATOR_ID, PRICE, PUBLISHER
from tests.server.calls import draft, publish

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def ask(world: World, request_id: str, *subjects: str) -> FederatedAnswer:
    """Ask region "two" alone."""
    return await world.ask(*subjects, request_id=request_id, regions=[world.two.entity_id])


def there(world: World, request_id: str) -> str:
    return region_request_id(OPERATOR_ID, request_id, world.two.entity_id)


def kept(world: World, request_id: str) -> list[tuple[RegionAnswer, list[RegionUse]]]:
    """Return what the asking region has of a question, chunk by chunk."""
    answers = world.uses.answers(world.two.entity_id, 0, 1 << 40)
    return [(each, world.uses.uses(each)) for each in answers if each.request_id == request_id]


def require_none(world: World, answer: FederatedAnswer) -> None:
    """Require that nothing was passed on of region "two", nor charged for."""
    assert names(answer, world.two) == []
    assert ended(answer, world.two) == "UNVERIFIED"
    assert reason_name(closing(answer, world.two).refusal) == "REGION_NOT_TRUSTED"
    assert closing(answer, world.two).charged_micro_yuan == 0


async def test_records_that_were_not_in_the_first_answer_are_not_passed_on_by_a_retry(
    world: World,
) -> None:
    subject, request_id = company("two"), uuid4().hex
    first = await world.publish(world.two, subject, 2)
    assert names(await ask(world, request_id, subject), world.two) == first
    before = kept(world, request_id)
    forget(world, request_id)
    late = placed(draft(f"late-{subject}", subject), DISTRICTS["two"])
    async with world.two.gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, [late])
    require_none(world, await ask(world, request_id, subject))
    assert kept(world, request_id) == before
    assert check_region_uses(world.one.installation.engines) == []


async def test_another_charge_for_the_same_request_is_not_believed(world: World) -> None:
    subject, request_id = company("two"), uuid4().hex
    await world.publish(world.two, subject)
    await ask(world, request_id, subject)
    before = kept(world, request_id)
    forget(world, request_id)
    answer = await ask(world, request_id, subject)
    require_none(world, answer)
    # What was charged first stays, and the operator is told its receipt again.
    assert len(closing(answer, world.two).charged_before) == 1
    assert kept(world, request_id) == before


async def test_chunks_of_a_retry_have_the_borders_they_had_first(
    world: World, acting: Homes
) -> None:
    subjects, request_id = [company("two"), company("two")], uuid4().hex
    await world.publish(world.two, subjects[0])
    answer = await ask(world, request_id, *subjects)
    assert closing(answer, world.two).subjects_answered == 2
    acting.chunks[there(world, request_id)] = 1
    # The very use that was charged, and a proof of half of what was asked.
    require_none(world, await ask(world, request_id, *subjects))


async def test_an_operator_pays_once_whatever_chunks_its_region_makes_of_a_retry(
    world: World, acting: Homes
) -> None:
    subjects, request_id = [company("two"), company("two")], uuid4().hex
    for subject in subjects:
        await world.publish(world.two, subject)
    answer = await ask(world, request_id, *subjects)
    assert closing(answer, world.two).charged_micro_yuan == 2 * PRICE
    before = kept(world, request_id)
    forget(world, request_id)
    acting.chunks[there(world, request_id)] = 1
    require_none(world, await ask(world, request_id, *subjects))
    assert kept(world, request_id) == before
    assert check_region_uses(world.one.installation.engines) == []


async def test_a_receipt_of_another_request_proves_nothing(world: World, acting: Homes) -> None:
    subject, request_id = company("two"), uuid4().hex
    await world.publish(world.two, subject)
    acting.receipts[there(world, request_id)] = uuid4().hex
    require_none(world, await ask(world, request_id, subject))
    assert kept(world, request_id) == []


async def test_what_is_left_of_an_answer_is_given_again_as_often_as_it_is_asked_for(
    world: World,
) -> None:
    subjects, request_id = [company("two"), company("two"), company("two")], uuid4().hex
    published = [name for each in subjects for name in await world.publish(world.two, each, 2)]
    assert names(await ask(world, request_id, *subjects), world.two) == published
    before = kept(world, request_id)
    for gone in (published[1], published[4]):
        await withdraw(world, gone)
        published.remove(gone)
        answer = await ask(world, request_id, *subjects)
        assert ended(answer, world.two) == "ANSWERED"
        assert names(answer, world.two) == published
        assert closing(answer, world.two).charged_micro_yuan == 0
    assert kept(world, request_id) == before
