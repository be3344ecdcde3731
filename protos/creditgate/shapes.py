"""Shapes that both the gateway and who verifies its plans check: ids, codes, sets.

A check returns its value or raises ValueError whose message tells the mend and never
repeats the value.
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Protocol

from pydantic import AfterValidator, Field, PlainSerializer

from creditgate.v1.vocabulary_pb2 import Purpose

END_OF_TIME: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, the last second a google.protobuf.Timestamp can hold."""

_MOST_ITEMS: Final = 1000


class ProtoEnum(Protocol):
    """What is needed of a protobuf enum."""

    def items(self) -> Sequence[tuple[str, int]]:
        """Return names and numbers."""
        ...


def matching(pattern: str, mend: str) -> Callable[[str], str]:
    """Return a check that the whole text matches ``pattern``; ``mend`` says what to enter."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(mend)
        return text

    return check


operator_class: Final = matching(
    "[a-z][a-z0-9-]{0,39}",
    "use 1 to 40 characters: lower-case letters, digits and hyphens, a letter first",
)
item_code: Final = matching(
    "[a-z][a-z0-9.-]{0,63}",
    "use a catalogue item code: 1 to 64 lower-case letters, digits, dots and hyphens, a letter"
    " first",
)


def stated(enum: ProtoEnum) -> Callable[[int], int]:
    """Return a check that a number is a value of ``enum`` other than its zero, "not stated"."""
    names = {number: name for name, number in enum.items() if number}
    mend = "use one of " + ", ".join(names.values())

    def check(number: int) -> int:
        if number not in names:
            raise ValueError(mend)
        return number

    return check


# Sets are written in order, so that equal things make equal documents.
IN_ORDER = PlainSerializer(sorted)
_ItemCode = Annotated[str, AfterValidator(item_code)]
Items = Annotated[frozenset[_ItemCode], Field(max_length=_MOST_ITEMS), IN_ORDER]
Purposes = Annotated[frozenset[Annotated[int, AfterValidator(stated(Purpose))]], IN_ORDER]
