"""What other regions give a firm counts as what its own region does: quota, limits, and retries.

A chunk has five subjects here, and each company one record: the bound that is left is one chunk.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import update

from creditgate.refusal import reason_name
from creditgate.v1.federated_record_service_pb2_grpc import FederatedRecordServiceStub
from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from gateway.meter.tables import USAGE
from gateway.selfcheck.derived import check_derived
from gateway.selfcheck.region_uses import check_region_uses
from operators.limits import LIMIT, Limit
from sdk.federated import FederatedAnswer
from sdk.refusals import explain
from tests.federating import DISTRICTS
from tests.federation.asking.rationed.firm import CHUNK, Firm, own_record
from tests.federation.asking.world import (
    World,
    closing,
    company,
    ended,
    names,
    placed,
    question,
)
from tests.installation import PUBLIC_ITEM, PUBLISHER
from tests.server.calls import draft, publish

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def subjects(world: World) -> list[str]:
    """Sixty companies, each with a record in region "two"."""
    made = [company("two") for _ in range(60)]
    drafts = [placed(draft(f"two-{each}", each, PUBLIC_ITEM), DISTRICTS["two"]) for each in made]
    await publish(await world.channels.of(world.two.gateway, PUBLISHER), drafts)
    return made


def reason(answer: FederatedAnswer, world: World) -> str:
    """Return why region "two" was refused."""
    return reason_name(closing(answer, world.two).refusal)


async def test_questions_at_once_go_beyond_the_quota_by_one_chunk_at_most(
    world: World, subjects: list[str]
) -> None:
    quota = 8
    firm = await Firm(world, quota).known()
    own = company("one")
    await world.publish(world.one, own)
    asked = [(f"at-once-{number}", subjects[number * 8 : number * 8 + 8]) for number in range(6)]
    answers = await asyncio.gather(*(firm.ask(some, request_id=id_) for id_, some in asked))
    given = sum(len(names(answer, world.two)) for answer in answers)
    assert quota <= given <= quota + CHUNK - 1
    assert given == firm.given() == firm.charged() == firm.counted()
    refused = [answer for answer in answers if ended(answer, world.two) == "REFUSED"]
    assert {reason(answer, world) for answer in refused} == {"QUOTA_EXHAUSTED"}
    assert len(refused) >= 4
    # What other regions gave is not there for the firm's own region again.
    assert await own_record(firm, own) == "QUOTA_EXHAUSTED"
    # A retry gives what was charged, for nothing, and no more than that.
    for (id_, some), first in zip(asked, answers, strict=True):
        again = await firm.ask(some, request_id=id_)
        assert names(again, world.two) == names(first, world.two)
        assert closing(again, world.two).charged_micro_yuan == 0
    assert firm.given() == firm.counted() == given
    assert firm.held() == 0
    engines = world.one.installation.engines
    assert check_derived(engines) == check_region_uses(engines) == []
    for before, after in ((CHUNK, CHUNK + 1), (CHUNK + 1, CHUNK)):
        row = USAGE.c
        one = (row.operator_id == firm.operator_id) & (row.region_records == before)
        with engines.records.begin() as connection:
            connection.execute(update(USAGE).where(one).values(region_records=after))
        wrong = after != CHUNK
        assert bool(check_derived(engines)) == bool(check_region_uses(engines)) == wrong


async def test_questions_hung_up_on_are_judged_when_they_are_asked_again(
    world: World, subjects: list[str]
) -> None:
    quota = 8
    firm = await Firm(world, quota).known()
    asked = [(f"hung-{number}", subjects[number * 20 : number * 20 + 20]) for number in range(3)]
    for id_, some in asked:
        await firm.hang_up(some, id_)
    answers = [await firm.ask(some, request_id=id_) for id_, some in asked]
    assert {ended(answer, world.two) for answer in answers} == {"REFUSED"}
    assert {reason(answer, world) for answer in answers} == {"QUOTA_EXHAUSTED"}
    assert quota <= firm.given() <= quota + CHUNK - 1
    assert firm.given() == firm.charged() == firm.counted()


async def test_what_is_left_is_told_behind_the_answer(world: World, subjects: list[str]) -> None:
    firm = await Firm(world, CHUNK + 1).known()
    async with world.one.gateway.channel(firm.client_id) as channel:
        call: Any = FederatedRecordServiceStub(channel).QueryRegions(
            question(subjects[:CHUNK], regions=[world.two.entity_id])
        )
        async for _ in call:
            pass
        told = {key: str(value) for key, value in await call.trailing_metadata() or ()}
    assert told["ratelimit"].startswith('"daily-records";r=1;')


async def test_limits_in_records_count_those_of_other_regions(
    world: World, subjects: list[str]
) -> None:
    own = company("one")
    await world.publish(world.one, own)
    firms = [await Firm(world, 1_000).known() for _ in range(2)]
    for firm, item in zip(firms, ("", PUBLIC_ITEM), strict=True):
        _limit(firm, 8, item)
    # Authority is not older than that.
    await asyncio.sleep(1.2)
    for firm in firms:
        asked = [subjects[number * 10 : number * 10 + 10] for number in range(3)]
        ids = [f"{firm.operator_id}-{number}" for number in range(3)]
        answers = await asyncio.gather(*map(partial(_asked, firm), asked, ids))
        # Those whose question itself comes too soon are refused as a whole.
        through = [answer for answer in answers if answer is not None]
        assert {ended(answer, world.two) for answer in through} == {"REFUSED"}
        assert {reason(answer, world) for answer in through} == {"RATE_EXCEEDED"}
        # Each question itself took one of eight.
        assert 8 - 3 <= firm.given() <= 8 + CHUNK - 1
        assert await own_record(firm, own) == "RATE_EXCEEDED"
        for _ in range(2):
            assert await _asked(firm, subjects[:1], f"{firm.operator_id}-new") is None
        # A question that was charged is known by its id, and goes on.
        for answer, some, id_ in zip(answers, asked, ids, strict=True):
            assert answer is None or await _asked(firm, some, id_) is not None


def _limit(firm: Firm, records: int, item: str) -> None:
    """Let a firm have so many records an hour, of one item or of all."""
    installation = firm.world.one.installation
    limit = Limit(
        limit_id=f"records-{firm.operator_id}",
        operator_id=firm.operator_id,
        per=LimitPer.LIMIT_PER_ITEM if item else LimitPer.LIMIT_PER_OPERATOR,
        item=item,
        unit=LimitUnit.LIMIT_UNIT_RECORDS,
        count=records,
        period_seconds=3_600,
        burst=records,
        created_at=installation.clock.now(),
    )
    installation.keep(LIMIT, limit.limit_id, limit)


async def _asked(firm: Firm, subjects: Sequence[str], id_: str) -> FederatedAnswer | None:
    """Ask; None where the question itself is refused for its rate."""
    try:
        return await firm.ask(subjects, request_id=id_)
    except grpc.aio.AioRpcError as error:
        assert explain(error).reason == "RATE_EXCEEDED"
        return None
