"""``creditgate consent``: asked for, looked at, given up, and cleared up after."""

from typing import Annotated, Final

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import conformance_service_pb2 as conformance_pb
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.cli import acknowledging, calls, consent_receipt, terms
from gateway.cli.acknowledging import RemovedAt
from gateway.cli.consent_sheets import access_sheet, consent_sheet, consents_sheet
from gateway.cli.consent_trace import trace
from gateway.cli.consent_watch import watch
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import INT32, PROFILE, AsJson, From, Profile, Purposes, Regions, Until
from gateway.cli.output import Sheet, show
from gateway.cli.pages import PageToken, resource, tell_more
from gateway.clock import SystemClock
from sdk.request_ids import new_request_id

app = typer.Typer(help="Consents (授权): ask for one, follow it, give it up.", no_args_is_help=True)

_DAY: Final = 86_400
_ONCE: Final = pb.ConsentAccessMode.CONSENT_ACCESS_MODE_ONCE
_TIMES_PER_DAY: Final = pb.ConsentAccessMode.CONSENT_ACCESS_MODE_TIMES_PER_DAY

_Name = Annotated[str, typer.Argument(metavar="CONSENT", help="Id of the consent.")]
_MOST_DAYS: Final = 36_500
_PageSize = Annotated[int, typer.Option("--page-size", min=1, max=200)]


@app.command("request", cls=ReportedCommand)
def request(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Credit code (USCC).")],
    items: Annotated[
        list[str],
        typer.Option(
            "--item",
            metavar="CODE[:FIELD,…]",
            help="Catalogue item, of it these fields alone; repeat for more.",
        ),
    ],
    purposes: Purposes,
    regions: Regions,
    data_life_days: Annotated[
        int,
        typer.Option(
            "--data-life",
            min=1,
            max=_MOST_DAYS,
            metavar="DAYS",
            help="How long you may keep each record after it was last given.",
        ),
    ],
    valid_days: Annotated[
        int | None,
        typer.Option(
            "--valid-days",
            min=1,
            max=_MOST_DAYS,
            metavar="DAYS",
            help="How long it may be used; or say --until.",
        ),
    ] = None,
    until: Until = None,
    from_: From = None,
    access_mode: Annotated[
        pb.ConsentAccessMode.ValueType | None,
        typer.Option(
            "--access",
            parser=terms.access_mode,
            autocompletion=terms.access_modes,
            metavar="ACCESS",
            help="How often it may be used: once, within-period or times-per-day.",
            show_default="once; with --times-per-day, times-per-day",
        ),
    ] = None,
    times_per_day: Annotated[
        int,
        typer.Option(
            "--times-per-day",
            min=0,
            max=INT32,
            metavar="NUMBER",
            help="Most answered requests in a UTC day.",
        ),
    ] = 0,
    answer_form: Annotated[
        pb.ConsentAnswerForm.ValueType | None,
        typer.Option(
            "--form",
            parser=terms.answer_form,
            autocompletion=terms.answer_forms,
            metavar="FORM",
            help="What is answered: records, or grade, the evaluation result alone.",
            show_default="records",
        ),
    ] = None,
    data_life_end: Annotated[
        pb.DataLifeEnd.ValueType | None,
        typer.Option(
            "--data-life-end",
            parser=terms.data_life_end,
            autocompletion=terms.data_life_ends,
            metavar="END",
            help="What happens to copies then: delete or anonymise.",
            show_default="delete",
        ),
    ] = None,
    message: Annotated[str, typer.Option("--message", help="What you tell the subject.")] = "",
    language: Annotated[
        str, typer.Option("--language", help="Language to address it in (BCP 47).")
    ] = "",
    answer_until: Annotated[
        int | None,
        typer.Option(
            "--answer-until",
            parser=terms.instant,
            metavar="TIME",
            help="Until when it may answer (UTC).",
            show_default="in 7 days",
        ),
    ] = None,
    request_id: Annotated[
        str | None, typer.Option("--request-id", help="Idempotency key; the same asks once.")
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Ask a subject for its consent, as an operator's client; it answers on its own page."""
    often = _TIMES_PER_DAY if times_per_day else _ONCE
    wanted = pb.ConsentTerms(
        items=[_item(text) for text in items],
        purposes=purposes,
        answer_form=answer_form or pb.ConsentAnswerForm.CONSENT_ANSWER_FORM_RECORDS,
        access_mode=access_mode or often,
        times_per_day=times_per_day,
        validity=_validity(from_, until, valid_days),
        data_life=Duration(seconds=data_life_days * _DAY),
        data_life_end=data_life_end or pb.DataLifeEnd.DATA_LIFE_END_DELETE,
        regions=regions,
    )
    answer = calls.ask(
        profile,
        pb.RequestConsentRequest(
            subject=subject,
            terms=wanted,
            message=message,
            language=language,
            answer_until=None if answer_until is None else Timestamp(seconds=answer_until),
            request_id=request_id or new_request_id(),
        ),
        pb.RequestConsentResponse,
    )
    page = Sheet("Answered at", ("page",), [(answer.answer_uri,)], blocks=True)
    show(answer, consent_sheet(answer.consent), page, as_json=as_json)


@app.command("show", cls=ReportedCommand)
def show_(name: _Name, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Show one consent, whole."""
    answer = calls.ask(
        profile, pb.GetConsentRequest(name=resource("consents", name)), pb.GetConsentResponse
    )
    show(answer, consent_sheet(answer.consent), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(
    subject: Annotated[str, typer.Option("--subject", help="Only those of this subject.")] = "",
    operator_id: Annotated[
        str, typer.Option("--operator", help="Only those of this operator.")
    ] = "",
    state: Annotated[
        pb.ConsentState.ValueType | None,
        typer.Option(
            "--state",
            parser=terms.consent_state,
            autocompletion=terms.consent_states,
            metavar="STATE",
            help="Only those that stand so, such as granted.",
        ),
    ] = None,
    page_size: _PageSize = 50,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List consents, newest first, a page at a time."""
    answer = calls.ask(
        profile,
        pb.ListConsentsRequest(
            subject=subject,
            operator_id=operator_id,
            state=state or pb.ConsentState.CONSENT_STATE_UNSPECIFIED,
            page_size=page_size,
            page_token=page_token,
        ),
        pb.ListConsentsResponse,
    )
    show(answer, consents_sheet(answer.consents), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command("revoke", cls=ReportedCommand)
def revoke(
    name: _Name,
    reason: Annotated[str, typer.Option("--reason", help="Why; the subject is told.")] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Give a consent up at once, as an operator's client."""
    answer = calls.ask(
        profile,
        pb.RevokeConsentRequest(name=resource("consents", name), reason=reason),
        pb.RevokeConsentResponse,
    )
    show(answer, consent_sheet(answer.consent), as_json=as_json)


@app.command("accesses", cls=ReportedCommand)
def accesses(
    name: Annotated[
        str, typer.Argument(metavar="[CONSENT]", help="Only uses under this consent.")
    ] = "",
    subject: Annotated[str, typer.Option("--subject", help="Uses of this subject's records.")] = "",
    from_: From = None,
    until: Until = None,
    page_size: _PageSize = 50,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List who used records, newest first; to an operator, its own uses alone."""
    answer = calls.ask(
        profile,
        pb.ListAccessesRequest(
            consent=resource("consents", name) if name else "",
            subject=subject,
            period=terms.interval(from_, until),
            page_size=page_size,
            page_token=page_token,
        ),
        pb.ListAccessesResponse,
    )
    show(answer, access_sheet(answer.accesses), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command("acknowledge", cls=ReportedCommand)
def acknowledge(
    names: Annotated[list[str], typer.Argument(metavar="CONSENT...", help="Ids of the consents.")],
    removed_at: RemovedAt = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Report that nothing is held any more of what was served under ended consents."""
    removals = [
        conformance_pb.RemovalAcknowledgement(consent=resource("consents", name)) for name in names
    ]
    acknowledging.acknowledge(profile, removals, removed_at, as_json=as_json)


app.command("watch", cls=ReportedCommand)(watch)
app.command("trace", cls=ReportedCommand)(trace)
app.add_typer(consent_receipt.app, name="receipt")


def _validity(from_: int | None, until: int | None, days: int | None) -> Interval:
    """Return from when to when a consent may be used; it begins now where nothing is said."""
    if (until is None) == (days is None):
        raise typer.BadParameter("say --until or --valid-days, one of the two")
    begins = SystemClock().now() if from_ is None else from_
    return terms.interval(begins, until if days is None else begins + days * _DAY)


def _item(text: str) -> pb.ConsentItem:
    code, _, fields = text.partition(":")
    return pb.ConsentItem(item=code, fields=filter(None, fields.split(",")))
