"""UsageService and SettlementService: what was used; prices and sharing rules."""

import asyncio
from collections.abc import Callable

from creditgate.rating.plans import plan_message
from creditgate.rating.prices import PRICE_PLAN, WITHDRAWN
from creditgate.refusal import invalid
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.note import note_faults
from gateway.settle.answer import rule_message
from gateway.settle.entry_into_force import (
    Present,
    plan_to_withdraw,
    require_new_plan,
    require_new_rule,
)
from gateway.settle.listing import dated_page
from gateway.settle.plan_request import MOST_REASON, new_price_plan, new_sharing_rule
from gateway.settle.priced import require_known_rebates, require_sound
from gateway.settle.request import UsageAsk, usage_ask
from gateway.settle.shares import SHARING_RULE
from gateway.settle.usage import UsageReader
from gateway.settle.usage_pages import UsagePage, usage_page, usage_token
from gateway.settle.views import RatedPast, SettlementFeed, SettlementView
from gateway.settle.whose import operator_asked
from operators.log import AuthorityLog, Draft

_Judge = Callable[[SettlementView, Present], Draft | None]
"""Returns what a request writes into the authority log, None where nothing is to be written, or
raises Refused. Pure."""


class UsageService:
    """Shows operators what they used, and administrators any operator's.

    No page has more than ``most_bytes``.
    """

    def __init__(
        self, reader: UsageReader, feed: SettlementFeed, clock: Clock, most_bytes: int
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._clock = clock
        self._most_bytes = most_bytes

    async def list_usage(
        self, request: usage_pb.ListUsageRequest, caller: Caller
    ) -> usage_pb.ListUsageResponse:
        """Answer ListUsage; raises Refused."""
        operator_id = operator_asked(request.operator_id, caller, self._feed.current().authority)
        ask = usage_ask(request, operator_id)
        page = await asyncio.to_thread(self._page, ask)
        return usage_pb.ListUsageResponse(
            entries=page.entries,
            next_page_token="" if page.end is None else usage_token(page.end, ask.filters),
        )

    def _page(self, ask: UsageAsk) -> UsagePage:
        found = self._reader.answers(
            ask.operator_id,
            from_=ask.from_,
            until=ask.until,
            request_id=ask.request_id,
            after=ask.begin.sequence - 1,
            least_entries=ask.page_size,
        )
        return usage_page(found, ask.begin, self._most_bytes)


class SettlementService:
    """Puts price plans and sharing rules into force, and lists them."""

    def __init__(self, log: AuthorityLog, past: RatedPast, feed: SettlementFeed) -> None:
        self._log = log
        self._past = past
        self._feed = feed
        # One creation at a time, so that each is judged against the one before.
        self._creating = asyncio.Lock()

    async def create_price_plan(
        self, request: settlement_pb.CreatePricePlanRequest, caller: Caller
    ) -> settlement_pb.CreatePricePlanResponse:
        """Answer CreatePricePlan; raises Refused, ETAG_MISMATCH when another process came first."""
        plan = new_price_plan(request.plan, request.reason)

        def judge(view: SettlementView, present: Present) -> Draft:
            require_new_plan(plan, view.prices, present)
            require_sound(request, plan, view.classes, view.prices)
            return Draft(PRICE_PLAN, plan.id, 0, plan.model_dump(mode="json"))

        await self._write(judge, caller, request.reason)
        return settlement_pb.CreatePricePlanResponse(plan=plan_message(plan))

    async def withdraw_price_plan(
        self, request: settlement_pb.WithdrawPricePlanRequest, caller: Caller
    ) -> settlement_pb.WithdrawPricePlanResponse:
        """Answer WithdrawPricePlan; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND,
        STATE_CONFLICT once it is in force, ETAG_MISMATCH when another process came first."""
        faults = note_faults("reason", request.reason, MOST_REASON)
        if faults:
            raise invalid(*faults)

        def judge(view: SettlementView, present: Present) -> Draft | None:
            plan = plan_to_withdraw(request.plan_id, view.prices, present)
            if plan is None:
                return None
            return Draft(PRICE_PLAN, plan.id, 1, {"plan_id": plan.id, WITHDRAWN: True})

        await self._write(judge, caller, request.reason)
        return settlement_pb.WithdrawPricePlanResponse()

    async def list_price_plans(
        self, request: settlement_pb.ListPricePlansRequest, caller: Caller
    ) -> settlement_pb.ListPricePlansResponse:
        """Answer ListPricePlans; raises Refused INVALID_REQUEST."""
        del caller  # nothing differs between callers
        plans = self._feed.current().prices.plans.things
        page = dated_page(plans, plan_message, request.page_size, request.page_token)
        return settlement_pb.ListPricePlansResponse(
            plans=page.messages, next_page_token=page.next_page_token
        )

    async def create_sharing_rule(
        self, request: settlement_pb.CreateSharingRuleRequest, caller: Caller
    ) -> settlement_pb.CreateSharingRuleResponse:
        """Answer CreateSharingRule; raises Refused, ETAG_MISMATCH when another process came first."""
        rule = new_sharing_rule(request.rule, request.reason)

        def judge(view: SettlementView, present: Present) -> Draft:
            require_new_rule(rule, view.sharing, present)
            require_known_rebates(request, view.classes)
            return Draft(SHARING_RULE, rule.id, 0, rule.model_dump(mode="json"))

        await self._write(judge, caller, request.reason)
        return settlement_pb.CreateSharingRuleResponse(rule=rule_message(rule))

    async def list_sharing_rules(
        self, request: settlement_pb.ListSharingRulesRequest, caller: Caller
    ) -> settlement_pb.ListSharingRulesResponse:
        """Answer ListSharingRules; raises Refused INVALID_REQUEST."""
        del caller  # nothing differs between callers
        rules = self._feed.current().sharing.rules.things
        page = dated_page(rules, rule_message, request.page_size, request.page_token)
        return settlement_pb.ListSharingRulesResponse(
            rules=page.messages, next_page_token=page.next_page_token
        )

    async def _write(self, judge: _Judge, caller: Caller, reason: str) -> None:
        """Write what ``judge`` returns, judged and written while the past stands still."""
        async with self._creating:
            view = await self._feed.refresh()
            await asyncio.to_thread(self._judged, judge, view, caller, reason)
            await self._feed.refresh()

    def _judged(self, judge: _Judge, view: SettlementView, caller: Caller, reason: str) -> None:
        with self._past.held() as present:
            draft = judge(view, present)
            if draft is not None:
                self._log.append(
                    [draft],
                    changed_by=caller.principal or caller.client_id,
                    changed_at=present.now,
                    reason=reason,
                    follows=view.sequence,
                )
