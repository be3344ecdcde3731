"""Names of usage entries, taken apart."""

import re
from typing import Final, NamedTuple

_NAME: Final = re.compile(
    r"operators/(?P<operator_id>[^/\s]{1,40})/usage/(?P<sequence>[1-9]\d{0,17})-(?P<number>\d{1,9})",
    re.ASCII,
)


class UseName(NamedTuple):
    """An entry by its operator, the ledger's sequence of its answer, and its number in that,
    from 0."""

    operator_id: str
    sequence: int
    number: int


def use_named(name: str) -> UseName | None:
    """Return what a resource name names (`gateway.settle.usage.usage_name`), None where it is
    no name of a usage entry."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return UseName(match["operator_id"], int(match["sequence"]), int(match["number"]))
