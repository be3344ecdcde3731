"""``creditgate conformance``: how operators stand, and what is decided about findings."""

from pathlib import Path
from typing import Annotated

import typer

from creditgate.v1 import conformance_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.conformance_sheets import (
    attestations_sheet,
    finding_sheet,
    findings_sheet,
    standing_sheet,
)
from gateway.cli.conformance_terms import (
    finding_state,
    finding_states,
    show_finding_kind,
    show_stage,
)
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Config, From, Profile, Until, Why
from gateway.cli.output import Sheet, console, print_json, show, show_sheet
from gateway.cli.outputs import output_file
from gateway.cli.pages import PageSize, PageToken, resource, tell_more
from gateway.cli.terms import interval

app = typer.Typer(
    help="Operators' conformance (一致性): standing, findings, decisions.", no_args_is_help=True
)

_FINDINGS = "findings"
_OperatorId = Annotated[str, typer.Argument(metavar="OPERATOR", help="Id of the operator.")]
_Finding = Annotated[str, typer.Argument(metavar="FINDING", help="Id of the finding.")]


@app.command("show", cls=ReportedCommand)
def show_(operator_id: _OperatorId, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Show how an operator stands, and how it came there."""
    request = pb.GetConformanceRequest(operator_id=operator_id)
    answer = calls.ask(profile, request, pb.GetConformanceResponse)
    show(answer, standing_sheet(answer), as_json=as_json)


@app.command("attestations", cls=ReportedCommand)
def attestations(
    operator_id: _OperatorId,
    from_: From = None,
    until: Until = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List an operator's attestations, newest first, a page at a time."""
    request = pb.ListAttestationsRequest(
        operator_id=operator_id,
        period=interval(from_, until),
        page_size=page_size,
        page_token=page_token,
    )
    answer = calls.ask(profile, request, pb.ListAttestationsResponse)
    show(answer, attestations_sheet(answer.attestations), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command("findings", cls=ReportedCommand)
def findings(
    operator_id: _OperatorId,
    state: Annotated[
        pb.FindingState.ValueType | None,
        typer.Option(
            "--state",
            parser=finding_state,
            autocompletion=finding_states,
            metavar="STATE",
            help="Only those that stand so, such as contested.",
        ),
    ] = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List findings against an operator, newest first, a page at a time."""
    request = pb.ListFindingsRequest(
        operator_id=operator_id,
        state=state or pb.FindingState.FINDING_STATE_UNSPECIFIED,
        page_size=page_size,
        page_token=page_token,
    )
    answer = calls.ask(profile, request, pb.ListFindingsResponse)
    show(answer, findings_sheet(answer.findings), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command("finding", cls=ReportedCommand)
def finding(
    name: _Finding,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            dir_okay=False,
            callback=output_file,
            help="Write what was handed in to this file.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Show one finding whole, with its contest."""
    request = pb.ListFindingsRequest(finding=resource(_FINDINGS, name))
    answer = calls.ask(profile, request, pb.ListFindingsResponse)
    if evidence is not None:
        handed_in = answer.findings[0].contest.evidence
        if not handed_in:
            raise CommandFailed("No evidence was handed in with this finding.")
        evidence.write_bytes(handed_in)
    show(answer, *map(finding_sheet, answer.findings), as_json=as_json)


@app.command("decide", cls=ReportedCommand)
def decide(
    name: _Finding,
    reason: Why,
    dismiss: Annotated[
        bool,
        typer.Option(
            "--dismiss/--uphold", help="The finding falls; or it stands again, its time put off."
        ),
    ],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Decide what an operator contests, or dismiss a finding."""
    request = pb.DecideFindingRequest(
        name=resource(_FINDINGS, name), dismiss=dismiss, reason=reason
    )
    answer = calls.ask(profile, request, pb.DecideFindingResponse)
    show(answer, finding_sheet(answer.finding), as_json=as_json)


@app.command("policy", cls=ReportedCommand)
def policy(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", dir_okay=False, help="A policy to check; without it that in force."
        ),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Check a policy file, and show what follows from findings by it."""
    from gateway.config import GatewayConfig
    from gateway.conformance.policy_file import read_policy

    read = read_policy(file or GatewayConfig.load(config).conformance_policy)
    if as_json:
        print_json(read.model_dump(mode="json"))
        return
    terminal = console()
    show_sheet(
        Sheet(
            "Deadlines",
            ("grade", "removal", "rectification"),
            [
                (
                    grade.lower(),
                    str(getattr(read.removal, grade)),
                    str(getattr(read.rectify, grade)),
                )
                for grade in type(read.removal).model_fields
            ],
        ),
        terminal,
    )
    rules = [(kind, read.rule(kind)) for kind in pb.FindingKind.values()]
    show_sheet(
        Sheet(
            f"Stages: warned {read.warned}, throttled {read.throttled}",
            ("kind", "first", "last"),
            [
                (show_finding_kind(kind), show_stage(rule.first_stage), show_stage(rule.last_stage))
                for kind, rule in rules
                if rule is not None
            ],
        ),
        terminal,
    )
    asked = read.sampling.copies(1_000_000)
    show_sheet(
        Sheet(
            "Copies",
            ("attested every", "certified for", "asked for", "shown within"),
            [(str(read.attestation), str(read.certificate), str(asked), str(read.sampling.answer))],
        ),
        terminal,
    )
