"""``creditgate consent watch``: each change of the operator's consents, as it comes."""

from typing import Annotated

import typer

from creditgate.v1 import consent_service_pb2 as pb
from gateway.cli import calls
from gateway.cli.consent_sheets import change_line
from gateway.cli.following import Most, Seconds, follow, require_end
from gateway.cli.options import INT64, PROFILE, AsJson, Profile
from gateway.cli.output import as_dict, console, print_json


def watch(
    after: Annotated[
        int,
        typer.Option(
            "--after",
            min=0,
            max=INT64,
            metavar="SEQUENCE",
            help="The last change you have; 0 for all.",
        ),
    ] = 0,
    most: Most = None,
    seconds: Seconds = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Follow what becomes of your consents, as an operator's client; Ctrl-C ends it.

    With --json, --most or --for must say when it ends.
    """
    require_end(most, seconds, as_json=as_json)
    changes: list[pb.WatchConsentsResponse] = []
    take = changes.append if as_json else _line

    async def followed(gateway: calls.Gateway) -> None:
        from sdk.consents import Consents

        await follow(Consents(gateway.channel).follow(after), most, seconds, take)

    calls.with_gateway(profile, followed)
    if as_json:
        newest = changes[-1].event.sequence if changes else after
        print_json({"changes": [as_dict(change) for change in changes], "sequence": newest})


def _line(change: pb.WatchConsentsResponse) -> None:
    from rich.text import Text

    # Text: a reason is others' words, and must not reach the terminal as commands.
    console().print(Text(change_line(change)), soft_wrap=True)
