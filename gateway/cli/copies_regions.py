"""``creditgate copies watch --regions``: what becomes of records that other regions gave."""

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from creditgate.v1 import federated_record_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.conformance_terms import show_event_kind
from gateway.cli.following import follow
from gateway.cli.output import as_dict, console, print_json, utc


def watch_regions(
    profile: Path, after: int, most: int | None, seconds: float | None, *, as_json: bool
) -> None:
    """Follow the events behind a number, and how far each region is known, as it changes."""
    changes: list[pb.WatchRegionRecordsResponse] = []
    take = changes.append if as_json else _line
    regions: dict[str, pb.RegionHeard] = {}

    def heard(told: Sequence[pb.RegionHeard]) -> None:
        for each in told:
            before = regions.get(each.region)
            regions[each.region] = each
            if not as_json and (before is None or before.known != each.known):
                console().print(Text(_standing(each)), soft_wrap=True)

    async def followed(gateway: calls.Gateway) -> None:
        from sdk.federated import follow_region_records

        stream = follow_region_records(gateway.channel, after, heard=heard)
        await follow(stream, most, seconds, take)

    calls.with_gateway(profile, followed)
    if as_json:
        print_json(
            {
                "changes": [as_dict(change) for change in changes],
                "regions": [as_dict(regions[region]) for region in sorted(regions)],
                "number": max([after, *(change.event.number for change in changes)]),
            }
        )


def _line(change: pb.WatchRegionRecordsResponse) -> None:
    event = change.event
    console().print(
        Text(
            f"{event.number}  {utc(event.event_time)}  {show_event_kind(event.kind)}"
            f"  {event.record}  revision {event.revision}  {event.region}"
            f"; old copy gone until {utc(event.removal_deadline)}"
        ),
        soft_wrap=True,
    )


def _standing(heard: pb.RegionHeard) -> str:
    if heard.known:
        return f"{heard.region}: known, heard {utc(heard.heard_time)}"
    if heard.HasField("heard_time"):
        return f"{heard.region}: NOT KNOWN since {utc(heard.heard_time)}"
    return f"{heard.region}: NOT KNOWN, never heard"
