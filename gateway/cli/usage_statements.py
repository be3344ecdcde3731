"""``creditgate usage``: evidence against a signed statement."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import calls
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import print_json
from gateway.cli.outputs import output_file
from gateway.cli.usage_book import opened_book, verified
from gateway.cli.usage_sheets import checked_document, show_checked

if TYPE_CHECKING:
    from creditgate.rating.checking import StatementChecked


def dispute_statement(
    book: Annotated[Path, typer.Argument(metavar="BOOK", help="The receipt book's file.")],
    statement: Annotated[
        Path,
        typer.Argument(metavar="STATEMENT", exists=True, dir_okay=False, help="A signed one."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", dir_okay=False, callback=output_file, help="Write the evidence here."
        ),
    ],
    earlier: Annotated[
        list[Path] | None,
        typer.Option(
            "--earlier",
            exists=True,
            dir_okay=False,
            help="Another signed statement, such as of the month while it was open; repeatable.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Write evidence against a signed statement, which anyone verifies offline."""
    from sdk.usage_statements import Statements

    document = statement.read_text("ascii", "replace")
    others = [each.read_text("ascii", "replace") for each in earlier or ()]

    async def work(gateway: calls.Gateway) -> "tuple[bytes, StatementChecked]":
        return await Statements(gateway.channel).dispute(document, opened, *others)

    with opened_book(book) as opened, verified():
        evidence, found = calls.with_gateway(profile, work)
    output.write_bytes(evidence)
    if as_json:
        print_json(checked_document(found))
    else:
        show_checked(found)
