"""``creditgate init``: an installation made from nothing."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.options import AsJson, Config
from gateway.cli.output import print_json


def init(
    config: Config = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--administrator-certificate",
            exists=True,
            dir_okay=False,
            help="The first administrator's certificate (PEM), where client_ca is configured.",
        ),
    ] = None,
    jwks: Annotated[
        Path | None,
        typer.Option(
            "--administrator-jwks",
            exists=True,
            dir_okay=False,
            help="The first administrator's public keys (JWK Set).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set up what is missing: schema, certificates, signing key, first administrator."""
    from gateway.clock import SystemClock
    from gateway.config import GatewayConfig
    from gateway.installation.bootstrap import (
        ADMINISTRATOR,
        AdministratorKeys,
        NoAdministrator,
        bootstrap,
    )

    if (certificate is None) != (jwks is None):
        raise CommandFailed("Give --administrator-certificate and --administrator-jwks together.")
    keys = (
        None
        if certificate is None or jwks is None
        else AdministratorKeys(certificate.read_bytes(), jwks.read_text(encoding="utf-8"))
    )
    try:
        home = bootstrap(GatewayConfig.load(config), SystemClock(), keys)
    except NoAdministrator as error:
        raise CommandFailed(
            f"{error} Use --administrator-certificate and --administrator-jwks."
        ) from None
    profile = home.profile(ADMINISTRATOR)
    found = str(profile) if profile.exists() else None
    if as_json:
        print_json({"home": str(home.root), "profile": found})
        return
    typer.echo(f"The installation is in {home.root}; `creditgate serve` runs it.")
    if found is not None:
        typer.echo(f"Its administrator's profile is {found}.")
