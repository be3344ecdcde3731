"""``creditgate verify``: a saved answer verified offline, by the pinned key of the log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.options import AsJson
from gateway.cli.output import (
    Sheet,
    as_dict,
    console,
    print_json,
    several,
    show_sheet,
    utc,
    utc_seconds,
)
from gateway.cli.proving import Successions, kind_of, on_its_word, read_keys
from gateway.cli.record import records_sheet

if TYPE_CHECKING:
    from creditgate.transparency.completeness import ProvedSubject
    from creditgate.transparency.verify import VerifiedAnswer


def verify(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="The answer as it was saved; further parts of a chunk are in FILE.2, FILE.3 ...",
        ),
    ],
    key: Annotated[
        str,
        typer.Option("--key", metavar="VKEY", help="Key of the disclosure log, as you pinned it."),
    ],
    request: Annotated[
        Path | None,
        typer.Option(
            "--request",
            exists=True,
            dir_okay=False,
            help="The request that was answered.",
            show_default="FILE.request, if it is there",
        ),
    ] = None,
    subjects: Annotated[
        list[str] | None,
        typer.Option(
            "--subject",
            metavar="USCC",
            help="Whom it must be about; repeat for more. Tells what a request that was not"
            " saved would.",
        ),
    ] = None,
    succession: Successions = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a saved answer proves. Offline: nothing is asked of any gateway."""
    from creditgate.transparency.merkle import ProofInvalid
    from sdk.answers import KeptAnswer

    kept = KeptAnswer.read(file, request)
    try:
        found = kept.verified(read_keys(key, succession))
    except ProofInvalid as error:
        raise CommandFailed(f"The answer does not verify: {error}.") from None
    _require_about(found, subjects or [])
    if as_json:
        print_json(_document(found))
        return
    terminal = console()
    show_sheet(records_sheet(found.records), terminal)
    if found.subjects:
        show_sheet(_subjects_sheet(found), terminal)
    show_sheet(_sheet(found), terminal)


def _require_about(found: "VerifiedAnswer", subjects: list[str]) -> None:
    about = [each.subject for each in found.subjects] or [each.subject for each in found.records]
    if subjects and (set(about) - set(subjects) or (found.subjects and set(subjects) - set(about))):
        raise CommandFailed("The answer verifies, but it is about another subject.")


def _document(found: "VerifiedAnswer") -> dict[str, object]:
    head = found.head
    return {
        "proof": kind_of(found.kind),
        "request_checked": found.request is not None,
        "records": [as_dict(record) for record in found.records],
        "subjects": [
            {
                "subject": each.subject,
                "items": list(each.items),
                "all_public": each.all_public,
                "protected_items": sorted(each.protected),
                "withheld": dict(each.withheld),
            }
            for each in found.subjects
        ],
        "complete_on_the_gateways_word": [
            {"subject": subject, "item": item} for subject, item in found.complete_on_word()
        ],
        "receipt": as_dict(found.receipt),
        "checkpoint": {
            "origin": found.checkpoint.origin,
            "size": found.checkpoint.size,
            "root": found.checkpoint.root.hex(),
        },
        "map": None
        if head is None
        else {
            "event_sequence": head.event_sequence,
            "since": head.since,
            "until": head.until,
        },
    }


def _subjects_sheet(found: "VerifiedAnswer") -> Sheet:
    return Sheet(
        "Complete for",
        ("subject", "items", "records", "withheld"),
        [
            (
                each.subject,
                _items(each),
                str(sum(record.subject == each.subject for record in found.records)),
                _withheld(each),
            )
            for each in found.subjects
        ],
        frozenset({"records"}),
    )


def _items(proved: "ProvedSubject") -> str:
    public = [item for item in proved.items if item not in proved.protected]
    return several(
        [
            *(["every public item"] if proved.all_public else public),
            *(f"{item} (protected)" for item in sorted(proved.protected)),
        ]
    )


def _withheld(proved: "ProvedSubject") -> str:
    return several(f"{count} of {item}" for item, count in proved.withheld.items()) or "none"


def _sheet(found: "VerifiedAnswer") -> Sheet:
    head = found.head
    rows = (
        ("proof", kind_of(found.kind)),
        ("request", "this one" if found.request is not None else "not checked: it was not saved"),
        ("served", utc(found.receipt.serve_time)),
        ("usable until", utc(found.receipt.usable_until) or "no end"),
        ("decision", found.receipt.decision_id),
        ("log", found.checkpoint.origin),
        ("checkpoint", f"{found.checkpoint.size} entries, root {found.checkpoint.root.hex()}"),
        ("map of", "" if head is None else utc_seconds(head.since)),
        ("map holds until", "" if head is None else utc_seconds(head.until)),
        ("on the gateway's word", on_its_word(found.subjects)),
        (
            "meaning",
            "each record was disclosed by its event; whether it still is, is not told"
            if head is None
            else "",
        ),
    )
    return Sheet(
        "The answer is the gateway's, and proved",
        [name for name, cell in rows if cell],
        [[cell for _, cell in rows if cell]],
        blocks=True,
    )
