"""``creditgate load``: files of records into the disclosure."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli import calls
from gateway.cli.failures import CommandFailed
from gateway.cli.options import PROFILE, AsJson, Profile, home
from gateway.cli.output import Sheet, console, print_json, show_sheet
from gateway.cli.outputs import output_file
from gateway.cli.progress import bar
from gateway.cli.sources import file_or_folder

if TYPE_CHECKING:
    from sdk.loading.load import LoadSummary
    from sdk.loading.mapping import ColumnMapping
    from sdk.refusals import Refusal

_TERMINATED: Final = (
    "The load was ended by SIGTERM. What was published stays so: run it again for the rest, and for"
    " the report of all rejected rows."
)


def load(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            parser=file_or_folder,
            help="A CSV, JSONL or Parquet file, or a folder of them.",
        ),
    ],
    mapping: Annotated[
        str | None,
        typer.Option(
            "--mapping",
            metavar="NAME|FILE",
            help="A shipped mapping or a file; without it, the shipped one that fits each file.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            dir_okay=False,
            callback=output_file,
            help="Where rejected rows are written; an earlier report there is replaced.",
            show_default="rejects.csv in the installation's home",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Publish every row of files, as a publisher; again is safe and changes nothing."""
    from gateway.cli.terminated import told_when_terminated
    from sdk.loading.load import Progress
    from sdk.loading.load import load as load_source

    chosen = None if mapping is None else _mapping(mapping)
    rejects = _report(report)
    replaced = rejects.exists()

    async def loaded(gateway: calls.Gateway) -> "LoadSummary":
        with told_when_terminated(_TERMINATED), bar("bytes") as advance:

            def progress(state: Progress) -> None:
                advance(state.read_bytes, state.total_bytes)

            return await load_source(
                gateway.channel,
                source,
                chosen,
                report=rejects,
                progress=progress,
                waiting=_tell_of_waiting,
            )

    summary = calls.with_gateway(profile, loaded)
    _show(summary, replaced=replaced, as_json=as_json)


def _tell_of_waiting(why: "Refusal") -> None:
    from sdk.loading.load import PATIENCE

    typer.echo(
        f"The gateway does not take the next rows ({why.reason or why.status}: {why.message})."
        f" They are sent again for {PATIENCE:g} seconds at most, then the load ends; what was"
        " published stays. What fails in the gateway stands in its log.",
        err=True,
    )


def _report(named: Path | None) -> Path:
    """Return where rejected rows go. Raises CommandFailed where no file can be made."""
    if named is None:
        named = home() / "rejects.csv"
        named.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(named.parent, os.W_OK | os.X_OK):
        raise CommandFailed(
            f"The report {named} cannot be written: make its folder, or choose another --report."
        )
    return named


def _mapping(named: str) -> "ColumnMapping":
    from sdk.loading.mapping_file import read_mapping, shipped_mappings

    shipped = shipped_mappings()
    if named in shipped:
        return shipped[named]
    if not Path(named).is_file():
        raise CommandFailed(
            f"There is no mapping {named}: name a file or one of {', '.join(shipped)}."
        )
    return read_mapping(Path(named))


def _show(summary: "LoadSummary", *, replaced: bool, as_json: bool) -> None:
    counts = {
        "files": summary.files,
        "rows": summary.rows,
        "published": summary.published,
        "unchanged": summary.unchanged,
        "rejected": summary.rejected,
    }
    if as_json:
        print_json({**counts, "report": str(summary.report)})
        return
    row = [str(count) for count in counts.values()]
    show_sheet(Sheet("Loaded", tuple(counts), [row], frozenset(counts)), console())
    earlier = " It replaces an earlier report." if replaced else ""
    typer.echo(f"Rejected rows, each with its reason, are in {summary.report}.{earlier}")
