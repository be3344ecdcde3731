"""``creditgate copies challenges`` and ``answer``: copies the gateway wants to see (抽查)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import calls
from gateway.cli.conformance_sheets import challenges_sheet
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import Sheet, as_dict, console, print_json, several, show_sheet

if TYPE_CHECKING:
    from sdk.challenges import Answered


def challenges(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List the challenges that wait for your answer, by deadline."""
    from sdk.challenges import Challenges

    waiting = calls.with_gateway(profile, lambda gateway: Challenges(gateway.channel).list())
    if as_json:
        print_json({"challenges": [as_dict(each) for each in waiting]})
    else:
        show_sheet(challenges_sheet(waiting), console())


def answer(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", dir_okay=False, help="Your copies with contents, as for `reconcile`."
        ),
    ],
    gone: Annotated[
        bool,
        typer.Option("--gone", help="Tell that what the file does not hold is held nowhere."),
    ] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Show the copies that challenges ask for; what the file does not hold is left alone."""
    from sdk.challenges import Challenges
    from sdk.copies.file import CopiesFile

    async def answered(gateway: calls.Gateway) -> "Answered":
        waiting = Challenges(gateway.channel)
        return await waiting.answer(CopiesFile(file), await waiting.list(), gone=gone)

    done = calls.with_gateway(profile, answered)
    if as_json:
        left = [as_dict(each) for each in done.left]
        counts = {
            "shown": done.shown,
            "confirmed": done.confirmed,
            "refreshed": done.refreshed,
        }
        print_json({**counts, "findings": done.findings, "left": left})
        return
    terminal = console()
    row = (
        str(done.shown),
        str(done.confirmed),
        str(done.refreshed),
        several(done.findings, "none"),
    )
    columns = ("answered", "confirmed", "served again", "findings")
    show_sheet(Sheet("Challenges", columns, [row], frozenset(columns[:3])), terminal)
    if done.left:
        show_sheet(challenges_sheet(done.left, "Left: the file does not hold them"), terminal)
