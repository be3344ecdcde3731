"""``creditgate brake``: the emergency brake (刹车)."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import brake_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Profile, Why
from gateway.cli.output import Sheet, show, utc

app = typer.Typer(help="Emergency brake (刹车): stop record answers at once.", no_args_is_help=True)


@app.command("engage", cls=ReportedCommand)
def engage(
    reason: Why,
    everything: Annotated[
        bool, typer.Option("--everything", help="Stop all record answers.")
    ] = False,
    operator: Annotated[
        str, typer.Option("--operator", metavar="OPERATOR", help="Stop those to one firm.")
    ] = "",
    item: Annotated[
        str, typer.Option("--item", metavar="CODE", help="Stop those with one catalogue item.")
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Stop record answers on every process within a second; one person does it."""
    if [everything, bool(operator), bool(item)].count(True) != 1:
        raise CommandFailed("Say what to stop: --everything, --operator or --item, one of them.")
    reach = pb.BrakeReach(everything=True)
    if operator:
        reach = pb.BrakeReach(operator_id=operator)
    elif item:
        reach = pb.BrakeReach(item=item)
    answer = calls.ask(
        profile, pb.EngageBrakeRequest(reach=reach, reason=reason), pb.EngageBrakeResponse
    )
    show(answer, _sheet([answer.brake]), as_json=as_json)


@app.command("release", cls=ReportedCommand)
def release(
    brake_id: Annotated[str, typer.Argument(metavar="BRAKE", help="Id of the brake.")],
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Let go of one brake; under a guarded policy a second person approves it."""
    answer = calls.ask(
        profile,
        pb.ReleaseBrakeRequest(brake_id=brake_id, reason=reason),
        pb.ReleaseBrakeResponse,
    )
    if answer.proposal_id:
        waiting = Sheet("Proposals", ("waits for a second person",), [(answer.proposal_id,)])
        show(answer, waiting, as_json=as_json)
        return
    show(answer, _sheet([answer.brake]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(
    released: Annotated[bool, typer.Option("--released", help="Released ones as well.")] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List the brakes that are engaged."""
    answer = calls.every_page(
        profile,
        pb.ListBrakesRequest(show_released=released, page_size=200),
        pb.ListBrakesResponse,
    )
    show(answer, _sheet(answer.brakes), as_json=as_json)


def _sheet(brakes: Iterable[pb.Brake]) -> Sheet:
    return Sheet(
        "Emergency brakes",
        ("brake", "stops", "by", "since", "why", "released", "release"),
        [
            (
                brake.brake_id,
                _reach(brake.reach),
                brake.engaged_by,
                utc(brake.engage_time),
                brake.reason,
                utc(brake.release_time) if brake.HasField("release_time") else "",
                brake.release_reason,
            )
            for brake in brakes
        ],
    )


def _reach(reach: pb.BrakeReach) -> str:
    if reach.operator_id:
        return f"operator {reach.operator_id}"
    return f"item {reach.item}" if reach.item else "everything"
