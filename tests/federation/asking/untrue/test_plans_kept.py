"""What regions are asked is kept: retries ask the same, and no region charges for, or hides, what it
was not asked about; and regions are asked at the same time, little though is left."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select

from creditgate.federated_query import region_request_id
from creditgate.refusal import reason_name
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.alerts.tables import ALERTS
from gateway.federation.asking.hedging import Hedging
from gateway.federation.asking.tables import DIRECTORY_FAULTS, REGION_DIRECTORIES, REGION_PLANS
from gateway.selfcheck.region_uses import check_region_uses
from gateway.storage.engines import reading
from operators.limits import LIMIT, Limit
from sdk.federated import FederatedAnswer
from sdk.tokens import TokenRefused
from tests.federating import RegionGateway
from tests.federation.asking.untrue.dishonest import Homes
from tests.federation.asking.world import (
    World,
    closing,
    company,
    ended,
    map_items,
    names,
    not_asked,
)
from tests.installation import OPERATOR_ID, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
FEW, ENOUGH = "few", "enough"


async def ask(world: World, *subjects: str, **more: Any) -> FederatedAnswer:
    """Ask by directories."""
    usual: dict[str, Any] = {"every_region": False}
    return await world.ask(*subjects, **usual | more)


def plan(answer: FederatedAnswer, region: RegionGateway) -> list[int]:
    return list(answer.regions[region.entity_id].plan.subjects)


async def left_out(world: World, subject: str, region: RegionGateway) -> bool:
    """Tell whether the region's directory leaves a subject out."""
    answer = await ask(world, subject, regions=[region.entity_id])
    return not_asked(answer, region) == "NO_SUBJECT"


async def unknown_to(world: World, *regions: RegionGateway) -> str:
    """Return a company registered at home that the directories of ``regions`` leave out."""
    while True:
        subject = company("one")
        if all([await left_out(world, subject, region) for region in regions]):
            return subject


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def routed(world: World) -> World:
    """The world, once directories have come."""
    await eventually(partial(left_out, world, company("one"), world.two), 20)
    return world


async def test_a_retry_may_be_for_one_region_alone_and_then_for_all(world: World) -> None:
    subject, two, three = company("two"), world.two, world.three
    published = await world.publish(two, subject)
    for first, then in (([], [two]), ([two], []), ([three], [two])):
        request_id = uuid4().hex
        before = await world.ask(
            subject, request_id=request_id, regions=[each.entity_id for each in first]
        )
        after = await world.ask(
            subject, request_id=request_id, regions=[each.entity_id for each in then]
        )
        assert before.question.decision_id == after.question.decision_id
        assert names(after, two) == published
        paid = bool(closing(before, two).charged_micro_yuan)
        assert bool(closing(after, two).charged_micro_yuan) != paid
        assert not_asked(after, three) == ("NOT_NAMED" if then else "UNSPECIFIED")


async def test_a_retry_asks_each_region_what_it_was_asked_first(routed: World) -> None:
    world, two, three = routed, routed.two, routed.three
    subject = company("two")
    other = await unknown_to(world, two, three)
    published = await world.publish(two, subject)
    request_id = uuid4().hex
    first = await ask(world, subject, other, request_id=request_id)
    assert plan(first, two) == [0]
    assert set(first.on_their_word) == {two.entity_id, three.entity_id}
    # The directory and the mapping are others then.
    await world.publish(two, other)
    map_items(world.one, two)

    async def known() -> bool:
        return plan(await ask(world, subject, other), two) == [0, 1]

    await eventually(known, 20)
    for every in (False, True):
        # A directory that is not there now leaves nobody out.
        await eventually(partial(left_out, world, subject, three), 60)
        again = await ask(world, subject, other, request_id=request_id, every_region=every)
        assert ended(again, two) == "ANSWERED"
        assert names(again, two) == published
        assert plan(again, two) == [0]
        assert closing(again, two).charged_micro_yuan == 0
        told, before = (each.regions[two.entity_id].plan for each in (again, first))
        assert told.mapping_version == before.mapping_version
        assert told.directory_time == before.directory_time
        # Who was not asked at all is asked like anybody.
        assert ended(again, three) == ("EMPTY" if every else "NOT_ASKED")
    # Where the same id has other subjects it is another question.
    with pytest.raises(grpc.aio.AioRpcError, match="request_id"):
        await ask(world, subject, request_id=request_id)


@pytest.mark.parametrize("answered", [False, True], ids=["superseded", "answered"])
async def test_a_region_that_charges_for_what_nobody_asked_is_owed_nothing(
    world: World, acting: Homes, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    # Beside a hedge it may have been charged by the other call.
    monkeypatch.setattr(Hedging, "delay", lambda _: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    victim, subject, two = company("two"), company("two"), world.two
    await world.publish(two, victim, records=3)
    before = len(_owed(world))
    request_id = uuid4().hex
    there = region_request_id(OPERATOR_ID, request_id, two.entity_id)
    acting.charges[there] = victim
    if answered:
        acting.answered.add(there)
    for _ in range(2):
        answer = await world.ask(subject, request_id=request_id, regions=[two.entity_id])
        assert ended(answer, two) == "UNVERIFIED"
        assert reason_name(closing(answer, two).refusal) == "REGION_NOT_TRUSTED"
        assert len(_owed(world)) == before
    query = select(REGION_PLANS.c.disbelieved_at).where(REGION_PLANS.c.region_request_id == there)
    with reading(world.one.installation.engines.records) as connection:
        assert connection.execute(query).scalar_one() is not None
    assert check_region_uses(world.one.installation.engines) == []


def _owed(world: World) -> list[Any]:
    return world.uses.answers(world.two.entity_id, 0, 1 << 40)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def firms(world: World) -> Mapping[str, str]:
    """The clients of two firms: one may have fewer records an hour than are held for one region,
    the other enough for a few."""
    installation, clients = (
        world.one.installation,
        {FEW: f"{FEW}-client", ENOUGH: f"{ENOUGH}-client"},
    )
    for firm, records in ((FEW, 16), (ENOUGH, 200)):
        installation.license(firm, f"L-{firm}", quota=1_000_000)
        installation.enrol(clients[firm], ClientRole.CLIENT_ROLE_OPERATOR, firm)
        limit = Limit(
            limit_id=f"limit-{firm}",
            operator_id=firm,
            per=LimitPer.LIMIT_PER_OPERATOR,
            unit=LimitUnit.LIMIT_UNIT_RECORDS,
            count=records,
            period_seconds=3_600,
            burst=records,
            created_at=installation.clock.now(),
        )
        installation.keep(LIMIT, limit.limit_id, limit)

    async def known() -> bool:
        try:
            for client_id in clients.values():
                await world.ask(company(), client_id=client_id, regions=["https://x.invalid"])
        except (TokenRefused, grpc.aio.AioRpcError):
            return False
        return True

    await eventually(known, 10)
    # Authority is not older than that.
    await asyncio.sleep(1.2)
    return clients


def delay(acting: Homes, firm: str, request_id: str, region: RegionGateway, seconds: float) -> None:
    """Have a region wait before it answers a question of a firm."""
    acting.delays[region_request_id(firm, request_id, region.entity_id)] = seconds


@pytest.mark.parametrize("late", [False, True])
async def test_regions_are_asked_at_the_same_time_however_little_is_left(
    world: World, acting: Homes, firms: Mapping[str, str], late: bool
) -> None:
    subject, request_id = company("two"), uuid4().hex
    published = await world.publish(world.two, subject)
    acting.forget()
    delay(acting, FEW, request_id, world.three, 2.0)
    delay(acting, FEW, request_id, world.two, 0.0 if late else 1.0)
    deadline = Duration(nanos=900_000_000) if late else Duration(seconds=20)
    answer = await world.ask(
        subject, client_id=firms[FEW], request_id=request_id, region_deadline=deadline
    )
    assert names(answer, world.two) == published
    assert ended(answer, world.three) == ("LATE" if late else "EMPTY")
    assert acting.most_waiting == (1 if late else 2)


async def test_questions_at_once_do_not_wait_for_one_another_while_enough_is_left(
    world: World, acting: Homes, firms: Mapping[str, str]
) -> None:
    acting.forget()
    asking: list[Any] = []
    for region in (world.two, world.three, world.two):
        request_id = uuid4().hex
        delay(acting, ENOUGH, request_id, region, 1.0)
        named: dict[str, Any] = {"request_id": request_id, "regions": [region.entity_id]}
        asking.append(world.ask(company(), client_id=firms[ENOUGH], **named))
    await asyncio.gather(*asking)
    assert acting.most_waiting == 3


async def test_a_company_left_out_of_a_directory_is_found_out_by_its_records(
    routed: World, acting: Homes
) -> None:
    world, three = routed, routed.three
    hidden = await unknown_to(world, three)
    other = await unknown_to(world, three)
    acting.hidden.add(hidden)
    records = await world.publish(three, hidden, records=3)
    by_directory = await ask(world, hidden)
    assert not_asked(by_directory, three) == "NO_SUBJECT"
    assert three.entity_id in by_directory.on_their_word

    async def distrusted() -> bool:
        """Its record is older than the directory by now: an older one says nothing."""
        every = await world.ask(hidden)
        assert names(every, three) == records
        return not await left_out(world, other, three)

    await eventually(distrusted, 20)
    found = await ask(world, hidden)
    assert names(found, three) == records
    assert three.entity_id not in found.on_their_word
    engines = world.one.installation.engines
    with reading(engines.records) as connection:
        faults = connection.execute(select(DIRECTORY_FAULTS)).all()
        notes = set(connection.execute(select(REGION_DIRECTORIES.c.region)).scalars())
    assert {(fault.region, fault.subject) for fault in faults} == {(three.entity_id, hidden)}
    fault = faults[0]
    assert fault.log_size
    assert fault.record_id in {name.removeprefix("records/") for name in records}
    assert three.entity_id in fault.note
    assert fault.answer
    assert notes == {world.two.entity_id, three.entity_id}
    with reading(engines.evidence) as connection:
        alerts = connection.execute(select(ALERTS.c.operator_id, ALERTS.c.kind)).all()
    assert ("region-three", AlertKind.ALERT_KIND_FALSE_DIRECTORY) in [
        tuple(each) for each in alerts
    ]
    # The other region's stay.
    assert await left_out(world, other, world.two) or plan(await ask(world, other), world.two)
