"""Variables of the environment that were meant to be settings. Pure.

A platform puts variables of the same prefix there: Kubernetes does, for each service whose name begins
like it. So what is no setting is refused only where it reads nearly like one.
"""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Final, NamedTuple

_NEAR: Final = 0.85
"""How alike two names are of which one is taken for the other mistyped; 1 is the same."""
# Kubernetes, "Accessing the Service": environment variables of a service, in either form.
_OF_A_SERVICE: Final = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)")
_AT_A_SERVICE: Final = re.compile(r"(tcp|udp)://")


class Misspelt(NamedTuple):
    """A variable, and that which was meant."""

    variable: str
    meant: str


def misspelt(
    environment: Mapping[str, str], prefix: str, settings: Collection[str]
) -> list[Misspelt]:
    """Return the variables beginning with ``prefix`` that read nearly like one of ``settings``
    behind it, in upper case, and are none; in order."""
    known = sorted(settings)
    stated = {variable.upper() for variable, value in environment.items() if value}
    unset = [setting for setting in known if prefix + setting not in stated]
    found: list[Misspelt] = []
    for variable, value in sorted(environment.items()):
        name = variable.upper().removeprefix(prefix)
        if not variable.upper().startswith(prefix) or not value or name in known:
            continue
        if _OF_A_SERVICE.search(variable) or _AT_A_SERVICE.match(value):
            continue
        nearest = get_close_matches(name, known, 1, _NEAR)
        # Beside the setting itself another variable of its name is somebody's own.
        nearest = nearest or [setting for setting in unset if _is_near(name, setting)][-1:]
        found += [Misspelt(variable, prefix + meant) for meant in nearest]
    return found


def _is_near(name: str, setting: str) -> bool:
    """Tell whether a name is a setting's with another word behind it, as in DATABASE_URL, or with
    its last word cut short, as in TLS_CERT. What is cut short to one word may be anything."""
    if name.startswith(f"{setting}_"):
        return True
    return "_" in name and setting.startswith(name) and "_" not in setting[len(name) :]
