"""Removals reported by commands: of ended consents, and as disclosure events demanded."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import conformance_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.output import Sheet, show, utc
from gateway.clock import SystemClock

RemovedAt = Annotated[
    int | None,
    typer.Option(
        "--removed-at",
        parser=terms.instant,
        metavar="TIME",
        help="When the last copy was gone (UTC).",
        show_default="now",
    ),
]


def acknowledge(
    profile: Path,
    removals: Iterable[pb.RemovalAcknowledgement],
    removed_at: int | None,
    *,
    as_json: bool,
) -> None:
    """Report that copies are gone, for each cause, and show what is left to do."""
    gone = Timestamp(seconds=SystemClock().now() if removed_at is None else removed_at)
    request = pb.AcknowledgeRemovalsRequest(removals=removals)
    for removal in request.removals:
        removal.remove_time.CopyFrom(gone)
    answer = calls.ask(profile, request, pb.AcknowledgeRemovalsResponse)
    show(answer, _removals(answer), as_json=as_json)


def _removals(answer: pb.AcknowledgeRemovalsResponse) -> Sheet:
    return Sheet(
        "Removals",
        ("newly acknowledged", "still owed", "next deadline"),
        [
            (
                str(answer.acknowledged_removals),
                str(answer.outstanding_removals),
                utc(answer.next_deadline),
            )
        ],
        frozenset({"newly acknowledged", "still owed"}),
    )
