"""``creditgate consent watch``: each change of the operator's consents, as it comes."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Annotated

import typer

from creditgate.v1 import consent_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.consent_sheets import change_line
from gateway.cli.failures import CommandFailed
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import as_dict, console, print_json


def watch(
    after: Annotated[
        int,
        typer.Option(
            "--after", min=0, metavar="SEQUENCE", help="The last change you have; 0 for all."
        ),
    ] = 0,
    most: Annotated[
        int | None,
        typer.Option("--most", min=1, metavar="NUMBER", help="End after so many changes."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--for", min=0, metavar="SECONDS", help="End after this time."),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Follow what becomes of your consents, as an operator's client; Ctrl-C ends it.

    With --json, --most or --for must say when it ends.
    """
    if as_json and most is None and seconds is None:
        raise CommandFailed("One document cannot follow for ever: say --most or --for with --json.")
    changes: list[pb.WatchConsentsResponse] = []
    take = changes.append if as_json else _line
    calls.with_gateway(profile, lambda gateway: _followed(gateway, after, most, seconds, take))
    if as_json:
        newest = changes[-1].event.sequence if changes else after
        print_json({"changes": [as_dict(change) for change in changes], "sequence": newest})


def _line(change: pb.WatchConsentsResponse) -> None:
    from rich.text import Text

    # Text: a reason is others' words, and must not reach the terminal as commands.
    console().print(Text(change_line(change)), soft_wrap=True)


async def _followed(
    gateway: calls.Gateway,
    after: int,
    most: int | None,
    seconds: float | None,
    take: Callable[[pb.WatchConsentsResponse], None],
) -> None:
    """Hand each change to ``take``, until ``most`` came or ``seconds`` have passed."""
    from sdk.consents import Consents

    taken = 0
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(seconds),
            aclosing(Consents(gateway.channel).follow(after)) as changes,
        ):
            async for change in changes:
                take(change)
                taken += 1
                if taken == most:
                    return
