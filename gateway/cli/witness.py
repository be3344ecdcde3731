"""``creditgate witness``: what this region's witness knows of others' logs (见证)."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import witness_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.installed import installed
from gateway.cli.options import PROFILE, AsJson, Config, Profile
from gateway.cli.output import Sheet, console, print_json, show, show_sheet, utc

app = typer.Typer(help="Witnesses of logs, and split views (见证与分叉视图).", no_args_is_help=True)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List the logs witnessed, and who has cosigned this region's own."""
    answer = calls.ask(profile, pb.ListWitnessedLogsRequest(), pb.ListWitnessedLogsResponse)
    own = Sheet(
        "Own disclosure log",
        ("cosigned by", "quorum"),
        [("\n".join(answer.own_cosigned_by) or "nobody", str(answer.quorum))],
    )
    show(answer, _logs(answer.logs), own, as_json=as_json)


@app.command("splits", cls=ReportedCommand)
def splits(
    cleared: Annotated[bool, typer.Option("--cleared", help="Cleared ones as well.")] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List split views, newest first: two histories that a log has signed."""
    answer = calls.every_page(
        profile,
        pb.ListSplitViewsRequest(show_cleared=cleared, page_size=200),
        pb.ListSplitViewsResponse,
    )
    show(answer, _splits(answer.split_views), as_json=as_json)


@app.command("evidence", cls=ReportedCommand)
def evidence(
    split_view_id: Annotated[str, typer.Argument(metavar="SPLIT", help="Id of the split view.")],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Print the evidence of a split view; --json as `creditgate log compare --evidence` keeps it."""
    from gateway.federation.witness.wire import evidence_in

    answer = calls.every_page(
        profile,
        pb.ListSplitViewsRequest(show_cleared=True, page_size=200),
        pb.ListSplitViewsResponse,
    )
    found = [each for each in answer.split_views if each.split_view_id == split_view_id]
    if not found:
        raise CommandFailed("No split view has this id; `creditgate witness splits` lists them.")
    (split,) = evidence_in([found[0].evidence])
    if as_json:
        print_json({"key": found[0].log_key, "split": [split.as_json()]})
        return
    rows = [(found[0].log_key, split.first, split.second)]
    columns = ("log's key", "signed", "signed too")
    show_sheet(Sheet("Contradict each other", columns, rows, blocks=True), console())


@app.command("clear", cls=ReportedCommand)
def clear(
    split_view_id: Annotated[str, typer.Argument(metavar="SPLIT", help="Id of the split view.")],
    note: Annotated[str, typer.Option("--note", help="What came of looking into it.")],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Let a log be believed again, once its split view was looked into."""
    answer = calls.ask(
        profile,
        pb.ClearSplitViewRequest(split_view_id=split_view_id, note=note),
        pb.ClearSplitViewResponse,
    )
    show(answer, _splits([answer.split_view]), as_json=as_json)


@app.command("begin", cls=ReportedCommand)
def begin(config: Config = None, as_json: AsJson = False) -> None:
    """Begin the witness anew whose store was lost: under another key.

    The gateway must not run. It makes the key as it starts, and tells its peers by itself.
    """
    from gateway.federation.witness.beginning import NothingForgotten, begin_witness_anew
    from gateway.server.listening import issuer_of
    from gateway.storage.at_work import alone

    with installed(config) as (settings, home, engines):
        file = home.log_key("witness")
        if not file.exists():
            raise CommandFailed(f"{file} is missing: there is no witness to begin anew.")
        issuer = issuer_of(settings, settings.https_port)
        try:
            with alone(engines.evidence):
                away = begin_witness_anew(engines.evidence, file, issuer)
        except NothingForgotten:
            raise CommandFailed(
                "The store has all that the witness has signed: there is nothing to begin."
            ) from None
    if as_json:
        print_json({"former_key": str(away)})
    else:
        typer.echo(f"The former key is kept as {away}. Start the gateway: peers learn the new one.")


def _logs(logs: Iterable[pb.WitnessedLog]) -> Sheet:
    return Sheet(
        "Logs witnessed",
        ("region", "log", "size", "cosigned", "distrusted"),
        [
            (
                each.region,
                each.origin,
                str(each.tree_size),
                utc(each.cosign_time),
                "yes" if each.distrusted else "",
            )
            for each in logs
        ],
        frozenset({"size"}),
    )


def _splits(found: Iterable[pb.SplitView]) -> Sheet:
    return Sheet(
        "Split views",
        ("split view", "region", "log", "found", "told by", "cleared"),
        [
            (
                each.split_view_id,
                each.region,
                each.origin,
                utc(each.find_time),
                each.told_by,
                f"{each.cleared_by}: {each.note}" if each.cleared_by else "",
            )
            for each in found
        ],
    )
