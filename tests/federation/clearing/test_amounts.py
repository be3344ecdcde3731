"""What clearing signs is what the home region's statement says, and each yuan is shared out once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToJson
from sqlalchemy import select

from creditgate.clearing import document_digest
from creditgate.clearing_amounts import AmountLine
from creditgate.rating.components import (
    CAP,
    FLAT,
    FREE_TIER,
    GRADUATED,
    MINIMUM,
    PER_SUBJECT,
    PriceComponent,
    Tier,
)
from creditgate.rating.plans import plan_bytes, plan_message
from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.federation_service_pb2 import ClearingRating
from creditgate.v1.settlement_service_pb2 import (
    ListPricePlansRequest,
    PriceComponentKind,
)
from creditgate.v1.settlement_service_pb2 import PricePlan as PlanMessage
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.alerts.tables import ALERTS
from gateway.authority.view import AuthorityView
from gateway.federation.clearing.agreed_uses import Period
from gateway.federation.clearing.amount_store import SqlAmounts
from gateway.federation.clearing.amounts import ClearingAmounts
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.ledger import RegionLedger
from gateway.federation.clearing.store import SqlClearings
from gateway.settle.month import month_of
from gateway.storage.engines import reading
from operators.sql import SqlAuthorityLog
from sdk import tokens
from sdk.clearings import read_clearing, verified_proposal
from tests.cli.commands import creditgate_here
from tests.federating import RegionGateway
from tests.federation.clearing.test_conceding import altered
from tests.federation.clearing.test_two_regions import keys_of, proposed, sign
from tests.federation.clearing.world import FEE, World, open_world
from tests.installation import ADMINISTRATOR, eventually
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

_TIERS = (Tier(from_records=0, unit_price=FEE), Tier(from_records=5, unit_price=1_000))
_PLANS = iter(range(1_000))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Two regions that clear."""
    folder = tmp_path_factory.mktemp("amounts")
    async with open_world(folder, SqliteStores(folder)) as world:
        yield world


async def price(world: World, fee: int, *components: PriceComponent) -> None:
    """Put a plan into force in the home region at once, and wait until it is known there."""
    plan = PricePlan(
        plan_id=f"amounts-{next(_PLANS)}",
        effective_from=world.clock.now() + 1,
        prices={"adverse": fee},
        components=components,
    )
    world.home.installation.put(PRICE_PLAN, plan.plan_id, plan.model_dump(mode="json"))

    await _known(world, plan.plan_id)
    world.clock.reached = world.clock.now() + 1


async def _has(world: World, plan: PricePlan) -> bool:
    return plan_message(plan) in await _plans(world)


async def _plans(world: World) -> Iterable[PlanMessage]:
    channel = await world.channels.of(world.home.gateway, ADMINISTRATOR)
    answer = await SettlementServiceStub(channel).ListPricePlans(ListPricePlansRequest())
    return answer.plans


async def _known(world: World, plan_id: str) -> None:
    async def is_known() -> bool:
        return any(each.plan_id == plan_id for each in await _plans(world))

    await eventually(is_known)


def component(kind: PriceComponentKind.ValueType, **more: Any) -> PriceComponent:
    """Return a component of a plan."""
    return PriceComponent(component_id="c" + str(int(kind)), kind=kind, **more)


async def statement(world: World, region: RegionGateway, operator_id: str) -> usage_pb.Statement:
    """Return an operator's statement of the month that runs."""
    month = month_of(world.clock.now()).name
    channel = await world.channels.of(region.gateway, ADMINISTRATOR)
    answer = await UsageServiceStub(channel).GetStatement(
        usage_pb.GetStatementRequest(month=month, operator_id=operator_id)
    )
    return answer.statement


def shares(found: Iterable[usage_pb.RevenueShare]) -> Counter[str]:
    """Return shares by beneficiary."""
    return Counter({each.beneficiary: each.amount_micro_yuan for each in found})


async def cleared(world: World) -> int:
    """Clear, and return what the asking region owes the home one by all clearings, the same in
    both."""
    await world.run()
    owed = sum(each.owed_micro_yuan for each in await world.clearings(world.asking))
    assert owed == sum(each.due_micro_yuan for each in await world.clearings(world.home))
    return owed


async def test_what_is_cleared_is_what_the_home_regions_statement_says(world: World) -> None:
    plans = (
        (),
        (component(PER_SUBJECT, unit_price=80_000),),
        (component(FREE_TIER, records=4), component(FLAT, amount=7_000_001)),
        (component(MINIMUM, amount=9_000_000), component(GRADUATED, tiers=_TIERS)),
        (component(CAP, amount=300_000),),
    )
    stated = usage_pb.Statement()
    for components in plans:
        await price(world, FEE, *components)
        await world.use(3)
        owed = await cleared(world)
        stated = await statement(world, world.home, "region-one")
        assert owed == stated.total_micro_yuan, components
        assert owed != 0
        (last, *_) = await world.clearings(world.asking)
        for region in (world.asking, world.home):
            answer = await world.signed(region, last)
            assert bool(answer.amounts) == bool(components), components
            assert not any(each.refused for each in answer.amounts)
    # Of each plan that charges for time people were told once, however often it was told of.
    query = select(ALERTS.c.operator_id, ALERTS.c.counted).where(
        ALERTS.c.kind == AlertKind.ALERT_KIND_CLEARING_PLAN
    )
    with reading(world.asking.installation.engines.evidence) as connection:
        found = sorted((row[0], row[1]) for row in connection.execute(query))
    assert found == [("region-two", 7_000_001), ("region-two", 9_000_000)]
    # And what alpha pays is shared out once: what clearing pays is the other region's.
    paid = await statement(world, world.asking, "alpha")
    here, there = shares(paid.shares), shares(stated.shares)
    listed = here.pop(f"regions/{world.home.entity_id}")
    beyond = stated.total_micro_yuan - listed
    assert here.total() + there.total() - beyond == paid.total_micro_yuan
    assert not any(name.startswith("operators/") for name in there)


def reckoned(world: World, region: RegionGateway) -> ClearingAmounts:
    """Return what a region tells, and judges, of amounts."""
    engines, own = region.installation.engines, region.entity_id
    operator = {world.asking.entity_id: "region-one", world.home.entity_id: "region-two"}
    changes = SqlAuthorityLog(engines.authority).since(0)
    view = AuthorityView().advanced(changes)

    def operator_of(name: str) -> str:
        return operator[name]

    return ClearingAmounts(
        RegionLedger(engines.records, own, operator_of),
        SqlClearings(engines.evidence),
        SqlAmounts(engines.evidence),
        SqlDisputes(engines.evidence).ever,
        lambda: view,
        operator_of,
        own,
    )


async def test_what_does_not_follow_from_the_plan_that_was_told_is_not_signed(
    world: World,
) -> None:
    await world.use(2)
    until = world.settled()
    asking, home = world.asking, world.home
    ledger = RegionLedger(home.installation.engines.records, home.entity_id, lambda _: "region-one")
    (last, *_) = await world.clearings(asking)
    entries = ledger.entries(asking.entity_id, last.until_time.seconds, until)
    elements = b"".join(sorted(entry.digest()[:16] for entry in entries))
    period = Period(asking.entity_id, last.until_time.seconds, until, elements)
    (told,) = reckoned(world, home).told(period)
    judging, period = reckoned(world, asking), period._replace(region=home.entity_id)
    assert [each.refused for each in judging.judged(period, [told])] == [""]
    other = PricePlan(plan_id="plan-0", effective_from=0, prices={"adverse": 1})
    cases: list[tuple[str, dict[str, Any]]] = [
        ("by that plan it is", {"rated_micro_yuan": told.rated_micro_yuan + 1}),
        ("by that plan it is", {"rated_micro_yuan": told.rated_micro_yuan - 1}),
        ("entries", {"entries": told.entries + 1}),
        ("entries", {"listed_micro_yuan": told.listed_micro_yuan + 5}),
        ("earlier clearings", {"before_micro_yuan": told.before_micro_yuan - 7}),
        ("no basis", {"plans": [plan_bytes(other)]}),
        ("no basis", {"month": "2026-13"}),
        ("has not begun", {"month": "2099-01"}),
        ("not of that region", {"home_region": asking.entity_id}),
    ]
    for why, changed in cases:
        wrong = ClearingRating()
        wrong.CopyFrom(told)
        if "plans" in changed:
            del wrong.plans[:]
        wrong.MergeFrom(ClearingRating(**changed))
        (found,) = judging.judged(period, [wrong])
        assert why in found.refused, changed
    assert {each.refused for each in judging.judged(period, [told, told])} == {"it is told twice"}
    # That nothing is beyond list prices is no more than the plan says either.
    bare = ClearingRating(
        home_region=told.home_region, month=told.month, basis=told.basis, plans=told.plans
    )
    assert "entries" in judging.judged(period, [bare])[0].refused


async def test_what_was_conceded_is_counted_as_the_statement_has_it(world: World) -> None:
    await price(world, FEE, component(PER_SUBJECT, unit_price=50_000))
    before = await cleared(world)
    dispute = await altered(world)
    await world.resolve(world.asking, dispute, pb.ClearingStand.CLEARING_STAND_HOME)
    owed = await cleared(world)
    stated = await statement(world, world.home, "region-one")
    assert owed == stated.total_micro_yuan == before + 50_000
    (last, *_) = await world.clearings(world.asking)
    assert [each.refused for each in (await world.signed(world.asking, last)).amounts] == [""]


async def _ceiling(world: World, **most: int) -> None:
    request = pb.SetClearingCeilingRequest(region=world.home.entity_id, reason="decision 5", **most)
    await world.call(world.asking, "SetClearingCeiling", request)


async def _shown(world: World, *command: str) -> str:
    folder = world.asking.installation.folder
    its = SimpleNamespace(time=world.clock.now, monotonic=monotonic, sleep=sleep)
    with pytest.MonkeyPatch.context() as patched:
        # After many clearings the regions are ahead of this host by more than an assertion lives.
        patched.setattr(tokens, "time", its)
        ran = await asyncio.to_thread(creditgate_here, folder, "federation", "clearing", *command)
    assert not ran.status, ran.told
    return ran.out


async def _agreed(world: World) -> list[int]:
    return [
        len([each for each in await world.clearings(region) if each.HasField("agree_time")])
        for region in (world.asking, world.home)
    ]


async def _peer(world: World) -> pb.ClearingPeer:
    answer = await world.call(world.asking, "ListClearings", pb.ListClearingsRequest())
    (peer,) = answer.peers
    return peer


def _alerts(region: RegionGateway) -> list[tuple[int, int]]:
    query = select(ALERTS.c.counted, ALERTS.c.threshold).where(
        ALERTS.c.kind == AlertKind.ALERT_KIND_CLEARING_AMOUNT
    )
    with reading(region.installation.engines.evidence) as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


async def test_nothing_above_a_ceiling_is_signed_until_people_raise_it(world: World) -> None:
    await cleared(world)
    assert not _alerts(world.asking)
    await price(world, FEE * 1_000)
    await world.use(1)
    for most in ({"record_micro_yuan": FEE}, {"month_micro_yuan": FEE * 900}):
        await _ceiling(world, **most)
        before = await _agreed(world)
        with pytest.raises(grpc.aio.AioRpcError):
            await world.run()
        assert await _agreed(world) == before
        peer = await _peer(world)
        assert "the ceiling is" in peer.failure
        assert (peer.ceiling.set_by, peer.ceiling.reason) != ("", "")
    assert (FEE * 1_000, FEE) in _alerts(world.asking)
    most = ("--record", str(FEE * 1_000), "--reason", "decision 6")
    shown = await _shown(world, "ceiling", world.home.entity_id, *most)
    assert "250.000000 a record" in shown
    await cleared(world)
    assert not (await _peer(world)).failure
    # One that is lower later says nothing of what was signed.
    await _ceiling(world, record_micro_yuan=1, month_micro_yuan=1)
    await cleared(world)
    with pytest.raises(grpc.aio.AioRpcError):
        await _ceiling(world, record_micro_yuan=-1)
    await _ceiling(world)


async def test_line_that_either_region_invents_is_not_signed_by_the_other(world: World) -> None:
    await cleared(world)
    last = await world.run()
    answer = await world.signed(world.proposing, last)
    document = read_clearing(MessageToJson(answer).encode()).document
    before = verified_proposal(
        document, keys_of(world)[last.proposing_region], last.proposing_region
    )
    numbers = {"entries": 1, "listed": 0, "rated": 9, "before": 0, "amount": 9, "basis": "0" * 64}
    for home, why in ((world.proposing, "amounts"), (world.other, "differs")):
        line = AmountLine.model_validate(
            {"home": home.entity_id, "month": month_of(world.clock.now()).name} | numbers
        )
        invented = before.model_copy(
            update={
                "start": before.until,
                "until": world.settled(),
                "previous": document_digest(document),
                "amounts": (line,),
            }
        )
        refused = await proposed(world, sign(world.proposing, invented))
        assert (refused.reason, refused.metadata["why"]) == ("STATE_CONFLICT", why)


async def test_plan_for_use_that_was_cleared_is_not_believed_and_the_rest_is_cleared(
    world: World,
) -> None:
    # It has signed amounts of this month; now it rates them by what it says was in force.
    plan = PricePlan(
        plan_id="amounts-1",
        effective_from=0,
        prices={"adverse": FEE},
        components=(component(MINIMUM, amount=10**12),),
    )
    world.home.installation.put(PRICE_PLAN, plan.plan_id, plan.model_dump(mode="json"))
    await eventually(lambda: _has(world, plan))
    before = await cleared(world)
    await world.use(2)
    owed = await cleared(world)
    (last, *_) = await world.clearings(world.asking)
    assert owed - before == last.owed_micro_yuan == 2 * FEE * 1_000
    for region in (world.asking, world.home):
        (amount,) = (await world.signed(region, last)).amounts
        assert amount.refused
        assert amount.amount_micro_yuan == 0
        assert _alerts(region)
    until = last.until_time.ToDatetime().isoformat() + "Z"
    shown = await _shown(world, "show", world.home.entity_id, until)
    assert "Beyond list prices" in shown
    (amount,) = (await world.signed(world.asking, last)).amounts
    assert "other ones for use that was cleared" in amount.refused
