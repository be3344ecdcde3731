"""Scenes of consents that stop: with a suspension for a while, and taken back for good."""

from contextlib import aclosing
from typing import Final

from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.audit_service_pb2 import TraceConsentRequest, TraceConsentResponse
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.operator_service_pb2 import (
    ReinstateOperatorRequest,
    ReinstateOperatorResponse,
    SuspendOperatorRequest,
    SuspendOperatorResponse,
)
from gateway.cli.terms import show_consent_state, show_data_life_end
from gateway.clock import SystemClock
from gateway.demo.account import Section, Step
from gateway.demo.cast import EVALUATION
from gateway.demo.changing import settled
from gateway.demo.consenting import GIVEN, LOAN, read_consent
from gateway.demo.enrolment import REASON
from gateway.demo.invented import CORRECTED
from gateway.demo.representing import LI_MING, Representative
from gateway.demo.stage import SERVED, Stage, outcome
from sdk.consents import Consents

_PAUSED: Final = "paused"
_SECONDS: Final = 5


async def paused(stage: Stage, li_ming: Representative, name: str) -> Section:
    """Suspend the operator of a consent, and reinstate it."""
    operator_id = stage.alpha.party.operator_id

    async def state() -> str:
        return await li_ming.state(name)

    async def use() -> str:
        return await outcome(_used(stage, name))

    await stage.administrator.ask(
        SuspendOperatorRequest(operator_id=operator_id, reason=REASON), SuspendOperatorResponse
    )
    during = await settled(state, GIVEN, _SECONDS)
    await stage.administrator.ask(
        ReinstateOperatorRequest(operator_id=operator_id, reason=REASON),
        ReinstateOperatorResponse,
    )
    again = await settled(state, _PAUSED, _SECONDS)
    return Section(
        "A suspension pauses an operator's consents, and each company is told",
        (
            Step(LI_MING, "looks at the consent while alpha is suspended", _PAUSED, during),
            Step(LI_MING, "looks at it after alpha was reinstated", GIVEN, again),
            Step("alpha", "asks again, naming the consent", SERVED, await use()),
        ),
    )


async def revoked(stage: Stage, li_ming: Representative, name: str) -> Section:
    """Take a consent back, have the operator told, and its copies removed."""
    state = await li_ming.revoke(name)
    refused = await outcome(_used(stage, name))
    told = await _told(stage, name)
    answer = await Consents(stage.alpha.gateway.channel).acknowledge([name], SystemClock().now())
    removal = (await read_consent(stage, name)).removal
    return Section(
        "A company takes its consent back, and is told what became of the copies",
        (
            Step(LI_MING, "takes the consent back, in two clicks", "revoked", state),
            Step("alpha", "asks again, naming the consent", "CONSENT_REVOKED", refused),
            Step(
                "alpha",
                "hears of it on its stream of changes",
                "paused, granted, revoked: delete copies within a day",
                told,
            ),
            Step(
                "alpha",
                "deletes its copies and says so",
                "1 acknowledged, in time",
                f"{answer.acknowledged_removals} acknowledged, {'late' if removal.overdue else 'in time'}",
            ),
            Step(
                "administrator",
                "traces the consent: changes, uses, copies",
                "5 changes, 2 uses, 1 removal",
                await _traced(stage, name),
            ),
        ),
    )


async def _used(stage: Stage, name: str) -> GetSubjectRecordsResponse:
    return await stage.alpha.subject(CORRECTED, EVALUATION, purpose=LOAN, consent=name)


async def _told(stage: Stage, name: str) -> str:
    """Return what the operator's stream told of a consent after it was granted."""
    changes: list[pb.WatchConsentsResponse] = []
    async with aclosing(Consents(stage.alpha.gateway.channel).follow()) as followed:
        async for change in followed:
            if change.event.consent == name:
                changes.append(change)
            if change.event.state == pb.ConsentState.CONSENT_STATE_REVOKED:
                break
    states = [show_consent_state(change.event.state) for change in changes]
    return f"{', '.join(states[2:])}: {_duty(changes[-1])}"


async def _traced(stage: Stage, name: str) -> str:
    trace = await stage.administrator.ask(TraceConsentRequest(consent=name), TraceConsentResponse)
    steps = [step.WhichOneof("step") for step in trace.steps]
    changes, uses, removals = map(steps.count, ("consent", "usage", "removal"))
    return f"{changes} changes, {uses} uses, {removals} removal"


def _duty(change: pb.WatchConsentsResponse) -> str:
    left = change.data_life_until.seconds - change.event.event_time.seconds
    when = "within a day" if 0 < left <= 86_400 else f"within {left} s"
    return f"{show_data_life_end(change.data_life_end)} copies {when}"
