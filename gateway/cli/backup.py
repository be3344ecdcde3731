"""``creditgate backup`` and ``creditgate restore``: copies of an installation, on itself."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.installed import require_home
from gateway.cli.options import AsJson, Config
from gateway.cli.output import print_json, utc_seconds


def backup(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to make, which must not exist.")
    ],
    keys_for: Annotated[
        Path | None,
        typer.Option(
            "--keys-for",
            metavar="PEM",
            exists=True,
            dir_okay=False,
            help="Copy private keys too, encrypted to this public EC key, whose private key is"
            " kept elsewhere. Without it, none is copied.",
        ),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Copy the installation as it is at one instant; it may run meanwhile.

    Of one on PostgreSQL only the keys: the database's own tools copy it.
    """
    from gateway.backup.sealed import read_key
    from gateway.backup.taking import take
    from gateway.clock import SystemClock
    from gateway.config import GatewayConfig

    settings = GatewayConfig.load(config)
    embedded = settings.database.get_secret_value() == "sqlite"
    if not embedded and keys_for is None:
        raise CommandFailed(
            "The database is copied by its own tools, for example pg_dump; of the rest there are"
            " only keys: give --keys-for."
        )
    try:
        copy = take(
            require_home(settings),
            folder.absolute(),
            SystemClock(),
            stores=embedded,
            recipient=None if keys_for is None else read_key(keys_for),
        )
    except FileExistsError:
        raise CommandFailed(f"{folder} is there: name a new folder.") from None
    if as_json:
        print_json({"folder": str(folder)} | copy.model_dump(mode="json"))
        return
    typer.echo(f"{folder} holds the installation as of {utc_seconds(copy.taken_at)}.")
    if keys_for is None:
        typer.echo(
            "Private keys are NOT in it. Without a copy of them the logs cannot go on, and what is"
            " salted cannot be opened: use --keys-for, or copy keys/ by your own means."
        )


def restore(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", exists=True, file_okay=False, help="What `backup` made."),
    ],
    keys_with: Annotated[
        Path | None,
        typer.Option(
            "--keys-with",
            metavar="PEM",
            exists=True,
            dir_okay=False,
            help="Restore the private keys too, which are encrypted to this private EC key.",
        ),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Put a copy where there is nothing, and an emergency brake on everything.

    The gateway does not start before it is decided how its logs go on. On PostgreSQL, restore the
    database first.
    """
    from gateway.backup.restoring import restore, stop_restored
    from gateway.backup.sealed import read_key
    from gateway.clock import SystemClock
    from gateway.config import GatewayConfig
    from gateway.installation.home import Home
    from gateway.storage.engines import open_engines

    settings = GatewayConfig.load(config)
    home, database = Home.at(settings.home), settings.database.get_secret_value()
    embedded = database == "sqlite"
    copy = restore(
        home,
        folder,
        SystemClock(),
        stores=embedded,
        key=None if keys_with is None else read_key(keys_with),
    )
    if not embedded:
        engines = open_engines(database, home.root)
        try:
            stop_restored(engines, copy, SystemClock())
        finally:
            engines.dispose()
    if as_json:
        print_json({"home": str(home.root)} | copy.model_dump(mode="json"))
        return
    typer.echo(
        f"{home.root} is as of {utc_seconds(copy.taken_at)}, and an emergency brake is on"
        " everything: what was suspended, revoked or corrected since is not in it. Do that again,"
        " then `creditgate brake release`."
    )
    typer.echo(
        "Start the gateway: where its logs were signed further than this, or it is not known, it"
        " refuses and says what to do."
    )
