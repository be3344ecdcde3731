"""``creditgate usage``, with a receipt book: receipts kept, the log checked, agreed with, disputed."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creditgate.v1 import usage_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.agreeing import kept_from_agreeing
from gateway.cli.failures import CommandFailed
from gateway.cli.options import INT64, PROFILE, AsJson, Profile
from gateway.cli.output import Sheet, console, print_json, show_sheet
from gateway.cli.outputs import output_file
from gateway.cli.proving import read_key
from gateway.cli.usage_sheets import (
    checked_document,
    differences_sheet,
    evidence_document,
    evidence_sheet,
    show_checked,
)
from gateway.clock import SystemClock

if TYPE_CHECKING:
    from creditgate.rating.checking import StatementChecked
    from creditgate.transparency.usage_charges import Difference
    from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
    from sdk.usage_book import UsageBook

_MOST_GAPS = 20
_MOST_SHOWN = 100
_AGREED_SECONDS = 86_400

_Book = Annotated[Path, typer.Argument(metavar="BOOK", help="The receipt book's file.")]
Kept = Annotated[
    Path | None,
    typer.Option(
        "--book", dir_okay=False, help="Keep the receipt in this receipt book (see usage begin)."
    ),
]


def begin(
    book: _Book,
    operator_id: Annotated[str, typer.Option("--operator", help="Whose book it is.")],
    key: Annotated[
        str,
        typer.Option("--key", metavar="VKEY", help="The key of receipts, pinned from now on."),
    ],
    as_json: AsJson = False,
) -> None:
    """Begin a receipt book: a local file that receipts are kept in and use is checked by."""
    from sdk.usage_book import UsageBook

    try:
        made = UsageBook.begin(book, operator_id, read_key(key))
    except ValueError as error:
        raise CommandFailed(f"{str(error).rstrip('.')}.") from None
    made.close()
    if as_json:
        print_json({"book": str(book), "operator_id": operator_id, "key": key})
    else:
        typer.echo(f"{book} is the receipt book of {operator_id}; give it to calls as --book.")


def receipts(book: _Book, as_json: AsJson = False) -> None:
    """Tell what a receipt book holds, and the places it has no receipt of. Offline."""
    with opened_book(book) as opened:
        held, gaps = opened.held(), list(opened.gaps())
        whose = opened.operator_id
    missing = sum(map(len, gaps))
    runs = [f"{gap.start}" if len(gap) == 1 else f"{gap.start}-{gap.stop - 1}" for gap in gaps]
    if as_json:
        document = {"operator_id": whose, **held._asdict(), "missing": missing, "gaps": runs}
        print_json(document)
        return
    told = ", ".join(runs[:_MOST_GAPS]) + (" …" if len(runs) > _MOST_GAPS else "")
    rows = [(whose, str(held.receipts), str(held.leaves), str(missing), told)]
    columns = ("operator", "receipts", "logged and verified", "missing", "places without receipt")
    show_sheet(Sheet("Receipt book", columns, rows), console())


def check(
    book: _Book,
    month: Annotated[
        str, typer.Option("--month", help="Work out this month's statement too (UTC): 2026-04.")
    ] = "",
    statement: Annotated[
        Path | None,
        typer.Option(
            "--statement",
            exists=True,
            dir_okay=False,
            help="A signed statement (statements fetch --form json) to work out instead.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Fetch the usage log, verify it, and tell where it charges other than receipts promised.

    A statement is worked out again from the log and the price plans: every record, charge, line,
    adjustment and total. Exit status 1 where something differs.
    """
    with opened_book(book) as opened:
        found = _followed(profile, opened, month, statement)
        size = opened.held().leaves
        differences = _due(opened, size)
    if as_json:
        places = [_document(each) for each in differences]
        told = None if found is None else checked_document(found)
        print_json({"leaves": size, "differences": places, "statement": told})
    else:
        terminal = console()
        typer.echo(f"{size} uses are logged, and verified.")
        show_sheet(differences_sheet(differences[:_MOST_SHOWN]), terminal)
        if len(differences) > _MOST_SHOWN:
            typer.echo(f"… and {len(differences) - _MOST_SHOWN} more; --json shows all.")
        if found is not None:
            show_checked(found)
    if differences or (found is not None and found.faults):
        raise typer.Exit(1)


def cosign(
    book: _Book,
    despite: Annotated[
        bool,
        typer.Option("--despite-differences", help="Agree although places differ: all is settled."),
    ] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Check the usage log, and agree with it as far as it goes, by the client's own key.

    From then on neither side can deny what is in it.
    """
    from sdk.signing import SigningKey
    from sdk.usage import Usage

    credentials = calls.read_profile(profile)
    key = SigningKey.read(credentials.signing_key.read_bytes())
    with opened_book(book) as opened, verified():
        _followed(profile, opened)
        held = opened.held()
        differences = _due(opened, held.leaves)
        if differences and not despite:
            raise CommandFailed(
                f"{len(differences)} places are not as promised (`creditgate usage check` names"
                " them); dispute them first, or agree with --despite-differences once they are"
                " settled."
            )
        now, client_id = SystemClock().now(), credentials.client_id
        size = calls.with_gateway(
            profile,
            lambda gateway: Usage(gateway.channel).cosign(opened, held, client_id, key, now),
        )
    if as_json:
        print_json({"size": size})
    else:
        typer.echo(f"Agreed with {size} uses.")


def dispute(
    book: _Book,
    usage_index: Annotated[
        int, typer.Argument(metavar="PLACE", min=0, max=INT64, help="Its place.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", dir_okay=False, callback=output_file, help="Write the evidence here."
        ),
    ],
    answer: Annotated[
        Path | None,
        typer.Option(
            "--answer",
            exists=True,
            dir_okay=False,
            help="The answer as it was saved (--save), to count its records anew.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write evidence against a charge, which anyone verifies offline. Offline itself."""
    from sdk.usage_disputes import dispute as disputed

    with opened_book(book) as opened, verified():
        evidence, found = disputed(opened, usage_index, _records(answer))
    output.write_bytes(evidence)
    if as_json:
        print_json(evidence_document(found))
    else:
        show_sheet(evidence_sheet(found), console())


def pin(
    book: _Book,
    key: Annotated[
        str, typer.Option("--key", metavar="VKEY", help="The key of receipts, as you compared it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Pin another key of receipts, where the former was lost or stolen: no note leads to it.

    Compare it on another way than the network first. Where a key was changed as planned books
    learn the next by themselves.
    """
    pinned = read_key(key)
    with opened_book(book) as opened:
        opened.pin(pinned)
        keys = [str(each) for each in opened.keys.chain]
    if as_json:
        print_json({"book": str(book), "keys": keys})
    else:
        typer.echo(f"{book} goes by {len(keys)} keys now.")


def ready_book(book: Path | None, profile: Path) -> None:
    """Have a book ready before anything is charged; once a day agree with the use in it.

    Raises BookRefused where ``book`` is none. What keeps it from agreeing is told, and keeps the
    call from nothing.
    """
    if book is None:
        return
    with opened_book(book) as opened:
        now = SystemClock().now()
        if now < opened.agreed().at + _AGREED_SECONDS:
            return
        opened.keep_agreed(0, now)
        if told := kept_from_agreeing(opened, profile):
            typer.echo(f"Use is not agreed with: {told.rstrip('.')}.", err=True)


@contextmanager
def opened_book(book: Path) -> "Generator[UsageBook]":
    """Open a receipt book for as long as it is used. Raises BookRefused."""
    from sdk.usage_book import UsageBook

    opened = UsageBook.open(book)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def verified() -> Generator[None]:
    """Tell what does not verify, or is not there, as a failure of the command."""
    from creditgate.transparency.merkle import ProofInvalid

    try:
        yield
    except (ProofInvalid, LookupError) as error:
        reason = error.args[0] if error.args else "something is missing"
        raise CommandFailed(f"It does not hold: {reason}.") from None


def _followed(
    profile: Path, book: "UsageBook", month: str = "", statement: Path | None = None
) -> "StatementChecked | None":
    """Take the log into the book; return what a month's statement, or a signed one, was found to
    be, None where none is asked for."""
    from creditgate.transparency.statement_evidence import statement_of
    from sdk.usage import Usage
    from sdk.usage_statements import Statements

    document = "" if statement is None else statement.read_text("ascii", "replace")

    async def work(gateway: calls.Gateway) -> "StatementChecked | None":
        await Usage(gateway.channel).follow(book)
        if document:
            own = statement_of(document, book.keys)
        elif month:
            asked = pb.GetStatementRequest(operator_id=book.operator_id, month=month)
            own = (await gateway.ask(asked, pb.GetStatementResponse)).statement
        else:
            return None
        return await Statements(gateway.channel).check(own, book)

    with verified():
        return calls.with_gateway(profile, work)


def _due(book: "UsageBook", size: int) -> "list[Difference]":
    from creditgate.transparency.usage_charges import is_due

    now = SystemClock().now()
    return [each for each in book.differences(size) if is_due(each, now)]


def _document(difference: "Difference") -> dict[str, object]:
    return {
        "kind": difference.kind.value,
        "usage_index": difference.usage_index,
        "overcharge_micro_yuan": difference.overcharge,
    }


def _records(answer: Path | None) -> "Sequence[DisclosedRecord]":
    if answer is None:
        return ()
    from creditgate.transparency.verify import answer_of
    from sdk.answers import KeptAnswer

    return [record for part in KeptAnswer.read(answer).parts for record in answer_of(part).records]
