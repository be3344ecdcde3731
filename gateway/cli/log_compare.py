"""``creditgate log compare``: whether two states of a log are of one history. Anybody's tool:
it takes a pinned key and no profile."""

import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.options import AsJson
from gateway.cli.output import print_json
from gateway.cli.outputs import file_or_other, output_file
from gateway.cli.proving import read_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from creditgate.transparency.note import VerifierKey
    from sdk.histories import PublishedLog, SplitView

SPLIT: Final = 3
"""Exit status where the two are not of one history."""

_State = Annotated[
    str,
    typer.Argument(
        metavar="STATE",
        callback=file_or_other,
        help="A saved answer, a file with a checkpoint, or the URL of a log as it is served.",
    ),
]


def compare(
    first: _State,
    second: _State,
    key: Annotated[str, typer.Option("--key", metavar="VKEY", help="The log's key, as pinned.")],
    log: Annotated[
        str,
        typer.Option(
            "--log",
            metavar="URL",
            help="Where the log is served, {issuer}/log/disclosure: two states of different sizes"
            " are compared by its tiles.",
        ),
    ] = "",
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            exists=True,
            dir_okay=False,
            help="CA of the server's certificate.",
            show_default="those the system knows",
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            dir_okay=False,
            callback=output_file,
            help="Where they are not of one history, write what proves it to this file.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether two states that a log has signed are of one history.

    Exit status 0 where they are, 3 where the log has shown two histories, 1 where it cannot be
    told.
    """
    from creditgate.transparency.merkle import ProofInvalid
    from sdk.histories import HistoryUnknown, compared

    pinned = read_key(key)
    try:
        served = _served(first, second, log, pinned, ca)
        notes = (_note(first, pinned, served), _note(second, pinned, served))
        found = compared(*notes, pinned, served)
    except ProofInvalid as error:
        raise CommandFailed(f"What is compared is not of the log of that key: {error}.") from None
    except HistoryUnknown as error:
        raise CommandFailed(str(error)) from None
    document = {"key": str(pinned), "split": [each.as_json() for each in found]}
    if found and evidence is not None:
        evidence.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(document)
    else:
        _tell(found, notes, pinned)
    if found:
        raise typer.Exit(SPLIT)


def _served(
    first: str, second: str, log: str, key: "VerifierKey", ca: Path | None
) -> "PublishedLog | None":
    from sdk.histories import PublishedLog

    urls = {each for each in (first, second, log) if _is_url(each)}
    if len(urls) > 1:
        raise CommandFailed("Name the log by one URL.")
    if log and not _is_url(log):
        raise CommandFailed("--log is a URL, as https://gateway.example/log/disclosure.")
    tls = None if ca is None else ssl.create_default_context(cafile=str(ca))
    return PublishedLog(urls.pop(), key, tls) if urls else None


def _note(state: str, key: "VerifierKey", served: "PublishedLog | None") -> str:
    from sdk.histories import kept_checkpoint

    if served is not None and _is_url(state):
        return served.note
    try:
        return kept_checkpoint(Path(state), key)
    except OSError as error:
        raise CommandFailed(f"{state} cannot be read: {error.strerror}.") from None


def _is_url(state: str) -> bool:
    return state.startswith(("https://", "http://"))


def _tell(found: "Sequence[SplitView]", notes: "Sequence[str]", key: "VerifierKey") -> None:
    from creditgate.transparency.note import open_checkpoint

    sizes = [open_checkpoint(each, key).size for each in notes]
    if not found:
        typer.echo(f"One history: {sizes[0]} and {sizes[1]} entries of {key.name}.")
        return
    typer.echo(f"TWO HISTORIES: {key.name} has signed states that contradict each other.")
    for each in found:
        typer.echo(f"\n{each.first}\n{each.second}", nl=False)
