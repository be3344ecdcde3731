"""``creditgate copies``: what an operator holds, shown to be what is disclosed (一致性)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creditgate.v1 import conformance_service_pb2 as pb
from gateway.cli import calls, copies_certificate, copies_challenges, copies_standing, copies_watch
from gateway.cli.conformance_sheets import attestations_sheet
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import INT64, PROFILE, AsJson, Profile
from gateway.cli.output import Sheet, as_dict, console, print_json, show, show_sheet

if TYPE_CHECKING:
    from sdk.conformance import Reconciled

app = typer.Typer(
    help="Copies you hold (一致性): attest, reconcile, follow, answer.", no_args_is_help=True
)

_OUTCOME = "Attestation"

_File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        dir_okay=False,
        help="Copies as CSV, JSON lines or Parquet: record_id, content, disclosed_from,"
        " disclosed_until; or what `batch --output` wrote.",
    ),
]
_Reflects = Annotated[
    int,
    typer.Option(
        "--reflects",
        min=0,
        max=INT64,
        metavar="SEQUENCE",
        help="The last disclosure event your copies reflect, as `copies watch` tells it.",
    ),
]
_RequestId = Annotated[
    str | None,
    typer.Option("--request-id", help="Idempotency key; the same again tells the same outcome."),
]


@app.command("reconcile", cls=ReportedCommand)
def reconcile(
    file: _File,
    reflects: _Reflects = 0,
    request_id: _RequestId = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Compare every copy you hold with the disclosure; cost grows with the differences."""
    from sdk.conformance import Conformance
    from sdk.copies.file import CopiesFile

    done = calls.with_gateway(
        profile,
        lambda gateway: Conformance(gateway.channel).reconcile(
            CopiesFile(file), reflects, request_id=request_id
        ),
    )
    if as_json:
        print_json({**as_dict(_attestation(done)), "exchange": _exchange(done)})
        return
    terminal = console()
    show_sheet(attestations_sheet([_attestation(done)], _OUTCOME), terminal)
    _tell_waiting(_attestation(done))
    sent = _exchange(done)
    numbers = frozenset({"symbols", "copies shown"})
    rows = [(str(sent["symbols"]), str(sent["shown"]), "yes" if sent["all_shown"] else "no")]
    show_sheet(Sheet("Sent", ("symbols", "copies shown", "all shown"), rows, numbers), terminal)


@app.command("attest", cls=ReportedCommand)
def attest(
    file: _File,
    reflects: _Reflects = 0,
    request_id: _RequestId = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Show the digests of every copy you hold; cost grows with the copies."""
    from sdk.conformance import Conformance
    from sdk.copies.file import CopiesFile

    attestation = calls.with_gateway(
        profile,
        lambda gateway: Conformance(gateway.channel).attest(
            CopiesFile(file), reflects, request_id=request_id
        ),
    )
    show(attestation, attestations_sheet([attestation], _OUTCOME), as_json=as_json)
    _tell_waiting(attestation)


def _tell_waiting(attestation: pb.Attestation) -> None:
    if attestation.waiting_findings:
        typer.echo(
            f"{attestation.waiting_findings} more are to be asked for: answer what is asked for"
            " (`creditgate copies answer FILE`) and attest again.",
            err=True,
        )


def _attestation(done: "Reconciled") -> pb.Attestation:
    return pb.Attestation() if done.attestation is None else done.attestation


def _exchange(done: "Reconciled") -> dict[str, int | bool]:
    return {"symbols": done.symbols, "shown": done.shown, "all_shown": done.all_shown}


for name, command in (
    ("watch", copies_watch.watch),
    ("acknowledge", copies_watch.acknowledge),
    ("challenges", copies_challenges.challenges),
    ("answer", copies_challenges.answer),
    ("show", copies_standing.show_),
    ("attestations", copies_standing.attestations),
    ("findings", copies_standing.findings),
    ("contest", copies_standing.contest),
    ("certificate", copies_certificate.certificate),
    ("verify", copies_certificate.verify),
):
    app.command(name, cls=ReportedCommand)(command)
