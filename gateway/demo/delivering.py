"""Scene of a delivery that breaks: what was not acknowledged is credited, and cannot be had again."""

import asyncio
from contextlib import aclosing
from typing import Final

from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.usage_service_pb2 import (
    DeliveryState,
    GetDeliveryRequest,
    GetDeliveryResponse,
    GetStatementRequest,
    GetStatementResponse,
)
from gateway.cli.batch import delivered
from gateway.cli.output import yuan
from gateway.clock import SystemClock
from gateway.demo.account import Section, Step
from gateway.demo.invented import COMPANIES
from gateway.demo.stage import CHECK, Stage, outcome
from gateway.settle.month import month_of
from sdk.request_ids import new_request_id

_SETTLED_SECONDS: Final = 20
_LOOK_SECONDS: Final = 0.2


async def broken(stage: Stage) -> Section:
    """Take a delivery, fail before anything of it is kept, and see what it cost."""
    alpha = stage.alpha.gateway
    before = await _owed(stage)
    request = pb.BatchGetSubjectRecordsRequest(
        subjects=COMPANIES, purpose=CHECK, request_id=new_request_id()
    )
    async with aclosing(delivered(alpha, request)) as answers:
        came, _ = await anext(answers)
    told = await _settled(stage, request.request_id)
    after = await _owed(stage)
    steps = (
        Step(
            "alpha",
            "takes a delivery, and its program dies before the records are kept",
            "some records, none acknowledged",
            "some records, none acknowledged"
            if came and not told.acknowledged_records
            else f"{len(came)} records, {told.acknowledged_records} acknowledged",
        ),
        Step(
            "alpha",
            "does not come back, so the delivery is settled at the last record acknowledged",
            f"{told.charged_records} records credited",
            f"{told.credited_records} records credited",
        ),
        Step(
            "alpha",
            "looks what it owes",
            f"as before: {yuan(before)} yuan",
            f"as before: {yuan(after)} yuan",
        ),
        Step(
            "alpha",
            "asks for the same delivery again, which would be for nothing",
            "REQUEST_ID_REUSED",
            await outcome(_again(stage, request)),
        ),
    )
    return Section("A delivery that breaks costs what was acknowledged", steps)


async def _again(stage: Stage, request: pb.BatchGetSubjectRecordsRequest) -> None:
    async with aclosing(delivered(stage.alpha.gateway, request)) as answers:
        await anext(answers)


async def _owed(stage: Stage) -> int:
    """Return what alpha owes for the month so far, in micro-yuan."""
    month = month_of(SystemClock().now()).name
    answer = await stage.alpha.gateway.ask(GetStatementRequest(month=month), GetStatementResponse)
    return answer.statement.total_micro_yuan


async def _settled(stage: Stage, request_id: str) -> GetDeliveryResponse:
    """Return how the delivery stands, once it is over if it comes to that."""
    request = GetDeliveryRequest(request_id=request_id)
    for _ in range(int(_SETTLED_SECONDS / _LOOK_SECONDS)):
        told = await stage.alpha.gateway.ask(request, GetDeliveryResponse)
        if told.state != DeliveryState.DELIVERY_STATE_OPEN:
            return told
        await asyncio.sleep(_LOOK_SECONDS)
    return await stage.alpha.gateway.ask(request, GetDeliveryResponse)
