"""``creditgate log``: the disclosure log and the decision log, on the installation itself."""

import json
import time
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.following import Most, require_end
from gateway.cli.log_compare import compare
from gateway.cli.log_life import KeyOf, announce, begin, opened, resume, rotate, successor
from gateway.cli.options import INT64, AsJson, Config
from gateway.cli.output import Sheet, as_dict, console, print_json, show_sheet

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from creditgate.transparency.note import VerifierKey
    from gateway.installation.home import Home
    from gateway.storage.engines import Engines
    from gateway.transparency.faults import Fault
    from gateway.transparency.log import LogReader

app = typer.Typer(help="The logs that prove what was disclosed and decided.", no_args_is_help=True)
_LOOK_SECONDS = 0.5
_AT_ONCE = 256


class _Log(StrEnum):
    DISCLOSURE = "disclosure"
    DECISIONS = "decisions"


_Which = Annotated[_Log, typer.Option("--log", help="Which of the logs.")]


@app.command("key", cls=ReportedCommand)
def key(
    log: Annotated[KeyOf, typer.Option("--log", help="Which of the keys.")] = KeyOf.DISCLOSURE,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print the key that verifies a log's checkpoints, for those who are to pin it.

    That of usage verifies receipts of use too, and below its name all operators' usage logs.
    """
    with opened(config) as (engines, _):
        verifier = str(_verifier(engines, log.name))
    if as_json:
        print_json({"log": log.value, "key": verifier})
    else:
        typer.echo(verifier)


@app.command("checkpoint", cls=ReportedCommand)
def checkpoint(
    log: _Which = _Log.DISCLOSURE, config: Config = None, as_json: AsJson = False
) -> None:
    """Print a log's newest signed checkpoint (C2SP tlog-checkpoint)."""
    with opened(config) as (engines, _):
        latest = _reader(engines, log).latest()
    if latest is None:
        raise CommandFailed("The log has no checkpoint yet; start the gateway once.")
    if as_json:
        print_json({"log": log.value, "size": latest.size, "checkpoint": latest.note})
    else:
        typer.echo(latest.note, nl=False)


app.command("compare", cls=ReportedCommand)(compare)
for command in (announce, begin, resume, rotate, successor):
    app.command(cls=ReportedCommand)(command)


@app.command("check", cls=ReportedCommand)
def check(config: Config = None, as_json: AsJson = False) -> None:
    """Make the logs, the map and what follows from them anew, and tell what differs.

    Every row of what the gateway decided is compared to its last state in the log of decisions.
    The gateway may run meanwhile. Exit status 1 where anything is not as it was written. What
    carries no fact is not covered, and named with the reason.
    """
    from gateway.clock import SystemClock
    from gateway.selfcheck.check import check_stores
    from gateway.selfcheck.coverage import NOT_COVERED
    from gateway.transparency.salts import Salts

    with opened(config) as (engines, home):
        if not home.salts.exists():
            raise CommandFailed(f"{home.salts} is missing; restore it from a copy.")
        checked = check_stores(engines, Salts.kept_in(home.salts), SystemClock().now())
        faults = [*_other_keys(engines, home), *checked.faults]
    if as_json:
        found = checked._asdict() | {"faults": [fault._asdict() for fault in faults]}
        print_json({**found, "not_covered": dict(NOT_COVERED)})
    else:
        typer.echo(
            f"{checked.events} events, {checked.entries} entries and {checked.checkpoints}"
            f" checkpoints of the disclosure log, {checked.decisions} entries of the log of"
            f" decisions, {checked.holdings_blocks} blocks of holdings,"
            f" {checked.removal_duties} removals owed, {checked.reports} reports"
            f" ({checked.documents} by their documents), {checked.usage_leaves} leaves of usage"
            " logs."
        )
        if checked.waiting:
            typer.echo(f"{checked.waiting} writes wait to be logged, and are not compared yet.")
        rows = list(NOT_COVERED.items())
        show_sheet(Sheet("Carries no fact, and is not covered", ("what", "why"), rows), console())
        _show(faults)
    if faults:
        raise typer.Exit(1)


@app.command("tail", cls=ReportedCommand)
def tail(
    log: _Which = _Log.DISCLOSURE,
    after: Annotated[
        int,
        typer.Option(
            "--from", min=0, max=INT64, metavar="INDEX", help="Begin with this entry, from 0."
        ),
    ] = 0,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for more, until interrupted.")
    ] = False,
    most: Most = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print a log's entries, one a line, as far as they are signed."""
    if follow:
        require_end(most, None, as_json=as_json)
    with opened(config) as (engines, _):
        entries = (
            {"index": index, **as_dict(_message(log, entry))}
            for index, entry in islice(_entries(_reader(engines, log), after, follow=follow), most)
        )
        if as_json:
            print_json({"log": log.value, "entries": list(entries)})
            return
        for entry in entries:
            typer.echo(json.dumps(entry, ensure_ascii=False))


def _entries(log: "LogReader", after: int, *, follow: bool) -> Iterator[tuple[int, bytes]]:
    while True:
        latest = log.latest()
        size = 0 if latest is None else latest.size
        while after < size:
            indexes = range(after, min(size, after + _AT_ONCE))
            yield from zip(indexes, log.entries(indexes), strict=True)
            after = indexes[-1] + 1
        if not follow:
            return
        time.sleep(_LOOK_SECONDS)


def _message(log: _Log, entry: bytes) -> "Message":
    from creditgate.v1.audit_service_pb2 import DecisionEntry
    from creditgate.v1.disclosure_proof_pb2 import DisclosureLogEntry

    kind = DisclosureLogEntry if log is _Log.DISCLOSURE else DecisionEntry
    return kind.FromString(entry)


def _other_keys(engines: "Engines", home: "Home") -> "Iterator[Fault]":
    """Yield a fault for each log that was begun with another key than that at hand."""
    from gateway.storage.engines import reading
    from gateway.transparency.faults import Fault
    from gateway.transparency.identity import known_key
    from gateway.transparency.keys import LogKey
    from gateway.transparency.tables import LogId

    with reading(engines.evidence) as connection:
        for log in LogId:
            known, file = known_key(connection, log), home.log_key(log.path)
            if known is not None and (
                not file.exists() or LogKey.kept_in(file, known.name).verifier != known
            ):
                yield Fault(f"logs, {log.path}", f"{file} is missing, or holds another key")


def _show(faults: "list[Fault]") -> None:
    if not faults:
        typer.echo("All is as it was written, as far as it is covered.")
        return
    sheet = Sheet("What is otherwise", ("place", "what"), [tuple(fault) for fault in faults])
    show_sheet(sheet, console())


def _reader(engines: "Engines", log: _Log) -> "LogReader":
    from gateway.transparency.log import LogReader
    from gateway.transparency.tables import LogId

    return LogReader(engines.evidence, LogId[log.name], _verifier(engines, log.name))


def _verifier(engines: "Engines", name: str) -> "VerifierKey":
    from gateway.storage.engines import reading
    from gateway.transparency.identity import known_key
    from gateway.transparency.tables import LogId

    with reading(engines.evidence) as connection:
        verifier = known_key(connection, LogId[name])
    if verifier is None:
        raise CommandFailed("The log has not begun yet; start the gateway once.")
    return verifier
