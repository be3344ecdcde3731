"""Changes of an anchor's register by commands, and the register shown."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.output import Sheet, console, print_json, show_sheet, utc_seconds

if TYPE_CHECKING:
    from gateway.anchor.register import Below, Enrolment, Register

Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="CREDITGATE_ANCHOR_HOME",
        file_okay=False,
        help="Folder of the anchor's register and keys.",
    ),
]


def now_here() -> int:
    """Return the time, seconds UTC."""
    from gateway.clock import SystemClock

    return SystemClock().now()


def change(
    home: Path,
    changed: Callable[["Register"], "Register"],
    what: str,
    about: str,
    reason: str,
    *,
    as_json: bool,
) -> None:
    """Change the register of the anchor at ``home``, and show it; ``what`` and ``about`` go into
    its journal with the ``reason``. Raises CommandFailed."""
    from pydantic import ValidationError

    from gateway.anchor.home import AnchorHome
    from gateway.anchor.register import MOST_REASON, NotPossible

    if not reason.strip() or len(reason) > MOST_REASON:
        raise CommandFailed(f"--reason: give 1 to {MOST_REASON} characters.")
    try:
        register = AnchorHome.at(home).change(
            changed, what=what, about=about, by=getpass.getuser(), why=reason, now=now_here()
        )
    except ValidationError as error:
        faults = "; ".join(fault["msg"] for fault in error.errors(include_input=False))
        raise CommandFailed(f"The region cannot be enrolled so: {faults}.") from None
    except NotPossible as error:
        raise CommandFailed(str(error)) from None
    show_register(register, as_json=as_json)


def show_register(register: "Register", *, as_json: bool) -> None:
    """Show who stands below an anchor."""
    if as_json:
        regions = {
            entity_id: region.model_dump(mode="json", exclude={"jwks", "tls_roots"})
            | {"kids": [key["kid"] for key in region.jwks["keys"]]}
            for entity_id, region in sorted(register.regions.items())
        }
        below = {
            entity_id: each.model_dump(mode="json")
            for entity_id, each in sorted(register.below.items())
        }
        print_json(
            {
                "entity_id": register.entity_id,
                "number": register.number,
                "regions": regions,
                **({"below": below} if below else {}),
            }
        )
        return
    entries: dict[str, Enrolment | Below] = {**register.regions, **register.below}
    rows = [
        (
            entity_id,
            *_stated(entry),
            utc_seconds(entry.enrolled_at),
            "" if entry.cut_off_at is None else utc_seconds(entry.cut_off_at),
            entry.cut_off_reason,
        )
        for entity_id, entry in sorted(entries.items())
    ]
    columns = ("region", "home of", "key", "enrolled", "cut off", "why")
    show_sheet(Sheet(f"Regions under {register.entity_id}", columns, rows), console())


def _stated(entry: "Enrolment | Below") -> tuple[str, str]:
    """Return what an entity is home of, and the key it is known by."""
    from gateway.anchor.register import Below

    if isinstance(entry, Below):
        return f"as {entry.under} states", ""
    codes = ", ".join(entry.codes)
    kid: str = entry.jwks["keys"][0]["kid"]
    return f"intermediate for {codes}" if entry.intermediate else codes, kid
