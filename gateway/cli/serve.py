"""``creditgate serve``: the gateway, until it is told to stop."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.options import AsJson, Config, DataFolder
from gateway.cli.unlistenable import told_of

if TYPE_CHECKING:
    from gateway.demo.seeding import Seeding
    from gateway.installation.home import Home
    from gateway.server.process import Running


_NO_PEOPLE: Final = (
    "Several workers cannot share the invented people: nobody can sign in, and /my, /portal and"
    " /console answer 503. Set CREDITGATE_WORKERS=1, or an identity provider (CREDITGATE_OIDC_ISSUER)."
)


def serve(
    config: Config = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Seed demo data and tell how to call, in serve.json.")
    ] = False,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Set up what is missing, then serve until Ctrl-C or SIGTERM."""
    if data is not None and not demo:
        raise CommandFailed("--data goes with --demo; `creditgate load` loads into any gateway.")
    from gateway.clock import SystemClock
    from gateway.config import GatewayConfig
    from gateway.installation.bootstrap import NoAdministrator, bootstrap
    from gateway.server.policies import Policies
    from gateway.server.supervisor import serve as serve_until_stopped
    from gateway.server.tls_settings import require_tls_files
    from gateway.telemetry.collector_headers import require_collector_headers
    from gateway.telemetry.logs import log_to_stderr

    settings = GatewayConfig.load(config)
    # A file that cannot be used is told before anything is set up.
    Policies.read(settings)
    require_tls_files(settings)
    require_collector_headers(settings, os.environ)
    log_to_stderr(settings.log_level)
    if demo and (settings.tls_certificate or settings.client_ca):
        raise CommandFailed(
            "--demo makes keys by the development CA: leave tls_certificate and client_ca unset."
        )
    # An own identity provider stays, and several processes cannot share the development one.
    with_people = demo and settings.oidc_issuer is None and settings.workers == 1
    if with_people:
        settings = settings.model_copy(update={"development_provider": True})
        settings.require_ports_apart()
    elif demo and settings.oidc_issuer is None:
        typer.echo(_NO_PEOPLE, err=True)
    try:
        home = bootstrap(settings, SystemClock())
    except NoAdministrator as error:
        raise CommandFailed(f"{error} `creditgate init --help` tells how.") from None
    seeding = _seeding(home, data, with_people=with_people, as_json=as_json) if demo else None

    def ready(running: "Running") -> None:
        if running.ca is not None:
            home.point_profiles_at(running.grpc, running.issuer, running.ca)
        if seeding is not None:
            seeding.begin(running)
        if seeding is None or not as_json:
            _announce(running, as_json=as_json)

    try:
        serve_until_stopped(settings, ready)
    except (OSError, RuntimeError) as error:
        if told := told_of(error, settings):
            raise CommandFailed(told) from None
        raise
    if seeding is not None:
        seeding.raise_failure()


def _announce(running: "Running", *, as_json: bool) -> None:
    if as_json:
        ca = None if running.ca is None else str(running.ca)
        document = {"grpc": running.grpc, "issuer": running.issuer, "ca": ca}
        # One line, so that a program that started this one can wait for it.
        typer.echo(json.dumps(document))
    else:
        typer.echo(f"Serving gRPC at {running.grpc}, tokens at {running.issuer}; Ctrl-C stops.")


def _seeding(home: "Home", data: Path | None, *, with_people: bool, as_json: bool) -> "Seeding":
    from gateway.demo.seeding import Seeding

    def done() -> None:
        if as_json:
            served = json.loads(home.served.read_bytes())
            typer.echo(json.dumps({**served, "serve_json": str(home.served)}, ensure_ascii=False))
        else:
            typer.echo(_how_to_call(home))
            if with_people:
                typer.echo(_how_to_sign_in(home))

    return Seeding(home, data, done, with_people=with_people)


def _how_to_call(home: "Home") -> str:
    from gateway.demo.cast import ALPHA
    from gateway.demo.invented import CORRECTED

    return (
        f"Demo data is in. What outside programs need to call is in {home.served}.\n"
        "In another terminal, for example:\n"
        f"  {_program()} query {CORRECTED} --purpose supplier-check \\\n"
        f"      --profile {shlex.quote(str(home.profile(ALPHA.client_id)))}"
    )


def _how_to_sign_in(home: "Home") -> str:
    from gateway.demo.cast import ALPHA, CONSOLE

    served = json.loads(home.served.read_bytes())
    accounts = ", ".join(account["account"] for account in served["people"]["accounts"])
    representative = served["people"]["representatives"][0]["account"]
    firm = next(
        account["account"]
        for account in served["people"]["representatives"]
        if account["subject"] == ALPHA.uscc
    )
    profile = shlex.quote(str(home.profile(CONSOLE)))
    return (
        f"Invented people can sign in to administer, each in one role: {accounts}.\n"
        f"In a browser that trusts {home.ca}, or that you let go on:\n"
        f"  {_program()} login --profile {profile}\n"
        "--step-up signs in with a second factor; commands with that profile then act for them.\n"
        f"Their console is at {served['console_pages']}; firms see what they use and owe at"
        f" {served['portal_pages']}: for alpha, sign in as {firm}.\n"
        f"Companies consent, and see who used their data, at {served['subject_pages']}: sign in as"
        f" {representative}."
    )


def _program() -> str:
    """Return how this program is called from any folder, on a path or not."""
    script = Path(sys.argv[0])
    if script.name == "creditgate":
        return shlex.quote(str(script.absolute()))
    return f"{shlex.quote(sys.executable)} -m gateway.cli"
