"""The past that use is rated by: whatever is dated counts after it, and it stands still meanwhile."""

from collections.abc import Sequence
from threading import Thread
from typing import Any

import pytest

from creditgate.rating.checking import check_statement
from creditgate.rating.components import FLAT, GRADUATED, PriceComponent, Tier
from creditgate.rating.grounds import Grounds
from creditgate.rating.plans import plan_bytes
from creditgate.rating.prices import PricePlan
from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged
from gateway.settle.classes import CLASS_START
from gateway.settle.dating_log import DatingLog
from gateway.settlement.rated_past import SqlRatedPast
from gateway.storage.engines import Engines
from operators.log import Change, Draft
from operators.model import OPERATOR
from tests.clock import NOW, StandingClock
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import claim, with_lines
from tests.receipts import RECEIPTS
from tests.settle.world import operator, priced
from tests.settlement.test_closing import FEE, closed, served
from tests.settlement.test_worked_out import uses_of
from tests.settlement.world import FEBRUARY, JANUARY, MARCH, PLAN, Ledger, Months

pytestmark = rarely_on_postgresql

BANKS = PricePlan(
    plan_id="banks",
    effective_from=JANUARY + 1,
    prices={"": FEE},
    components=(
        PriceComponent(
            component_id="flat",
            kind=FLAT,
            amount=5_000_000,
            operator_classes=frozenset({"bank"}),
        ),
        PriceComponent(
            component_id="dear",
            kind=GRADUATED,
            operator_classes=frozenset({"bank"}),
            tiers=(Tier(from_records=0, unit_price=9 * FEE),),
        ),
    ),
)


def _dating(months: Months, now: int) -> DatingLog:
    """Return the log as a process with such a clock writes it."""
    return DatingLog(months.log, SqlRatedPast(months.engines, StandingClock(now)))


def _changed(months: Months, now: int, operator_id: str = "alpha", **values: Any) -> Change:
    """Change an operator by such a clock; return what was written."""
    version = len(months.log.history(kind=OPERATOR, id=operator_id, after=0, limit=100))
    document = operator(operator_id).model_copy(update=values).as_document()
    (written,) = _dating(months, now).append(
        [Draft(OPERATOR, operator_id, version, document)],
        changed_by="admin",
        changed_at=now,
        reason="test",
    )
    return written


async def _class_of(months: Months, at: int, operator_id: str = "alpha") -> str:
    view = await months.feed.refresh()
    return view.classes.standing(operator_id, at).operator_class


@always_on_postgresql
def test_past_is_the_newest_use_of_all_or_of_one_and_the_newest_month_closed(
    months: Months, ledger: Ledger
) -> None:
    past = SqlRatedPast(months.engines, StandingClock(JANUARY))
    with past.held() as present:
        assert (present.used_at, present.open_from, present.unrated_from) == (0, 0, JANUARY + 1)
    ledger.serve([served(FEBRUARY + 9, 1), served(JANUARY + 5, 2)])
    Ledger(months.engines, "beta", ledger.revision_of, ledger.line_of).serve(
        [served(FEBRUARY + 7, 1)]
    )
    for asked, used_at in (("", FEBRUARY + 9), ("beta", FEBRUARY + 7), ("gamma", 0)):
        with past.held(asked) as present:
            assert present.used_at == used_at
    months.close("2026-01")
    with past.held("gamma") as present:
        assert (present.open_from, present.unrated_from) == (FEBRUARY, FEBRUARY)


@always_on_postgresql
def test_no_use_is_metered_while_something_is_dated(engines: Engines) -> None:
    with_lines(engines.records)
    ledger = UsageLedger(engines.records, StandingClock(), RECEIPTS)
    outcomes: list[object] = []
    thread = Thread(target=lambda: outcomes.extend(ledger.commit([claim()])))
    with SqlRatedPast(engines, StandingClock()).held() as present:
        thread.start()
        thread.join(0.5)
        assert outcomes == []
    thread.join()
    ledger.close()
    assert [type(each) for each in outcomes] == [Charged]
    assert present.used_at == 0
    with SqlRatedPast(engines, StandingClock()).held() as after:
        assert after.used_at == NOW


@pytest.mark.parametrize("behind", [0, 2])
async def test_class_changed_by_a_clock_behind_counts_after_the_month_that_is_closed(
    months: Months, ledger: Ledger, behind: int
) -> None:
    """Both statements are what their operator works out, late use of the closed month or not."""
    months.put(JANUARY, BANKS)
    await months.feed.refresh()
    ledger.serve([served(FEBRUARY - 100 + n, n) for n in range(3)])
    months.close("2026-01", "r1", FEBRUARY)
    _changed(months, FEBRUARY - behind, operator_class="bank")
    await months.feed.refresh()
    ledger.serve([served(FEBRUARY - 1, 60), served(FEBRUARY + 5, 70)])
    months.close("2026-02", "r2", MARCH)
    statements = [closed(months, name).statement for name in ("2026-01", "2026-02")]
    (adjustment,) = statements[1].adjustments
    assert (adjustment.before_micro_yuan, adjustment.amount_micro_yuan) == (3 * FEE, FEE)
    grounds = Grounds(uses_of(ledger), [plan_bytes(plan) for plan in (PLAN, BANKS)], [])
    for statement, earlier in ((statements[0], []), (statements[1], statements[:1])):
        checked = check_statement(statement, grounds._replace(earlier=earlier))
        assert (checked.faults, checked.overcharge) == ((), 0)


async def test_class_counts_from_the_second_after_the_newest_use_of_the_operator(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(FEBRUARY + 3, 1)])
    written = _changed(months, FEBRUARY, operator_class="bank")
    _changed(months, FEBRUARY, "beta", operator_class="bank")
    assert written.changed_at == FEBRUARY
    found = [await _class_of(months, at) for at in (FEBRUARY + 3, FEBRUARY + 4)]
    assert found == ["", "bank"]
    # It used nothing.
    found = [await _class_of(months, at, "beta") for at in (FEBRUARY, FEBRUARY + 1)]
    assert found == ["", "bank"]


async def test_class_of_an_item_counts_after_all_use(months: Months, ledger: Ledger) -> None:
    ledger.serve([served(FEBRUARY + 3, 1)])
    log = _dating(months, FEBRUARY)
    for version, price_class in enumerate(("basic", "extra")):
        log.append(
            [
                Draft(
                    CATALOGUE_ITEM, "penalty", version, priced("penalty", price_class).as_document()
                )
            ],
            changed_by="admin",
            changed_at=FEBRUARY - 1 + version,
            reason="test",
        )
    classes = (await months.feed.refresh()).classes
    found = [classes.price_class("penalty", FEBRUARY + at) for at in (-1, 3, 4)]
    assert found == ["basic", "basic", "extra"]


async def test_class_that_could_count_only_much_later_is_not_changed_and_told_when_it_may_be(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(FEBRUARY + 5, 1)])
    with pytest.raises(Refused, match="2026-02-01T00:00:06Z") as refused:
        _changed(months, FEBRUARY, operator_class="bank")
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT
    _changed(months, FEBRUARY + 1, operator_class="bank")


async def test_revocation_counts_after_all_use_and_is_written_at_once(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(FEBRUARY + 3_600, 1)])
    _changed(months, FEBRUARY, state=OperatorState.OPERATOR_STATE_REVOKED)
    view = await months.feed.refresh()
    assert view.authority.operators["alpha"].state == OperatorState.OPERATOR_STATE_REVOKED
    stands = [view.classes.standing("alpha", FEBRUARY + at).stands for at in (3_600, 3_601)]
    assert stands == [True, False]


@pytest.mark.parametrize(
    "values",
    [{"display_name": "Renamed"}, {"state": OperatorState.OPERATOR_STATE_SUSPENDED}],
)
def test_what_use_is_not_rated_by_waits_for_nothing(months: Months, values: dict[str, Any]) -> None:
    """To suspend somebody, above all."""
    with SqlRatedPast(months.engines, StandingClock(FEBRUARY)).held():
        _changed(months, FEBRUARY, **values)
    assert not _starts(months)


def test_first_version_of_an_operator_is_not_dated(months: Months) -> None:
    with SqlRatedPast(months.engines, StandingClock(FEBRUARY)).held():
        _changed(months, FEBRUARY, "gamma", operator_class="bank")
    assert not _starts(months)


def _starts(months: Months) -> Sequence[Change]:
    return months.log.history(kind=CLASS_START, id="", after=0, limit=9)
