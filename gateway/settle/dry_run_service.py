"""SettlementService, the method that tries a price plan on past use."""

from bisect import bisect_right
from typing import Final

from creditgate.rating.prices import PricePlan
from creditgate.rating.terms import cuts
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.settle.answer import charge_message
from gateway.settle.dry_run import Tried, dry_run
from gateway.settle.month import Month
from gateway.settle.paging import Filters, id_of, page_token
from gateway.settle.plan_request import tried_price_plan
from gateway.settle.request import month_asked
from gateway.settle.use import MonthUseReader
from gateway.settle.views import SettlementFeed, SettlementView
from gateway.shares import Shares

MOST_OPERATORS: Final = 100
USUAL_OPERATORS: Final = 20
# Bills may be long, and a page is one message.
_MOST_PAGE_BYTES: Final = 2 << 20


class DryRunService:
    """Rates past use by a plan that is not in force."""

    def __init__(
        self, reader: MonthUseReader, feed: SettlementFeed, clock: Clock, shares: Shares
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._clock = clock
        self._shares = shares

    async def dry_run_price_plan(
        self, request: pb.DryRunPricePlanRequest, caller: Caller
    ) -> pb.DryRunPricePlanResponse:
        """Answer DryRunPricePlan.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND for an operator that is none,
        RATE_EXCEEDED where too many dry runs of the caller's are under way.
        """
        view = self._feed.current()
        month = month_asked(request.month, self._clock.now())
        plan = tried_price_plan(request.plan, month.from_)
        filters: Filters = (
            request.operator_id,
            request.month,
            request.plan.SerializeToString(deterministic=True).hex(),
        )
        waiting = _operators(request, view, filters)
        bills: list[pb.TriedBill] = []
        size = 0
        for operator_id in waiting[: request.page_size or USUAL_OPERATORS]:
            tried = await self._shares.run(
                caller.principal or caller.client_id, self._tried, operator_id, plan, month, view
            )
            bills.append(_message(operator_id, tried))
            size += bills[-1].ByteSize()
            if size > _MOST_PAGE_BYTES:
                break
        more = len(bills) < len(waiting)
        return pb.DryRunPricePlanResponse(
            bills=bills,
            next_page_token=page_token(bills[-1].operator_id, filters) if more else "",
        )

    def _tried(
        self, operator_id: str, plan: PricePlan, month: Month, view: SettlementView
    ) -> Tried:
        prices, rules, classes = view.prices, view.sharing.rules, view.classes
        starts = cuts(operator_id, month.from_, month.until, prices, rules, classes)
        use = self._reader.month_use(operator_id, starts, month.until, classes.price_class)
        return dry_run(use, plan, prices, rules, classes)


def _operators(
    request: pb.DryRunPricePlanRequest, view: SettlementView, filters: Filters
) -> list[str]:
    """Return the operators from the page asked for on, in order of id."""
    operators = view.authority.operators
    after = id_of(request.page_token, filters)
    faults: list[Violation] = []
    if not 0 <= request.page_size <= MOST_OPERATORS:
        mend = f"use 1 to {MOST_OPERATORS}, or 0 for {USUAL_OPERATORS}"
        faults.append(Violation("page_size", mend))
    if after is None:
        mend = "use the next_page_token of an earlier page of the same dry run"
        faults.append(Violation("page_token", mend))
    if faults:
        raise invalid(*faults)
    if request.operator_id and request.operator_id not in operators:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
            "No operator has this operator_id; ListOperators lists them.",
        )
    ids = [request.operator_id] if request.operator_id else sorted(operators)
    return ids[bisect_right(ids, after or "") :]


def _message(operator_id: str, tried: Tried) -> pb.TriedBill:
    return pb.TriedBill(
        operator_id=operator_id,
        plan_ids=tried.rated.plan_ids,
        total_micro_yuan=tried.rated.total,
        tried_micro_yuan=tried.tried.total,
        charges=map(charge_message, tried.tried.charges),
        unpriced_records=tried.unpriced,
    )
