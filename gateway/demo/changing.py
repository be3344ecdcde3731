"""Scenes of change: correction, repair and suspension act on the next call."""

import time
from typing import Final

from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import (
    ReinstateOperatorRequest,
    ReinstateOperatorResponse,
    SuspendOperatorRequest,
    SuspendOperatorResponse,
)
from gateway.demo.account import Section, Step
from gateway.demo.cast import DEBARMENT
from gateway.demo.enrolment import REASON
from gateway.demo.invented import CORRECTED, REPAIRED, penalty_content
from gateway.demo.stage import SERVED, Stage, found, outcome, shown_records

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
    operator_id = stage.beta.party.operator_id
    before = await outcome(stage.beta.subject(CORRECTED, DEBARMENT))
    await stage.administrator.ask(
        SuspendOperatorRequest(operator_id=operator_id, reason=REASON), SuspendOperatorResponse
    )
    started = time.monotonic()
    during = SERVED
    while during == SERVED and time.monotonic() - started < _WITHIN_SECONDS:
        during = await outcome(stage.beta.subject(CORRECTED, DEBARMENT))
    await stage.administrator.ask(
        ReinstateOperatorRequest(operator_id=operator_id, reason=REASON),
        ReinstateOperatorResponse,
    )
    started = time.monotonic()
    after = "OPERATOR_SUSPENDED"
    while after == "OPERATOR_SUSPENDED" and time.monotonic() - started < _WITHIN_SECONDS:
        after = await outcome(stage.beta.subject(CORRECTED, DEBARMENT))
    return Section(
        "A suspension acts within a second, on tokens already given",
        (
            Step("beta", "asks while it may", SERVED, before),
            Step("beta", "asks while it is suspended", "OPERATOR_SUSPENDED", during),
            Step("beta", "asks after it was reinstated", SERVED, after),
        ),
    )
