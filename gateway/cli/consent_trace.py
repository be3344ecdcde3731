"""``creditgate consent trace``: all that became of a consent, for administrators."""

from typing import Annotated

import typer

from creditgate.v1.audit_service_pb2 import TraceConsentRequest, TraceConsentResponse
from gateway.cli import calls, terms
from gateway.cli.consent_sheets import consent_sheet
from gateway.cli.options import PROFILE, AsJson, From, Profile, Until
from gateway.cli.output import show
from gateway.cli.pages import PageSize, PageToken, resource, tell_more
from gateway.cli.trace_sheets import Held, Pinned, decision_log, proved, steps_sheet


def trace(
    name: Annotated[str, typer.Argument(metavar="CONSENT", help="Id of the consent.")],
    from_: From = None,
    until: Until = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    key: Pinned = "",
    held: Held = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell every change of a consent, every decision about it and every use made under it.

    For administrators.
    """
    request = TraceConsentRequest(
        consent=resource("consents", name),
        period=terms.interval(from_, until),
        page_size=page_size,
        page_token=page_token,
    )
    log = decision_log(key, held)
    if log is not None:
        request.known_tree_size = log.known_tree_size
    answer = calls.ask(profile, request, TraceConsentResponse)
    sheets = [] if log is None else [proved(log, answer)]
    steps = steps_sheet(answer.steps)
    show(answer, consent_sheet(answer.consent), steps, *sheets, as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)
