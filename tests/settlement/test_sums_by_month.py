"""Sums of use by month, beside the statements that docs/exports.md relates them to."""

import time
from pathlib import Path

from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.analytics.archive import extend
from gateway.analytics.question import ask
from gateway.settle.month import month_of, shifted
from tests.installation import ADMINISTRATOR, OPERATOR_ID, Installation
from tests.settlement.test_closing import FEE, served
from tests.settlement.world import Ledger


async def test_sums_of_a_month_are_its_statement_and_what_later_ones_adjust_of_it(
    installation: Installation, tmp_path: Path
) -> None:
    this = month_of(int(time.time()))
    last = shifted(this, -1)
    ledger = Ledger(installation.engines, OPERATOR_ID)
    ledger.serve([served(last.from_ + n, n) for n in range(3)])

    def sums(month: str) -> tuple[int, ...]:
        """Return the records and fees of a month's use, as the archive has them by then."""
        extend(tmp_path, installation.engines.records)
        query = "SELECT sum(records)::BIGINT, sum(fee_micro_yuan)::BIGINT FROM usage"
        (row,) = ask(tmp_path, f"{query} WHERE month = '{month}'").rows
        return tuple(row)

    async with (
        installation.running() as gateway,
        gateway.channel(ADMINISTRATOR) as administrator,
        gateway.channel() as operator,
    ):

        async def statement(month: str) -> usage_pb.Statement:
            asked = usage_pb.GetStatementRequest(month=month)
            return (await UsageServiceStub(operator).GetStatement(asked)).statement

        asked = pb.ClosePeriodRequest(month=last.name, request_id="close")
        await SettlementServiceStub(administrator).ClosePeriod(asked)
        closed = await statement(last.name)
        assert sums(last.name) == (closed.total_entries, closed.total_micro_yuan) == (3, 3 * FEE)
        ledger.serve([served(last.from_ + 60 + n, 10 + n) for n in range(5)])
        ledger.reverse(0, 1)
        assert (await statement(last.name)) == closed
        (adjusted,) = (await statement(this.name)).adjustments
        assert adjusted.month == last.name
        assert sums(last.name) == (
            closed.total_entries + sum(line.entries for line in adjusted.lines),
            closed.total_micro_yuan + adjusted.amount_micro_yuan,
        )
        assert sums(last.name) == (7, 7 * FEE)
