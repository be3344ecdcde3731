"""A plan is tried on past use: the bill it would have given, and nothing is put into force."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.rating.prices import PriceBook
from creditgate.rating.rating import rate
from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.settle.dry_run import dry_run
from gateway.settle.dry_run_service import DryRunService
from gateway.settle.use import MonthUse, PriceClassOf
from gateway.shares import Shares
from operators.log import Draft
from tests.settle import drawn
from tests.settle.drawn import Books
from tests.settle.month import PlainMonth, Served
from tests.settle.strategies import plan_change
from tests.settle.world import ADMINISTRATOR, APRIL, MARCH, World, plan_request


def test_trying_a_plan_gives_what_the_month_costs_had_it_been_in_force() -> None:
    random = Random(1)
    unpriced = 0
    for _ in range(400):
        known = drawn.books(random)
        facts = drawn.facts(random, known)
        plan = drawn.plan(random, 50, 7_777)
        if random.random() < 0.5:
            plan = plan.model_copy(update={"prices": {"basic": 9}})
        rules = known.sharing.rules
        tried = dry_run(known.cut(facts), plan, known.prices, rules, known.classes)
        in_force = plan.model_copy(update={"effective_from": 0})
        other = Books(
            PriceBook.empty().advanced([plan_change(1, in_force)]), known.sharing, known.classes
        )
        served = [fact for fact in facts if _has_price(other, fact)]
        use = other.cut([f._replace(unit_price=other.list_price(f)) for f in served])
        closed = rate(use, other.prices, other.classes)
        assert (tried.tried.charges, tried.tried.lines) == (closed.charges, closed.lines)
        assert tried.unpriced == len(facts) - len(served)
        assert tried.rated == rate(known.cut(facts), known.prices, known.classes)
        unpriced += tried.unpriced
    assert unpriced > 100


def _has_price(known: Books, fact: Served) -> bool:
    plan = known.prices.plan_at(0)
    assert plan is not None
    price_class = known.classes.price_class(fact.item, fact.at)
    operator_class = known.classes.standing("alpha", fact.at).operator_class
    use = drawn.Priced(fact.item, price_class, fact.purpose, operator_class)
    return plan.list_price(use) is not None


@dataclass
class _Facts:
    """`gateway.settle.use.MonthUseReader` over facts by operator."""

    by_operator: dict[str, list[Served]] = field(default_factory=dict[str, list[Served]])

    def month_use(
        self, operator_id: str, starts: Sequence[int], until: int, price_class_of: PriceClassOf
    ) -> MonthUse:
        """See the port."""
        facts = [
            fact for fact in self.by_operator.get(operator_id, []) if starts[0] <= fact.at < until
        ]
        return PlainMonth(facts, starts, until, price_class_of, operator_id)


@pytest.fixture
def shares() -> Iterator[Shares]:
    """Threads of their own."""
    shares = Shares("dry-runs")
    yield shares
    shares.close()


@pytest.fixture
async def tried(world: World, shares: Shares) -> DryRunService:
    """The service, where beta used three records in March at 100, and alpha none."""
    await world.settlement_service.create_price_plan(
        plan_request("now", world.clock.now() + 1, basic=100), ADMINISTRATOR
    )
    world.clock.at += 1
    document = {"price_class": "basic", "code": "penalty"}
    world.log.append(
        [Draft("catalogue_item", "penalty", 0, document)],
        changed_by="admin",
        changed_at=0,
        reason="test",
    )
    await world.feed.refresh()
    at = world.clock.now()
    served = [Served(at, n, "x", "penalty", "mem", "11", 1, 100) for n in range(3)]
    return DryRunService(_Facts({"beta": served}), world.feed, world.clock, shares)


def _request(**fields: object) -> pb.DryRunPricePlanRequest:
    plan = plan_request("tried", 0, basic=40).plan
    plan.ClearField("effective_from")
    plan.components.add(
        component_id="least", kind=pb.PRICE_COMPONENT_KIND_MINIMUM, amount_micro_yuan=150
    )
    request = pb.DryRunPricePlanRequest(plan=plan, month="2026-03")
    for name, value in fields.items():
        setattr(request, name, value)
    return request


async def test_every_operator_is_told_what_it_owes_and_would_owe(
    world: World, tried: DryRunService
) -> None:
    before = world.log.head()
    alpha, beta = (await tried.dry_run_price_plan(_request(), ADMINISTRATOR)).bills
    assert (alpha.operator_id, alpha.total_micro_yuan, alpha.tried_micro_yuan) == ("alpha", 0, 150)
    assert (beta.operator_id, beta.total_micro_yuan, beta.tried_micro_yuan) == ("beta", 300, 150)
    assert list(beta.plan_ids) == ["now"]
    used, least = beta.charges
    assert (used.component_id, used.quantity, used.fee_micro_yuan) == ("class:basic", 3, 120)
    assert used.period.start_time == Timestamp(seconds=MARCH)
    assert used.period.end_time == Timestamp(seconds=APRIL)
    assert (least.component_id, least.fee_micro_yuan) == ("least", 30)
    assert least.explanation_zh == (
        "最低消费 0.00015 元（按生效时长计），此前费用 0.00012 元，补足 0.00003 元"
    )
    assert world.log.head() == before


async def test_pages_go_by_operator_and_only_within_the_same_dry_run(
    tried: DryRunService,
) -> None:
    page = await tried.dry_run_price_plan(_request(page_size=1), ADMINISTRATOR)
    assert [bill.operator_id for bill in page.bills] == ["alpha"]
    following = _request(page_size=1, page_token=page.next_page_token)
    page = await tried.dry_run_price_plan(following, ADMINISTRATOR)
    assert [bill.operator_id for bill in page.bills] == ["beta"]
    assert not page.next_page_token
    following.plan.prices[0].unit_price_micro_yuan += 1
    with pytest.raises(Refused) as refusal:
        await tried.dry_run_price_plan(following, ADMINISTRATOR)
    assert [violation.field for violation in refusal.value.violations] == ["page_token"]


async def test_one_operator_can_be_asked_for_and_must_be_one(tried: DryRunService) -> None:
    (bill,) = (await tried.dry_run_price_plan(_request(operator_id="beta"), ADMINISTRATOR)).bills
    assert bill.operator_id == "beta"
    with pytest.raises(Refused) as refusal:
        await tried.dry_run_price_plan(_request(operator_id="nobody"), ADMINISTRATOR)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND


async def test_faults_of_a_dry_run_are_named_by_field(tried: DryRunService) -> None:
    for request, field_ in (
        (_request(month="2026-3"), "month"),
        (_request(month="2999-01"), "month"),
        (_request(page_size=101), "page_size"),
        (_request(page_token="none"), "page_token"),
    ):
        with pytest.raises(Refused) as refusal:
            await tried.dry_run_price_plan(request, ADMINISTRATOR)
        assert [violation.field for violation in refusal.value.violations] == [field_]
    request = _request()
    request.plan.components.add(component_id="least", kind=pb.PRICE_COMPONENT_KIND_FLAT)
    with pytest.raises(Refused) as refusal:
        await tried.dry_run_price_plan(request, ADMINISTRATOR)
    assert [violation.field for violation in refusal.value.violations] == ["plan.components[1]"]
