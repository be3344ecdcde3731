"""Options several commands share."""

from pathlib import Path
from typing import Annotated, Final

import typer

from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli import terms
from gateway.cli.sources import folder

PROFILE: Final = Path("clients/administrator/profile.json")
"""The first administrator's profile, in the installation's home."""
ANY_WORD: Final = {"ignore_unknown_options": True}
"""What a command is registered with whose argument may begin with a dash, as one in 64 key ids
does: such a word is the argument then, not an option that nobody knows."""


def _profile(ctx: typer.Context, param: typer.CallbackParam, value: Path) -> Path:
    """Return the profile named, or the administrator's of the installation that is configured.

    Raises ConfigRefused.
    """
    source = ctx.get_parameter_source(param.name or "")
    if ctx.resilient_parsing or source is None or source.name != "DEFAULT":
        return value
    return home(ctx.params.get("config")) / value


def home(config: Path | None = None) -> Path:
    """Return the home of the installation that is configured. Raises ConfigRefused."""
    from gateway.config import GatewayConfig

    return GatewayConfig.load(config).home


INT32: Final = 2**31 - 1
INT64: Final = 2**63 - 1
"""Most that a field of a message can hold."""
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Profile = Annotated[
    Path,
    typer.Option(
        "--profile",
        envvar="CREDITGATE_PROFILE",
        help="The client to act as: its profile.json.",
        show_default="the administrator's, in the installation's home",
        callback=_profile,
        dir_okay=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="CREDITGATE_CONFIG",
        help="Settings of the gateway (TOML); the environment (CREDITGATE_…) overrides them.",
        # Read first: it says where the default of --profile lies.
        is_eager=True,
        dir_okay=False,
    ),
]
Why = Annotated[str, typer.Option("--reason", help="Why, for the history.")]
Items = Annotated[
    list[str] | None,
    typer.Option("--item", metavar="CODE", help="Catalogue item; repeat for more."),
]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="CODE",
        help='Region (GB/T 2260, 2, 4 or 6 digits), or "*" for all; repeat for more.',
    ),
]
RecordRegions = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="CODE",
        help="Only records of this region (GB/T 2260, 2, 4 or 6 digits); repeat for more.",
    ),
]
PurposeAsked = Annotated[
    Purpose.ValueType,
    typer.Option(
        "--purpose",
        parser=terms.purpose,
        autocompletion=terms.purposes,
        metavar="PURPOSE",
        help="Purpose of this use, such as supplier-check.",
    ),
]
Purposes = Annotated[
    list[Purpose.ValueType] | None,
    typer.Option(
        "--purpose",
        parser=terms.purpose,
        autocompletion=terms.purposes,
        metavar="PURPOSE",
        help="Purpose, such as supplier-check; repeat for more.",
    ),
]
Role = Annotated[
    ClientRole.ValueType,
    typer.Option(
        "--role",
        parser=terms.role,
        autocompletion=terms.roles,
        metavar="ROLE",
        help="What it is: operator, publisher or administrator.",
    ),
]
From = Annotated[
    int | None,
    typer.Option("--from", parser=terms.instant, metavar="TIME", help="First instant (UTC)."),
]
Until = Annotated[
    int | None,
    typer.Option(
        "--until", parser=terms.instant, metavar="TIME", help="First instant after it (UTC)."
    ),
]
Begins = Annotated[
    int,
    typer.Option("--from", parser=terms.instant, metavar="TIME", help="First instant (UTC)."),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        parser=folder,
        help="Load every file of this folder instead of the small sample that ships.",
    ),
]

Freshness = Annotated[
    int | None,
    typer.Option(
        "--freshness",
        min=1,
        max=INT64,
        metavar="SECONDS",
        help="Oldest signed status that is accepted.",
        show_default="3600",
    ),
]
