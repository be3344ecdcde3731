"""Settlement as it is called: by gRPC with its scopes, on both kinds of store."""

import time
from collections.abc import Awaitable

import grpc
import pytest

from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.settle.month import month_of, shifted
from tests.installation import ADMINISTRATOR, OPERATOR_ID, Installation
from tests.settlement.test_closing import FEE, served
from tests.settlement.world import Ledger


async def _status(call: Awaitable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return refusal.value.code()


async def test_month_is_closed_once_and_shown_to_both_sides(installation: Installation) -> None:
    this = month_of(int(time.time()))
    last = shifted(this, -1)
    ledger = Ledger(installation.engines, OPERATOR_ID)
    ledger.serve([served(last.from_ + n, n) for n in range(3)])
    async with (
        installation.running() as gateway,
        gateway.channel(ADMINISTRATOR) as administrator,
        gateway.channel() as operator,
    ):
        settlement = SettlementServiceStub(administrator)
        open_month = usage_pb.GetStatementRequest(month=last.name)
        before = (await UsageServiceStub(operator).GetStatement(open_month)).statement
        assert (before.total_micro_yuan, before.HasField("close_time")) == (3 * FEE, False)
        get = pb.GetSettlementRequest(month=last.name)
        assert await _status(settlement.GetSettlement(get)) == grpc.StatusCode.NOT_FOUND
        asked = pb.ClosePeriodRequest(month=last.name, request_id="close-1")
        closed = (await settlement.ClosePeriod(asked)).settlement
        ledger.serve([served(last.from_ + 9, 9)])
        again = pb.ClosePeriodRequest(month=last.name, request_id="close-2")
        assert (await settlement.ClosePeriod(again)).settlement == closed
        assert (await settlement.GetSettlement(get)).settlement == closed
        assert closed.total_micro_yuan == 3 * FEE
        shown = (await UsageServiceStub(operator).GetStatement(open_month)).statement
        assert shown.close_time == closed.close_time
        (late,) = (
            await UsageServiceStub(operator).GetStatement(
                usage_pb.GetStatementRequest(month=this.name)
            )
        ).statement.adjustments
        assert late.amount_micro_yuan == FEE
        journal = (await settlement.ListJournal(pb.ListJournalRequest(month=last.name))).entries
        assert [entry.operator_id for entry in journal] == [OPERATOR_ID]
        unfinished = pb.ClosePeriodRequest(month=this.name, request_id="close-3")
        assert await _status(settlement.ClosePeriod(unfinished)) == grpc.StatusCode.INVALID_ARGUMENT
        own = SettlementServiceStub(operator)
        assert await _status(own.ClosePeriod(again)) == grpc.StatusCode.PERMISSION_DENIED


async def test_listings_come_page_by_page_and_tokens_only_fit_their_listing(
    embedded: Installation,
) -> None:
    last = shifted(month_of(int(time.time())), -1)
    operators = ("alpha", "beta", "gamma")
    shared = Ledger(embedded.engines, OPERATOR_ID)
    for number, name in enumerate(operators):
        ledger = Ledger(embedded.engines, name, shared.revision_of, shared.line_of)
        ledger.serve([served(last.from_ + number, number)])
    async with embedded.running() as gateway, gateway.channel(ADMINISTRATOR) as channel:
        settlement = SettlementServiceStub(channel)
        await settlement.ClosePeriod(pb.ClosePeriodRequest(month=last.name, request_id="close"))
        found: list[str] = []
        token = ""
        while True:
            page = await settlement.ListClosings(
                pb.ListClosingsRequest(page_size=1, page_token=token)
            )
            found += [closing.operator_id for closing in page.closings]
            token = page.next_page_token
            if not token:
                break
        assert found == list(operators)
        entries: list[int] = []
        while True:
            listed = await settlement.ListJournal(
                pb.ListJournalRequest(page_size=2, page_token=token, account="platform")
            )
            entries += [entry.entry for entry in listed.entries]
            token = listed.next_page_token or token
            if not listed.next_page_token:
                break
        assert entries == [1, 2, 3]
        other = pb.ListJournalRequest(page_token=token, month=last.name)
        assert await _status(settlement.ListJournal(other)) == grpc.StatusCode.INVALID_ARGUMENT
        assert (
            await _status(settlement.ListClosings(pb.ListClosingsRequest(page_size=1_001)))
            == grpc.StatusCode.INVALID_ARGUMENT
        )
