"""``creditgate key``: the keys that sign access tokens, on the installation itself.

Private keys lie on the gateway's own disk, so this works there and over no network.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.failures import ReportedCommand
from gateway.cli.installed import installed
from gateway.cli.options import ANY_WORD, AsJson, Config, Why
from gateway.cli.output import Sheet, console, print_json, show_sheet, utc_seconds

if TYPE_CHECKING:
    from gateway.oauth.signing import SigningKeys
    from operators.log import AuthorityLog

app = typer.Typer(help="Keys that sign access tokens.", no_args_is_help=True)

_CHANGED_BY = "installation"
# `gateway.oauth.keys.LEAD_SECONDS`, written out: reading it would import the server.
_LEAD_SECONDS = 120
_MOST_LEAD_SECONDS = 30 * 86_400


class _Algorithm(StrEnum):
    ES256 = "ES256"
    EDDSA = "EdDSA"


@app.command("rotate", cls=ReportedCommand)
def rotate(
    reason: Why,
    algorithm: Annotated[
        _Algorithm, typer.Option("--algorithm", help="Algorithm of the new key.")
    ] = _Algorithm.ES256,
    lead_seconds: Annotated[
        int,
        typer.Option(
            "--in",
            min=0,
            max=_MOST_LEAD_SECONDS,
            metavar="SECONDS",
            help="Publish it this long before it signs, so that copies of the keys know it;"
            " 0 where the present key fell into other hands.",
        ),
    ] = _LEAD_SECONDS,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, published now, that soon takes over signing; older ones verify on."""
    from gateway.clock import SystemClock
    from gateway.oauth.rotation import issue_signing_key

    with _installation(config) as (log, keys):
        kid = issue_signing_key(
            log,
            keys,
            algorithm=algorithm.value,
            changed_by=_CHANGED_BY,
            now=SystemClock().now(),
            reason=reason,
            lead_seconds=lead_seconds,
        )
    if as_json:
        print_json({"kid": kid})
    else:
        begins = f"in {lead_seconds} seconds" if lead_seconds else "now"
        typer.echo(f"{kid} signs {begins}. Retire its predecessor when its last token is over.")


@app.command("retire", cls=ReportedCommand, context_settings=ANY_WORD)
def retire(
    kid: Annotated[str, typer.Argument(metavar="KID", help="Id of the key.")],
    reason: Why,
    at_once: Annotated[
        bool,
        typer.Option(
            "--at-once", help="Also while its tokens live, which are refused from then on."
        ),
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Stop a superseded key for good, when the last token it signed is over."""
    from gateway.clock import SystemClock
    from gateway.config import GatewayConfig
    from gateway.oauth.keys import SigningKeyBook
    from gateway.oauth.rotation import retire_signing_key

    with _installation(config) as (log, keys):
        retire_signing_key(
            log,
            keys,
            SigningKeyBook.empty().advanced(log.since(0)),
            kid,
            changed_by=_CHANGED_BY,
            now=SystemClock().now(),
            reason=reason,
            token_seconds=0 if at_once else GatewayConfig.load(config).token_seconds,
        )
    if as_json:
        print_json({"kid": kid})
    else:
        typer.echo(f"{kid} is retired.")


@app.command("list", cls=ReportedCommand)
def list_(config: Config = None, as_json: AsJson = False) -> None:
    """List all keys, the newest that may sign first, retired ones last."""
    from gateway.clock import SystemClock
    from gateway.oauth.keys import SigningKeyBook

    with _installation(config) as (log, keys):
        changes = log.since(0)
        book = SigningKeyBook.empty().advanced(changes)
        now = SystemClock().now()
        signs = keys.signing_kid(book, now)
    due = book.signing_kids(now)
    # Those before the one that signs, which should sign in its place.
    unusable = due if signs is None else due[: due.index(signs)]
    kids = dict.fromkeys((*due, *(change.id for change in changes if book.entry(change.id))))
    entries = [entry.key for kid in kids if (entry := book.entry(kid)) is not None]
    if as_json:
        times = ("active_from", "retired_at")
        told = [key.model_dump() | {"signs": key.kid == signs} for key in entries]
        print_json({"keys": [_with_times(key, times) for key in told]})
        return
    rows = [
        (
            key.kid,
            key.jwk["alg"],
            utc_seconds(key.active_from),
            "" if key.retired_at is None else utc_seconds(key.retired_at),
            "yes" if key.kid == signs else "unusable" if key.kid in unusable else "",
        )
        for key in entries
    ]
    columns = ("key", "algorithm", "active from", "retired", "signs")
    show_sheet(Sheet("Signing keys", columns, rows), console())


def _with_times(document: dict[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return a document with these seconds (UTC) as RFC 3339 has them; None stays."""
    times = {
        name: None if document[name] is None else utc_seconds(document[name]) for name in fields
    }
    return document | times


@contextmanager
def _installation(config: Path | None) -> Generator[tuple["AuthorityLog", "SigningKeys"]]:
    """Give the installation's authority log and its private keys."""
    from gateway.oauth.signing import SigningKeys
    from gateway.pki.files import read_as_owner
    from operators.sql import SqlAuthorityLog

    with installed(config) as (_, home, engines):
        yield SqlAuthorityLog(engines.authority), SigningKeys(home.keys, read_as_owner)
