"""Names of uses, taken apart."""

import re
from typing import Final, NamedTuple

_NAME: Final = re.compile(
    r"operators/(?P<operator_id>[^/\s]{1,40})/usage/(?P<usage_index>0|[1-9]\d{0,17})"
    r"(?:-(?P<number>\d{1,9})|/lines/\d{1,9})?",
    re.ASCII,
)


class UseName(NamedTuple):
    """A use by its operator and its place in the operator's usage log; ``number`` is that of one
    of its entries, from 0, None where the use as a whole, or a line of it, is named."""

    operator_id: str
    usage_index: int
    number: int | None


def use_named(name: str) -> UseName | None:
    """Return what a resource name names (`gateway.settle.usage`: a use, an entry or a line of
    one), None where it is no such name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    number = match["number"]
    return UseName(
        match["operator_id"], int(match["usage_index"]), None if number is None else int(number)
    )
