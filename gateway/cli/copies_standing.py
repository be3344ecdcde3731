"""``creditgate copies show``, ``attestations``, ``findings`` and ``contest``: how an operator
stands, and what it says to that."""

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
from gateway.cli.conformance_terms import finding_state, finding_states
from gateway.cli.options import PROFILE, AsJson, From, Profile, Until
from gateway.cli.output import show
from gateway.cli.pages import PageSize, PageToken, resource, tell_more
from gateway.cli.terms import interval

_FINDINGS = "findings"


def show_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Show how you stand: findings, removals owed, stage, certificate."""
    answer = calls.ask(profile, pb.GetConformanceRequest(), pb.GetConformanceResponse)
    show(answer, standing_sheet(answer), as_json=as_json)


def attestations(
    from_: From = None,
    until: Until = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List your attestations, newest first, a page at a time."""
    request = pb.ListAttestationsRequest(
        period=interval(from_, until), page_size=page_size, page_token=page_token
    )
    answer = calls.ask(profile, request, pb.ListAttestationsResponse)
    show(answer, attestations_sheet(answer.attestations), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


def findings(
    name: Annotated[
        str, typer.Argument(metavar="[FINDING]", help="Only this finding, whole.")
    ] = "",
    attestation: Annotated[
        str, typer.Option("--attestation", help="Only those of this attestation.")
    ] = "",
    state: Annotated[
        pb.FindingState.ValueType | None,
        typer.Option(
            "--state",
            parser=finding_state,
            autocompletion=finding_states,
            metavar="STATE",
            help="Only those that stand so, such as open.",
        ),
    ] = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List findings against you, newest first, a page at a time."""
    request = pb.ListFindingsRequest(
        finding=resource(_FINDINGS, name) if name else "",
        attestation=resource("attestations", attestation) if attestation else "",
        state=state or pb.FindingState.FINDING_STATE_UNSPECIFIED,
        page_size=page_size,
        page_token=page_token,
    )
    answer = calls.ask(profile, request, pb.ListFindingsResponse)
    sheets = map(finding_sheet, answer.findings) if name else [findings_sheet(answer.findings)]
    show(answer, *sheets, as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


def contest(
    name: Annotated[str, typer.Argument(metavar="FINDING", help="Id of the finding.")],
    statement: Annotated[str, typer.Option("--statement", help="What is wrong with it.")],
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            exists=True,
            dir_okay=False,
            help="A file that shows it, such as a saved answer with its proof; at most 1 MiB.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Contest a finding; it does not count until an administrator has decided."""
    request = pb.ContestFindingRequest(
        name=resource(_FINDINGS, name),
        statement=statement,
        evidence=b"" if evidence is None else evidence.read_bytes(),
    )
    answer = calls.ask(profile, request, pb.ContestFindingResponse)
    show(answer, finding_sheet(answer.finding), as_json=as_json)
