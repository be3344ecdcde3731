"""``creditgate federation clearing``: amounts beyond list prices, and ceilings to what is accepted."""

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from creditgate.v1 import clearing_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.options import INT64, PROFILE, AsJson, Profile, Why
from gateway.cli.output import Sheet, show, yuan

_RIGHT: Final = frozenset({"entries", "by list price", "by statement", "due"})


def ceiling(
    region: Annotated[
        str, typer.Argument(metavar="ENTITY", help="Entity identifier of the other region.")
    ],
    reason: Why,
    record: Annotated[
        int | None,
        typer.Option(
            "--record",
            min=0,
            max=INT64,
            metavar="MICROYUAN",
            help="Most for one record.",
            show_default="none",
        ),
    ] = None,
    month: Annotated[
        int | None,
        typer.Option(
            "--month",
            min=0,
            max=INT64,
            metavar="MICROYUAN",
            help="Most for all of a month, flat fees too.",
            show_default="none",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Set the most that is accepted of a region: above it nothing is signed, and people are told."""
    request = pb.SetClearingCeilingRequest(region=region, reason=reason)
    if record is not None:
        request.record_micro_yuan = record
    if month is not None:
        request.month_micro_yuan = month
    answer = calls.ask(profile, request, pb.SetClearingCeilingResponse)
    sheet = Sheet("Ceiling", ("region", "yuan"), [(region, ceiling_said(answer.ceiling))])
    show(answer, sheet, as_json=as_json)


def ceiling_said(found: pb.ClearingCeiling) -> str:
    """Return a ceiling in words, in yuan."""
    parts: list[str] = []
    if found.HasField("record_micro_yuan"):
        parts.append(f"{yuan(found.record_micro_yuan)} a record")
    if found.HasField("month_micro_yuan"):
        parts.append(f"{yuan(found.month_micro_yuan)} a month")
    return ", ".join(parts) or "none"


def amounts_sheet(amounts: Iterable[pb.ClearingAmount]) -> Sheet:
    """Return what a clearing has beyond list prices."""
    return Sheet(
        "Beyond list prices, yuan",
        ("home region", "month", "entries", "by list price", "by statement", "due", "not signed"),
        [
            (
                each.home_region,
                each.month,
                str(each.entries),
                yuan(each.listed_micro_yuan),
                yuan(each.rated_micro_yuan),
                yuan(each.amount_micro_yuan),
                each.refused,
            )
            for each in amounts
        ],
        _RIGHT,
    )
