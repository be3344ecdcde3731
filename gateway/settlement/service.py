"""SettlementService and UsageService, their methods about months: statements, closings, the
journal, credit notes."""

import asyncio

from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.settle.paging import page_token
from gateway.settle.request import month_asked
from gateway.settle.views import SettlementFeed
from gateway.settle.whose import operator_asked
from gateway.settlement.closing import Closer
from gateway.settlement.journal_store import SqlJournal
from gateway.settlement.request import (
    closings_ask,
    journal_ask,
    month_to_close,
    settled_month,
)
from gateway.settlement.settling import Settler
from gateway.settlement.store import SqlClosings
from gateway.shares import Shares


class UsageStatements:
    """Shows statements: closed ones as they were closed, others as they stand."""

    def __init__(self, closer: Closer, feed: SettlementFeed, clock: Clock, shares: Shares) -> None:
        self._closer = closer
        self._feed = feed
        self._clock = clock
        self._shares = shares

    async def get_statement(
        self, request: usage_pb.GetStatementRequest, caller: Caller
    ) -> usage_pb.GetStatementResponse:
        """Answer GetStatement.

        Raises Refused, STATE_CONFLICT where a sharing rule lacks, RATE_EXCEEDED where too
        many statements of the caller's are worked out.
        """
        view = self._feed.current()
        operator_id = operator_asked(request.operator_id, caller, view.authority)
        month = month_asked(request.month, self._clock.now())
        statement = await self._shares.run(
            caller.asker, self._closer.present, operator_id, month, view
        )
        return usage_pb.GetStatementResponse(statement=statement)


class ClosingService:
    """Closes months, and shows what was closed and booked."""

    def __init__(
        self,
        settler: Settler,
        closings: SqlClosings,
        journal: SqlJournal,
        feed: SettlementFeed,
        clock: Clock,
        shares: Shares,
    ) -> None:
        self._settler = settler
        self._closings = closings
        self._journal = journal
        self._feed = feed
        self._clock = clock
        self._shares = shares
        # A month is closed once: whoever asks meanwhile waits for it.
        self._closing = asyncio.Lock()

    async def close_period(
        self, request: pb.ClosePeriodRequest, caller: Caller
    ) -> pb.ClosePeriodResponse:
        """Answer ClosePeriod; what is closed already is returned as it was. Raises Refused."""
        month = month_to_close(request, self._clock.now())
        by = _who(caller)
        async with self._closing:
            view = await self._feed.refresh()
            settlement = await self._shares.run(
                by, self._settler.settle, month, view, by, request.request_id, self._clock.now()
            )
        return pb.ClosePeriodResponse(settlement=settlement)

    async def get_settlement(
        self, request: pb.GetSettlementRequest, caller: Caller
    ) -> pb.GetSettlementResponse:
        """Answer GetSettlement; raises Refused RESOURCE_NOT_FOUND, with the month that is closed
        next, for a month that is open."""
        month, by = settled_month(request.month), _who(caller)
        settled = await self._shares.run(by, self._closings.settled, month.name)
        if settled is None:
            view, now = self._feed.current(), self._clock.now()
            next_one = (await self._shares.run(by, self._settler.next_month, view, now)).name
            raise Refused(
                RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
                "The month is not closed. SettlementService.ClosePeriod closes months in order: the"
                f" next one is {next_one}.",
                metadata={"next_month": next_one},
            )
        return pb.GetSettlementResponse(settlement=settled.settlement)

    async def list_closings(
        self, request: pb.ListClosingsRequest, caller: Caller
    ) -> pb.ListClosingsResponse:
        """Answer ListClosings; raises Refused."""
        ask = closings_ask(request)
        found = await self._shares.run(
            _who(caller),
            self._closings.closings,
            request.operator_id,
            request.month,
            ask.after,
            ask.limit + 1,
        )
        page = found[: ask.limit]
        last = f"{page[-1].month}:{page[-1].operator_id}" if len(found) > ask.limit else ""
        return pb.ListClosingsResponse(
            closings=page, next_page_token=page_token(last, ask.filters) if last else ""
        )

    async def list_journal(
        self, request: pb.ListJournalRequest, caller: Caller
    ) -> pb.ListJournalResponse:
        """Answer ListJournal; raises Refused."""
        ask = journal_ask(request)
        found = await self._shares.run(
            _who(caller),
            self._journal.entries,
            request.month,
            request.operator_id,
            request.account,
            after=ask.after,
            limit=ask.limit + 1,
        )
        page = found[: ask.limit]
        more = len(found) > ask.limit
        return pb.ListJournalResponse(
            entries=page,
            next_page_token=page_token(page[-1].entry, ask.filters) if more else "",
        )


def _who(caller: Caller) -> str:
    return caller.principal or caller.client_id
