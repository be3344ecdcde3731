"""``creditgate login`` and ``logout``: commands on behalf of a person, not of the client."""

import webbrowser
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from gateway.cli.calls import read_profile
from gateway.cli.failures import CommandFailed
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import print_json, utc_seconds
from gateway.clock import SystemClock

if TYPE_CHECKING:
    from gateway.cli.code_flow import Begun, CodeFlow, TokenAnswer
    from gateway.cli.loopback import Loopback

REDIRECT_URI: Final = "http://127.0.0.1:8765/signed-in"
_WAIT_SECONDS: Final = 600


def login(
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="Ask for this scope only; repeatable."),
    ] = None,
    step_up: Annotated[
        bool,
        typer.Option(
            "--step-up", help="Sign in anew with a second factor, which dangerous actions need."
        ),
    ] = False,
    redirect_uri: Annotated[
        str,
        typer.Option(
            help="Where the browser comes back to on this machine, as registered for the client.",
        ),
    ] = REDIRECT_URI,
    open_browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser, or only tell where.")
    ] = True,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Sign in as a person; commands with this profile then act for them.

    The profile's client needs the grant type authorization_code and the redirect URI.
    """
    from gateway.cli.code_flow import CodeFlow
    from gateway.cli.loopback import listening
    from gateway.cli.signed_in import SignedIn, keep
    from operators.administrators import STRONG_ACR

    credentials = read_profile(profile)
    _require_loopback(redirect_uri)
    more = {"acr_values": STRONG_ACR, "max_age": "0"} if step_up else {}
    flow = CodeFlow(credentials)
    try:
        with listening(redirect_uri) as loopback:
            begun = _begun(flow, redirect_uri, scopes or (), more)
            _send_browser(begun, open_browser=open_browser)
            signed_in = SignedIn.of(credentials, *_finished(flow, loopback, begun))
    finally:
        flow.close()
    keep(profile, signed_in)
    until = utc_seconds(signed_in.expires_at)
    if as_json:
        lasting = signed_in.refresh_token is not None
        print_json({"client_id": credentials.client_id, "until": until, "renewable": lasting})
    else:
        typer.echo(f"Signed in: commands with {profile} act for you. `creditgate logout` ends it.")


def logout(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """End the sign-in; commands with this profile act for the client itself again."""
    from gateway.cli.code_flow import CodeFlow
    from gateway.cli.signed_in import forget, kept

    signed_in = kept(profile)
    if signed_in is not None:
        # First: whatever the server says, nothing here acts for the person any more.
        forget(profile)
        flow = CodeFlow(read_profile(profile))
        try:
            flow.revoke(signed_in.refresh_token or signed_in.access_token)
        finally:
            flow.close()
    if as_json:
        print_json({"signed_out": signed_in is not None})
    else:
        typer.echo("Signed out." if signed_in is not None else "Nobody was signed in.")


def _begun(
    flow: "CodeFlow", redirect_uri: str, scopes: Sequence[str], more: Mapping[str, str]
) -> "Begun":
    from sdk.tokens import TokenRefused

    try:
        return flow.begin(redirect_uri, tuple(scopes), more)
    except TokenRefused as refused:
        if refused.error != "unauthorized_client":
            raise
        raise TokenRefused(
            refused.error,
            f"{refused.description} Signing in takes a client of an operator or office that may"
            " act, registered by `creditgate client register … --grant-type authorization_code"
            f" --redirect-uri {redirect_uri}`.",
        ) from None


def _finished(flow: "CodeFlow", loopback: "Loopback", begun: "Begun") -> "tuple[TokenAnswer, int]":
    answer = loopback.wait(begun.state, _WAIT_SECONDS)
    if answer is None:
        raise CommandFailed(
            f"No answer came within {_WAIT_SECONDS // 60} minutes; run `creditgate login` again."
        )
    asked_at = SystemClock().now()
    return flow.finish(begun, answer), asked_at


def _send_browser(begun: "Begun", *, open_browser: bool) -> None:
    # Told on the side: standard output is for the result.
    typer.echo(f"Sign in at:\n  {begun.url}", err=True)
    if open_browser:
        webbrowser.open(begun.url)


def _require_loopback(redirect_uri: str) -> None:
    from gateway.cli.loopback import HOST

    parts = urlsplit(redirect_uri)
    try:
        port = parts.port
    except ValueError:
        port = None
    if (parts.scheme, parts.hostname) != ("http", HOST) or not port or parts.query:
        raise CommandFailed(
            f"--redirect-uri must be like {REDIRECT_URI}: http, {HOST}, a port and a path."
        )
