"""Scenes of change: correction, repair and suspension act on the next call."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import (
    ReinstateOperatorRequest,
    ReinstateOperatorResponse,
    SuspendOperatorRequest,
    SuspendOperatorResponse,
)
from gateway.demo.account import Section, Step
from gateway.demo.cast import PRICES, REGISTRATION
from gateway.demo.enrolment import REASON
from gateway.demo.invented import CORRECTED, REPAIRED, penalty_content
from gateway.demo.stage import (
    SERVED,
    Stage,
    answered,
    answered_by,
    found,
    outcome,
    shown_records,
)

_LOWER_FINE: Final = 300_000
_WITHIN_SECONDS: Final = 1


async def corrected(stage: Stage) -> Section:
    """Correct a penalty, then ask for it."""
    draft = stage.invented.to_correct
    content = penalty_content(draft.disclosed_from.seconds, _LOWER_FINE)
    request = pb.CorrectRecordRequest(
        name=f"records/{draft.record_id}", expected_revision=1, content=content, reason=REASON
    )
    response = await stage.publisher.ask(request, pb.CorrectRecordResponse)
    answer = await stage.alpha.subject(CORRECTED)
    record = found(answer.records, draft.record_id)
    steps = (
        Step(
            "publisher",
            "corrects the fine of an invented penalty",
            "revision 2",
            f"revision {response.record.revision}",
        ),
        Step(
            "alpha",
            "asks again",
            "revision 2 with the new content",
            "no such record"
            if record is None
            else f"revision {record.revision} with the "
            + ("new content" if record.content == content else "old content"),
        ),
    )
    return Section("A correction acts on the next call", steps, (shown_records(answer.records),))


async def repaired(stage: Stage) -> Section:
    """Repair a company's credit, then ask for its penalty."""
    record_id = stage.invented.to_repair.record_id
    before = await stage.alpha.subject(REPAIRED)
    request = pb.RepairRecordRequest(
        name=f"records/{record_id}",
        expected_revision=1,
        decision_reference="示例修复第1号（虚构）",
    )
    await stage.publisher.ask(request, pb.RepairRecordResponse)
    after = await stage.alpha.subject(REPAIRED)
    by_name = await outcome(stage.alpha.record(record_id))
    steps = (
        Step("alpha", "asks before the repair", "2 records", f"{len(before.records)} records"),
        Step(
            "alpha",
            "asks after the publisher repaired the penalty (信用修复)",
            "1 record, the penalty gone",
            f"{len(after.records)} record, the penalty "
            + ("gone" if found(after.records, record_id) is None else "still there"),
        ),
        Step("alpha", "asks for the repaired record by name", "RECORD_NOT_DISCLOSED", by_name),
    )
    return Section("A repair acts on the next call", steps)


async def suspended(stage: Stage) -> Section:
    """Suspend an operator whose token is good, and reinstate it."""
    alpha = stage.alpha
    operator_id = alpha.party.operator_id

    async def ask() -> str:
        return await outcome(alpha.subject(CORRECTED, REGISTRATION))

    before = await alpha.subject(CORRECTED, REGISTRATION)
    await stage.administrator.ask(
        SuspendOperatorRequest(operator_id=operator_id, reason=REASON), SuspendOperatorResponse
    )
    during = await settled(ask, SERVED)
    await stage.administrator.ask(
        ReinstateOperatorRequest(operator_id=operator_id, reason=REASON),
        ReinstateOperatorResponse,
    )
    reinstated = await settled(ask, "OPERATOR_SUSPENDED")
    after = (
        answered_by(await alpha.subject(CORRECTED, REGISTRATION))
        if reinstated == SERVED
        else reinstated
    )
    one = answered(1, PRICES["basic"])
    return Section(
        "A suspension acts within a second, on tokens already given",
        (
            Step("alpha", "asks for a registration while it may", one, answered_by(before)),
            Step("alpha", "asks while it is suspended", "OPERATOR_SUSPENDED", during),
            Step("alpha", "asks after it was reinstated", one, after),
        ),
    )


async def settled(
    ask: Callable[[], Awaitable[str]], earlier: str, seconds: float = _WITHIN_SECONDS
) -> str:
    """Ask until the outcome is no more the earlier one, for a second at most."""
    started = time.monotonic()
    told = earlier
    while told == earlier and time.monotonic() - started < seconds:
        told = await ask()
    return told
