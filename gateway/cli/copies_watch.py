"""``creditgate copies watch`` and ``acknowledge``: what happens to what an operator holds."""

from typing import Annotated

import typer

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.cli import acknowledging, calls
from gateway.cli.acknowledging import RemovedAt
from gateway.cli.conformance_terms import coverage as read_coverage
from gateway.cli.conformance_terms import coverages, show_event_kind
from gateway.cli.copies_regions import watch_regions
from gateway.cli.failures import CommandFailed
from gateway.cli.following import Most, Seconds, follow, require_end
from gateway.cli.options import INT64, PROFILE, AsJson, Profile
from gateway.cli.output import as_dict, console, period, print_json, utc


def watch(
    after: Annotated[
        int,
        typer.Option(
            "--after",
            min=0,
            max=INT64,
            metavar="SEQUENCE",
            help="The last event you have; 0 for all.",
        ),
    ] = 0,
    coverage: Annotated[
        pb.WatchCoverage.ValueType | None,
        typer.Option(
            "--coverage",
            parser=read_coverage,
            autocompletion=coverages,
            metavar="COVERAGE",
            help="Events of records served to you, or of all items licensed.",
            show_default="served",
        ),
    ] = None,
    regions: Annotated[
        bool,
        typer.Option(
            "--regions",
            help="What becomes of records that other regions gave you; SEQUENCE is its number then.",
        ),
    ] = False,
    most: Most = None,
    seconds: Seconds = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Follow corrections, repairs and withdrawals, as an operator's client; Ctrl-C ends it.

    With --json, --most or --for must say when it ends.
    """
    require_end(most, seconds, as_json=as_json)
    if regions:
        if coverage is not None:
            raise CommandFailed("Other regions tell of what they gave you: leave --coverage out.")
        watch_regions(profile, after, most, seconds, as_json=as_json)
        return
    changes: list[pb.WatchDisclosuresResponse] = []
    take = changes.append if as_json else _line
    covered = coverage or pb.WatchCoverage.WATCH_COVERAGE_SERVED
    reached = [after]

    async def followed(gateway: calls.Gateway) -> None:
        from sdk.disclosures import Disclosures

        stream = Disclosures(gateway.channel).follow(after, covered, rested=reached.append)
        await follow(stream, most, seconds, take)

    calls.with_gateway(profile, followed)
    if as_json:
        newest = max([reached[-1], *(change.event.event_sequence for change in changes)])
        print_json({"changes": [as_dict(change) for change in changes], "sequence": newest})


def acknowledge(
    sequences: Annotated[
        list[int], typer.Argument(metavar="SEQUENCE...", min=1, max=INT64, help="The events.")
    ],
    regions: Annotated[
        bool,
        typer.Option(
            "--regions",
            help="Of other regions: SEQUENCE is the number that watch --regions gives.",
        ),
    ] = False,
    removed_at: RemovedAt = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Report that copies which events made void are gone, or replaced by the new revision."""
    removals = [
        pb.RemovalAcknowledgement(region_event=sequence)
        if regions
        else pb.RemovalAcknowledgement(event_sequence=sequence)
        for sequence in sequences
    ]
    acknowledging.acknowledge(profile, removals, removed_at, as_json=as_json)


def _line(change: pb.WatchDisclosuresResponse) -> None:
    from rich.text import Text

    console().print(Text(_told(change)), soft_wrap=True)


def _told(change: pb.WatchDisclosuresResponse) -> str:
    """Return one event of a watched stream as a line."""
    event = change.event
    held = period(Interval(start_time=event.disclosed_from, end_time=event.disclosed_until))
    line = (
        f"{event.event_sequence}  {utc(event.event_time)}  {show_event_kind(event.kind)}"
        f"  {event.record}  revision {event.revision}  {held}"
    )
    if not change.HasField("removal_deadline"):
        return line
    return f"{line}; old copy gone until {utc(change.removal_deadline)}"
