"""``creditgate consent trace``: all that became of a consent, for administrators."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.refusal import reason_name
from creditgate.v1.audit_service_pb2 import (
    DecisionOutcome,
    TraceConsentRequest,
    TraceConsentResponse,
    TraceStep,
)
from gateway.cli import calls, terms
from gateway.cli.consent_sheets import consent_sheet
from gateway.cli.options import PROFILE, AsJson, From, Profile, Until
from gateway.cli.output import Sheet, show, utc
from gateway.cli.pages import PageSize, PageToken, resource, tell_more


def trace(
    name: Annotated[str, typer.Argument(metavar="CONSENT", help="Id of the consent.")],
    from_: From = None,
    until: Until = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell every change of a consent, every decision about it and every use made under it.

    For administrators.
    """
    answer = calls.ask(
        profile,
        TraceConsentRequest(
            consent=resource("consents", name),
            period=terms.interval(from_, until),
            page_size=page_size,
            page_token=page_token,
        ),
        TraceConsentResponse,
    )
    show(answer, consent_sheet(answer.consent), _steps_sheet(answer.steps), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


def _steps_sheet(steps: Iterable[TraceStep]) -> Sheet:
    return Sheet(
        "Trace, oldest first",
        ("at", "what", "for", "record"),
        [(utc(step.step_time), *_told(step)) for step in steps],
    )


def _told(step: TraceStep) -> tuple[str, str, str]:
    if step.HasField("usage"):
        return "used", terms.show_purpose(step.usage.purpose), step.usage.record
    if step.HasField("removal"):
        return "copies gone", "", ""
    if step.HasField("decision"):
        entry = step.decision.entry
        refused = entry.outcome == DecisionOutcome.DECISION_OUTCOME_REFUSED
        what = f"refused: {reason_name(entry.reason)}" if refused else "answered"
        return what, terms.show_purpose(entry.purpose), ""
    return terms.show_consent_state(step.consent.state), "", ""
