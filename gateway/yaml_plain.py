"""What of YAML is taken: numbers, booleans and dates, each written one way alone.

YAML 1.1 reads ``012`` as ten, ``1:30`` as ninety and ``yes`` as true. Who writes a price or a
legal period means none of that, so that only what is what it seems to be is read. Pure.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

import yaml

_TAG: Final = "tag:yaml.org,2002:"
TEXT: Final = f"{_TAG}str"
"""The tag of text."""
MERGE: Final = f"{_TAG}merge"
"""The tag of ``<<``, the key that takes over what another mapping says."""
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FRACTION: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_OTHERWISE: Final = "or put text in quotes"
_NUMBER: Final = (
    f"this is read as a number: write plain digits, 18 at most, such as 12 or 0.5, {_OTHERWISE}"
)


def _anyhow(_: str) -> bool:
    return True


def _is_whole(written: str) -> bool:
    return bool(_WHOLE.fullmatch(written))


def _is_fraction(written: str) -> bool:
    return bool(_FRACTION.fullmatch(written))


def _is_flag(written: str) -> bool:
    return written.lower() in {"true", "false"}


def _is_day(written: str) -> bool:
    try:
        return date.fromisoformat(written).isoformat() == written
    except ValueError:
        return False


_SCALARS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    TEXT: (_anyhow, ""),
    f"{_TAG}null": (_anyhow, ""),
    f"{_TAG}int": (_is_whole, _NUMBER),
    f"{_TAG}float": (_is_fraction, _NUMBER),
    f"{_TAG}bool": (_is_flag, f"this is read as true or false: write it so, {_OTHERWISE}"),
    f"{_TAG}timestamp": (_is_day, f"this is read as a date: write it as 2027-01-31, {_OTHERWISE}"),
}
"""By tag, how a scalar is written, and what is told where it is written otherwise."""
_COLLECTIONS: Final = {f"{_TAG}seq", f"{_TAG}map"}


def mend_of(node: yaml.Node) -> str:
    """Return how to write a value that is not taken as it stands, "" for one that is. What a list
    or mapping holds is not looked at."""
    if node.tag in _COLLECTIONS:
        return ""
    is_taken, mend = _SCALARS.get(node.tag, (None, ""))
    if is_taken is None or not isinstance(node, yaml.ScalarNode):
        return f"leave out the tag, {_OTHERWISE}"
    return "" if is_taken(node.value) else mend
