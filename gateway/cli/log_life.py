"""``creditgate log``: how logs begin, go on, and go over to other keys."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.installed import installed
from gateway.cli.options import AsJson, Config
from gateway.cli.output import print_json

if TYPE_CHECKING:
    from sqlalchemy import Table

    from gateway.installation.home import Home
    from gateway.storage.engines import Engines


class KeyOf(StrEnum):
    """What a log's key is for."""

    DISCLOSURE = "disclosure"
    DECISIONS = "decisions"
    USAGE = "usage"


def begin(
    log: Annotated[KeyOf, typer.Option("--log", help="Which of the logs.")] = KeyOf.DISCLOSURE,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Begin a log anew whose store was lost or put back: under another key and origin.

    The gateway must not run. It makes the key as it starts; everybody must then pin it.
    """
    from gateway.transparency.beginning import begin_anew
    from gateway.transparency.identity import NotLost
    from gateway.transparency.succeeding import finish
    from gateway.transparency.tables import LogId

    with opened_alone(config) as (engines, home):
        file = home.log_key(log.value)
        try:
            if finish(engines.evidence, LogId[log.name], file):
                raise CommandFailed(
                    "A change of this key had been cut off, and is finished now: start the gateway."
                )
            if log is KeyOf.USAGE:
                _keep_agreed(engines, file)
            away = begin_anew(engines.evidence, LogId[log.name], file, _going_with(log))
        except NotLost:
            raise CommandFailed(
                "The store has all that was signed for this log: there is nothing to begin."
            ) from None
    if as_json:
        print_json({"log": log.value, "former_key": away})
    else:
        typer.echo(f"The former key is kept as {away}. Start the gateway, and tell its new key.")


def announce(
    log: Annotated[KeyOf, typer.Option("--log", help="Which of the logs.")] = KeyOf.DISCLOSURE,
    anew: Annotated[
        bool, typer.Option("--anew", help="Make another key than the one announced so far.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make the key that is to follow a log's key, and tell which it is, before it signs.

    The gateway may run: operators' books and other regions learn it from there. Prints the note.
    """
    from gateway.clock import SystemClock
    from gateway.transparency.identity import NotWhole
    from gateway.transparency.succeeding import announce as announced
    from gateway.transparency.tables import LogId

    with opened(config) as (engines, home):
        file, now = home.log_key(log.value), SystemClock().now()
        try:
            note = announced(engines.evidence, LogId[log.name], file, now, anew=anew)
        except NotWhole:
            raise CommandFailed(
                "The log has not begun, or its key is not the one here: start the gateway once, or"
                " restore the key."
            ) from None
    if as_json:
        print_json({"log": log.value, "announcement": note})
    else:
        typer.echo(note, nl=False)


def rotate(
    log: Annotated[KeyOf, typer.Option("--log", help="Which of the logs.")] = KeyOf.DISCLOSURE,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Do so though the next key was not announced.")
    ] = False,
    stolen: Annotated[
        bool,
        typer.Option(
            "--stolen",
            help="The key is in other hands: link nothing to it, and believe nothing it signed.",
        ),
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """End a log and begin it under the key that was announced, which the former key's note tells.

    The gateway must not run. Prints the note, to be published where the key is.
    """
    from gateway.clock import SystemClock
    from gateway.transparency.identity import NotBegun, NotWhole
    from gateway.transparency.succeeding import NotAnnounced, finish, require_announced, succeed
    from gateway.transparency.tables import LogId

    with opened_alone(config) as (engines, home):
        file, name = home.log_key(log.value), LogId[log.name]
        try:
            # By another key than was said by one that was cut off nothing would be linked.
            begun = finish(engines.evidence, name, file)
            if begun and stolen:
                raise CommandFailed(
                    "A change of this key had been cut off, and is finished now: start the gateway once,"
                    " stop it, and run this again."
                )
            if begun:
                note = begun.note
            else:
                if not at_once and not stolen:
                    require_announced(engines.evidence, name, file, SystemClock().now())
                if log is KeyOf.USAGE and stolen:
                    _keep_agreed(engines, file)
                tables = _going_with(log, linked=not stolen)
                note = succeed(engines.evidence, name, file, tables, stolen=stolen)
        except NotAnnounced as early:
            raise CommandFailed(
                f"The next key is not known to others yet: {_announcing(log, early.seconds)}"
                " --at-once does without; others then learn it from its first signature."
            ) from None
        except NotBegun:
            raise CommandFailed(
                "The log has not begun under its present key: start the gateway once. The note of the"
                f" last change is in {file.parent}, in the newest file *.succession."
            ) from None
        except NotWhole:
            raise CommandFailed(
                "The store lacks what was signed for this log, or that is not known: the former key"
                f" can't vouch for it. `creditgate log begin --log {log.value}` begins it anew."
            ) from None
    if as_json:
        print_json({"log": log.value, "succession": note})
    elif stolen:
        typer.echo("Nothing that the former key signed is believed. Tell the new key: pin it anew.")
    else:
        typer.echo(note, nl=False)


def _announcing(log: KeyOf, seconds: int | None) -> str:
    if seconds is not None:
        return f"it was announced, wait {seconds} s more with the gateway running."
    return (
        f"`creditgate log announce --log {log.value}` while the gateway runs, two minutes before."
    )


def successor(
    note: Annotated[
        Path, typer.Argument(metavar="NOTE", exists=True, dir_okay=False, help="What rotate said.")
    ],
    pinned: Annotated[
        str, typer.Option("--key", metavar="VKEY", help="The key that was pinned so far.")
    ],
    as_json: AsJson = False,
) -> None:
    """Print the key that follows one that was pinned, from a note that it signed."""
    from creditgate.transparency.merkle import ProofInvalid
    from creditgate.transparency.note import VerifierKey
    from creditgate.transparency.succession import open_succession

    try:
        told = open_succession(note.read_text(encoding="utf-8"), VerifierKey.parse(pinned))
    except ValueError as error:
        reason = str(error) if isinstance(error, ProofInvalid) else "--key is no verifier key"
        raise CommandFailed(f"The successor is not known: {reason}.") from None
    if as_json:
        print_json({"key": str(told.next_key), "size": told.size, "root": told.root})
    else:
        typer.echo(str(told.next_key))


def resume(
    checkpoints: Annotated[
        list[Path],
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="The newest checkpoint of the disclosure log, and another time that of the log of"
            " decisions, as `log checkpoint` printed them when the gateway had been stopped.",
        ),
    ],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Go on with all logs of a gateway that was stopped, copied and restored, as in a move.

    Refused unless the store ends with just these checkpoints. The gateway must not run.
    """
    from gateway.transparency.resuming import NotResumed, resume
    from gateway.transparency.tables import LogId

    notes = [file.read_text(encoding="utf-8") for file in checkpoints]
    with opened_alone(config) as (engines, home), engines.evidence.begin() as connection:
        try:
            resume(connection, {log: home.log_key(log.path) for log in LogId}, notes)
        except NotResumed as error:
            raise CommandFailed(str(error)) from None
    if as_json:
        print_json({"resumed": [log.path for log in LogId]})
    else:
        typer.echo("The logs go on where they ended: start the gateway.")


def _going_with(log: KeyOf, *, linked: bool = False) -> "Sequence[Table]":
    """Return the tables that go with a log, whose next key is ``linked`` to the former or not."""
    from gateway.audit.fact_tables import DECISIONS_TABLES
    from gateway.transparency.beginning import DISCLOSURE_TABLES
    from gateway.usage.agreed import LINKED_USAGE_TABLES, USAGE_TABLES

    tables = {
        KeyOf.DISCLOSURE: DISCLOSURE_TABLES,
        KeyOf.DECISIONS: DECISIONS_TABLES,
        KeyOf.USAGE: LINKED_USAGE_TABLES if linked else USAGE_TABLES,
    }
    return tables[log]


def _keep_agreed(engines: "Engines", file: Path) -> None:
    from gateway.usage.agreed import keep_agreed

    keep_agreed(engines.evidence, file)


@contextmanager
def opened(config: Path | None) -> "Generator[tuple[Engines, Home]]":
    """Give the installation's stores and home."""
    with installed(config) as (_, home, engines):
        yield engines, home


@contextmanager
def opened_alone(config: Path | None) -> "Generator[tuple[Engines, Home]]":
    """Give the same to one command alone, which no gateway may run beside. Raises StillAtWork."""
    from gateway.storage.at_work import alone

    with opened(config) as (engines, home), alone(engines.evidence):
        yield engines, home
