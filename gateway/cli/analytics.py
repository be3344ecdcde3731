"""``creditgate analytics``: years of use archived as Parquet, and asked in SQL."""

from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.installed import installed
from gateway.cli.options import AsJson, Config, home
from gateway.cli.output import Sheet, console, print_json, show_sheet

app = typer.Typer(
    help="Years of use, archived as Parquet and asked in SQL by DuckDB.", no_args_is_help=True
)
_FOLDER: Final = "archive"

_Archive = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        metavar="DIR",
        file_okay=False,
        help="Folder of the archive.",
        show_default="archive, in the installation's home",
    ),
]


@app.command("archive", cls=ReportedCommand)
def archive(folder: _Archive = None, config: Config = None, as_json: AsJson = False) -> None:
    """Add the uses that the archive has not yet; on the gateway's own host, while it serves."""
    from gateway.analytics.archive import ArchiveBusy, ArchiveUnreadable, extend
    from gateway.exports.uses import LedgerLost
    from gateway.storage.engines import open_for_archive

    try:
        with installed(config, open_for_archive) as (settings, _, engines):
            at = folder or settings.home / _FOLDER
            added = extend(at, engines.records)
    except (ArchiveBusy, ArchiveUnreadable) as error:
        raise CommandFailed(str(error)) from None
    except LedgerLost:
        raise CommandFailed(
            "The ledger is not the one that was archived: it was put back. Archive into another"
            " folder, and compare."
        ) from None
    if as_json:
        print_json({"archive": str(at), "uses": added.uses, "files": added.files})
    else:
        typer.echo(f"{at}: {added.uses} uses added, in {added.files} files.")


@app.command("sql", cls=ReportedCommand)
def sql(
    question: Annotated[
        str, typer.Argument(metavar="SQL", help="One SELECT; the table is called usage.")
    ],
    folder: _Archive = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask the archive in SQL; the gateway and its store are not touched.

    Columns: month, operator_id, usage_index, line, kind, reversed_index, client_id, request_id,
    chunk, decision_id, licence, consent, purpose, item, source, region, written_at, served_at,
    records, unit_price_micro_yuan, fee_micro_yuan.
    """
    from gateway.analytics.archive import ArchiveUnreadable

    try:
        from gateway.analytics.question import QuestionRefused, ask
    except ModuleNotFoundError:
        raise CommandFailed(
            "DuckDB is not installed: pip install 'creditgate[analytics]'."
        ) from None
    try:
        told = ask(folder or home(config) / _FOLDER, question)
    except ArchiveUnreadable as error:
        raise CommandFailed(f"{error} `creditgate analytics archive` makes one.") from None
    except QuestionRefused as error:
        raise CommandFailed(str(error)) from None
    if as_json:
        rows = [[*row] for row in told.rows]
        print_json({"columns": list(told.columns), "rows": rows, "more": told.more})
        return
    rows = [["" if value is None else str(value) for value in row] for row in told.rows]
    show_sheet(Sheet("Usage", tuple(told.columns), rows), console())
    if told.more:
        typer.echo(f"Only the first {len(rows)} rows: ask for less, or in parts.", err=True)
