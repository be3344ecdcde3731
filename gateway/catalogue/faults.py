"""What is wrong with an item, by place: pydantic's errors as mends that repeat no value."""

import re
from typing import Final, NamedTuple

from pydantic import ValidationError

Where = tuple[int | str, ...]
_MENDS: Final = {
    "missing": "required",
    "extra_forbidden": "unknown: leave it out or correct its name",
    "model_type": "use a mapping of names and values",
    "tuple_type": "use a list",
    "string_type": "use text; put it in quotes where it looks like something else",
    "int_type": "use a whole number, without quotes",
    "int_parsing": "use a whole number",
    "float_type": "use a number",
    "time_delta_type": "use a duration in ISO 8601, such as P7D or PT24H",
    "date_type": "use a date, such as 2027-01-31",
    "bool_type": "use true or false, without quotes",
    "bool_parsing": "use true or false",
    "frozen_set_type": "use a list",
    # With the bound that was broken, by the names that pydantic's context of an error has.
    "too_short": "name at least {min_length}",
    "too_long": "name at most {max_length}",
    "string_too_short": "use at least {min_length} characters",
    "string_too_long": "use at most {max_length} characters",
    "string_pattern_mismatch": "write it as {pattern}",
    "greater_than": "use more than {gt}",
    "greater_than_equal": "use {ge} or more",
    "less_than": "use less than {lt}",
    "less_than_equal": "use {le} or less",
}
_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_COUNTS: Final = {"too_short", "too_long"}


class Fault(NamedTuple):
    """One fault; ``where`` leads to it through fields and positions from 0."""

    where: Where
    mend: str


def faults_of(error: ValidationError) -> list[Fault]:
    """Return every fault once, in pydantic's order."""
    places = {details["loc"] for details in error.errors(include_url=False)}
    found: list[Fault] = []
    for details in error.errors(include_url=False):
        where, kind = details["loc"], details["type"]
        # A list is counted after its bad members were taken out: they are named already.
        if kind in _COUNTS and any(place[: len(where)] == where != place for place in places):
            continue
        if kind in _COUNTS and isinstance(details["input"], str):
            kind = f"string_{kind}"
        mend = details["msg"].removeprefix("Value error, ")
        if kind in _MENDS:
            mend = _MENDS[kind].format(**details.get("ctx", {}))
        found.append(Fault(where, mend[:1].lower() + mend[1:]))
    return found


def path_of(where: Where) -> str:
    """Return a place as a path such as ``period_rules[0].severity``."""
    path = ""
    for step in where:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


def where_of(path: str) -> Where:
    """Return the place of a path, as `path_of` writes it."""
    return tuple(int(step[1]) if step[1] else step[2] for step in _STEP.finditer(path))
