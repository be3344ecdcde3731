"""``creditgate federation clearing``: clearing between regions (地区间清算)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import clearing_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.clearing_amounts import amounts_sheet, ceiling, ceiling_said
from gateway.cli.clearing_disputes import disputes_sheet, records_sheet, whole_version
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import Sheet, console, print_json, show, show_sheet, utc, yuan

app = typer.Typer(help="Clearing with other regions (清算).", no_args_is_help=True)
app.command("ceiling", cls=ReportedCommand)(ceiling)

_RIGHT: Final = frozenset({"entries", "owed", "due", "net", "disputes", "under way", "yuan"})
_Region = Annotated[
    str, typer.Argument(metavar="ENTITY", help="Entity identifier of the other region.")
]
_Until = Annotated[
    int,
    typer.Argument(
        parser=terms.instant, metavar="UNTIL", help="End of the clearing's period, ISO 8601."
    ),
]
_RUN_SECONDS: Final = 60.0


@app.command("list", cls=ReportedCommand)
def list_(
    region: Annotated[str, typer.Option("--region", help="Only with this region.")] = "",
    disputes: Annotated[
        bool, typer.Option("--disputes", help="The answers in dispute instead.")
    ] = False,
    closed: Annotated[
        bool, typer.Option("--closed", help="With --disputes, closed ones as well.")
    ] = False,
    dispute: Annotated[
        str,
        typer.Option(
            "--dispute", metavar="DISPUTE", help="One dispute, with its records, instead."
        ),
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List clearings, newest first, and how it stands with each region."""
    if dispute:
        request = pb.ListClearingDisputesRequest(dispute_id=dispute, page_size=200)
        one = calls.every_page(profile, request, pb.ListClearingDisputesResponse)
        show(one, disputes_sheet(one.disputes), records_sheet(one), as_json=as_json)
        return
    if disputes:
        found = calls.every_page(
            profile,
            pb.ListClearingDisputesRequest(region=region, show_closed=closed, page_size=200),
            pb.ListClearingDisputesResponse,
        )
        show(found, disputes_sheet(found.disputes), as_json=as_json)
        return
    answer = calls.every_page(
        profile, pb.ListClearingsRequest(region=region, page_size=200), pb.ListClearingsResponse
    )
    show(answer, _clearings(answer.clearings), _peers(answer.peers), as_json=as_json)


@app.command("show", cls=ReportedCommand)
def show_(
    region: _Region,
    until: _Until,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Show a clearing as both regions signed it; --json is what `creditgate-verify clearing` reads."""
    request = pb.GetClearingRequest(
        region=region, until_time=Timestamp(seconds=until), page_size=200
    )
    answer = calls.every_page(profile, request, pb.GetClearingResponse)
    sheets = [_clearings([answer.clearing]), disputes_sheet(answer.disputes)]
    sheets += [amounts_sheet(answer.amounts)] if answer.amounts else []
    show(answer, *sheets, as_json=as_json)


@app.command("run", cls=ReportedCommand)
def run(
    region: _Region,
    until: Annotated[
        int | None,
        typer.Option(
            "--until",
            parser=terms.instant,
            metavar="INSTANT",
            help="Up to when, ISO 8601.",
            show_default="the last midnight, UTC",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Clear with a region at once; the region whose identifier comes first proposes."""
    request = pb.RunClearingRequest(region=region)
    if until is not None:
        request.until_time.seconds = until
    answer = calls.ask(profile, request, pb.RunClearingResponse, _RUN_SECONDS)
    show(answer, _clearings([answer.clearing]), as_json=as_json)


@app.command("resolve", cls=ReportedCommand)
def resolve(
    dispute_id: Annotated[str, typer.Argument(metavar="DISPUTE", help="Id of the dispute.")],
    stands: Annotated[str, typer.Option("--stands", help="Whose version stands: home or asking.")],
    note: Annotated[str, typer.Option("--note", help="Why: it is kept.")],
    version: Annotated[
        str,
        typer.Option(
            "--version",
            help="That version, as `list --disputes` shows it; none where that side has none.",
            show_default="none",
        ),
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Say whose version of a disputed answer stands; the next clearing has it."""
    if stands not in ("home", "asking"):
        raise CommandFailed("Give --stands home or --stands asking.")
    answer = calls.ask(
        profile,
        pb.ResolveClearingDisputeRequest(
            dispute_id=dispute_id,
            stands=pb.ClearingStand.Value(f"CLEARING_STAND_{stands.upper()}"),
            note=note,
            version=whole_version(profile, dispute_id, stands, version),
        ),
        pb.ResolveClearingDisputeResponse,
    )
    show(answer, disputes_sheet([answer.dispute]), as_json=as_json)


@app.command("net", cls=ReportedCommand)
def net(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            exists=True,
            dir_okay=False,
            help="Clearings of any regions, as `show --json` prints them: their net, offline.",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            exists=True,
            dir_okay=False,
            help="With FILE: the regions' document keys, JSON of JWK Sets by entity identifier.",
        ),
    ] = None,
    from_: Annotated[
        int | None,
        typer.Option(
            "--from",
            parser=terms.instant,
            metavar="INSTANT",
            help="Clearings that end after, ISO 8601.",
        ),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option(
            "--until",
            parser=terms.instant,
            metavar="INSTANT",
            help="And no later than, ISO 8601.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell what regions owe one another in the end (轧差)."""
    if files:
        _net_of(files, keys, as_json=as_json)
        return
    request = pb.GetClearingNetsRequest()
    if from_ is not None:
        request.from_time.seconds = from_
    if until is not None:
        request.until_time.seconds = until
    answer = calls.ask(profile, request, pb.GetClearingNetsResponse)
    sheet = Sheet(
        "Net, yuan",
        ("region", "clearings", "owed", "due", "net"),
        [
            (
                each.region,
                str(each.clearings),
                yuan(each.owed_micro_yuan),
                yuan(each.due_micro_yuan),
                yuan(each.net_micro_yuan),
            )
            for each in answer.nets
        ],
        _RIGHT,
    )
    show(answer, sheet, as_json=as_json)


def _net_of(files: list[Path], keys: Path | None, *, as_json: bool) -> None:
    """Net clearings of any regions, each verified, each once."""
    from gateway.federation.clearing.netting import Owed, positions, transfers
    from sdk.clearings import read_clearing, read_region_keys
    from sdk.documents import DocumentRefused, KeysUnavailable

    if keys is None:
        raise CommandFailed("Give the regions' keys with --keys: nobody's word is taken.")
    try:
        known = read_region_keys(keys.read_bytes())
    except KeysUnavailable as fault:
        raise CommandFailed(str(fault)) from None
    found: dict[tuple[str, str, int], tuple[str, list[Owed]]] = {}
    for file in files:
        try:
            kept = read_clearing(file.read_bytes())
            clearing = kept.verified(known)
        except DocumentRefused as refused:
            raise CommandFailed(f"{file}: {refused}") from None
        name = (clearing.iss, clearing.other, clearing.start)
        owed = [
            Owed(clearing.other, clearing.iss, clearing.due_to(clearing.iss)),
            Owed(clearing.iss, clearing.other, clearing.due_to(clearing.other)),
        ]
        before = found.setdefault(name, (kept.document, owed))
        if before[0] != kept.document:
            raise CommandFailed(f"{file}: the same period was cleared otherwise, by another file.")
    net = positions(each for _, owed in found.values() for each in owed)
    paid = transfers(net)
    if as_json:
        print_json(
            {
                "clearings": len(found),
                "positions_micro_yuan": net,
                "transfers": [
                    {"from": each.debtor, "to": each.creditor, "micro_yuan": each.amount}
                    for each in paid
                ],
            }
        )
        return
    terminal = console()
    rows = [(region, yuan(amount)) for region, amount in net.items()]
    show_sheet(Sheet("Positions, yuan", ("region", "yuan"), rows, _RIGHT), terminal)
    rows = [(f"{each.debtor} pays {each.creditor}", yuan(each.amount)) for each in paid]
    show_sheet(Sheet("Transfers", ("transfer", "yuan"), rows, _RIGHT), terminal)


def _clearings(clearings: Iterable[pb.Clearing]) -> Sheet:
    return Sheet(
        "Clearings, yuan",
        ("region", "until", "agreed", "entries", "owed", "due", "disputes", "under way"),
        [
            (
                each.region,
                utc(each.until_time),
                utc(each.agree_time) if each.HasField("agree_time") else "not yet",
                str(each.agreed_entries),
                yuan(each.owed_micro_yuan),
                yuan(each.due_micro_yuan),
                str(each.disputes),
                str(each.under_way),
            )
            for each in clearings
        ],
        _RIGHT,
    )


def _peers(peers: Iterable[pb.ClearingPeer]) -> Sheet:
    return Sheet(
        "Regions",
        ("region", "cleared until", "who proposes", "ceiling, yuan", "failure"),
        [
            (
                each.region,
                utc(each.cleared_until_time) if each.HasField("cleared_until_time") else "",
                "this region" if each.proposes else "the other",
                ceiling_said(each.ceiling),
                each.failure,
            )
            for each in peers
        ],
    )
