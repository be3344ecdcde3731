"""``creditgate catalogue``: which kinds of records there are."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from creditgate.v1 import catalogue_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Profile, Why
from gateway.cli.output import Sheet, as_dict, console, print_json, several, show, show_sheet

app = typer.Typer(help="The catalogue (公共信用信息目录).", no_args_is_help=True)


@app.command("apply", cls=ReportedCommand)
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Catalogue file (YAML).")],
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Create and update items until they are as the file says; others stay.

    Nothing is applied where an item of the file is refused.
    """
    from gateway.catalogue.file import read_catalogue_file
    from gateway.cli.catalogue_file import apply_catalogue

    read = read_catalogue_file(file)
    applied = calls.with_gateway(profile, lambda gateway: apply_catalogue(gateway, read, reason))
    if as_json:
        told = [
            {"outcome": each.outcome, "item": as_dict(each.item), "proposal_id": each.proposal_id}
            for each in applied
        ]
        print_json({"items": told})
        return
    columns = ("code", "name", "outcome", "waits for a second person")
    rows = [
        (each.item.code, each.item.name_en, each.outcome.value, each.proposal_id)
        for each in applied
    ]
    show_sheet(Sheet("Catalogue applied", columns, rows), console())


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List all items."""
    answer = calls.every_page(
        profile, pb.ListCatalogueItemsRequest(page_size=200), pb.ListCatalogueItemsResponse
    )
    show(answer, _items(answer.items), as_json=as_json)


@app.command("show", cls=ReportedCommand)
def show_(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Code of the item.")],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Show one item with its periods and fields."""
    answer = calls.ask(profile, pb.GetCatalogueItemRequest(code=code), pb.GetCatalogueItemResponse)
    item = answer.item
    show(answer, _items([item]), _periods(item), _fields(item), as_json=as_json)


def _items(items: Iterable[pb.CatalogueItem]) -> Sheet:
    return Sheet(
        "Catalogue items",
        ("code", "name", "名称", "openness", "about", "sources", "price class"),
        [
            (
                item.code,
                item.name_en,
                item.name_zh,
                terms.show_openness(item.openness),
                several(map(terms.show_subject_type, item.subject_types)),
                str(len(item.sources)),
                item.price_class,
            )
            for item in items
        ],
        frozenset({"sources"}),
    )


def _periods(item: pb.CatalogueItem) -> Sheet:
    return Sheet(
        "Disclosure periods, calendar months",
        ("severity", "at least", "at most", "end required", "legal source"),
        [
            (
                terms.show_severity(rule.severity),
                str(rule.min_months or ""),
                str(rule.max_months or ""),
                "yes" if rule.end_required else "no",
                rule.legal_source,
            )
            for rule in item.period_rules
        ],
        frozenset({"at least", "at most"}),
    )


def _fields(item: pb.CatalogueItem) -> Sheet:
    return Sheet(
        "Fields of the content",
        ("name", "type", "required", "longest", "title", "标题"),
        [
            (
                field.name,
                terms.show_field_type(field.type),
                "yes" if field.required else "no",
                str(field.max_length or ""),
                field.title_en,
                field.title_zh,
            )
            for field in item.content_fields
        ],
        frozenset({"longest"}),
    )
