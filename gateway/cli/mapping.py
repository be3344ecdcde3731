"""``creditgate mapping``: which item of another region stands for which of one's own (目录映射)."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import item_mapping_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import INT32, PROFILE, AsJson, Profile, Why
from gateway.cli.output import Sheet, show, utc

app = typer.Typer(
    help="Items of other regions and what they stand for (目录映射).", no_args_is_help=True
)


@app.command("set", cls=ReportedCommand)
def set_(
    region: Annotated[
        str, typer.Argument(metavar="REGION", help="Entity identifier of the region.")
    ],
    pairs: Annotated[
        list[str],
        typer.Argument(metavar="ITEM=THEIRS...", help="An item of ours, and the one of theirs."),
    ],
    reason: Why,
    catalogue_version: Annotated[
        str,
        typer.Option("--catalogue-version", help="Version of their catalogue it is made for."),
    ],
    version: Annotated[
        int,
        typer.Option("--version", min=0, max=INT32, help="Version of the mapping this replaces."),
    ] = 0,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Put the next version of a region's mapping into force, whole."""
    mapping = pb.ItemMapping(
        region=region,
        items=[_pair(text) for text in pairs],
        catalogue_version=catalogue_version,
        version=version,
    )
    answer = calls.ask(
        profile,
        pb.SetItemMappingRequest(mapping=mapping, reason=reason),
        pb.SetItemMappingResponse,
    )
    show(answer, _sheet([answer.mapping]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List the mappings in force."""
    answer = calls.ask(profile, pb.ListItemMappingsRequest(), pb.ListItemMappingsResponse)
    show(answer, _sheet(answer.mappings), as_json=as_json)


def _pair(text: str) -> pb.MappedItem:
    ours, separator, theirs = text.partition("=")
    if not (separator and ours and theirs):
        raise CommandFailed(f"Write each pair as ITEM=THEIRS, unlike {text!r}.")
    return pb.MappedItem(item=ours, region_item=theirs)


def _sheet(mappings: Iterable[pb.ItemMapping]) -> Sheet:
    return Sheet(
        "Mappings",
        ("region", "item", "theirs", "catalogue", "version", "since"),
        [
            (
                mapping.region,
                pair.item,
                pair.region_item,
                mapping.catalogue_version,
                str(mapping.version),
                utc(mapping.update_time),
            )
            for mapping in mappings
            for pair in mapping.items
        ],
        frozenset({"version"}),
    )
