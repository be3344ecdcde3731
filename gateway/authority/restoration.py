"""Restorations: that a store was put back from an older copy, in the authority log.

Sequences of the log go back with the store. What is numbered by them for others, who have heard
higher numbers, goes on above those all the same.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field

from operators.kept import Kept
from operators.log import Change

RESTORATION: Final = "restoration"
INSTALLATION: Final = "installation"
"""Id of the one thing of this kind."""

_SEQUENCES: Final = 1 << 20
"""More changes of authority than are lost in a second."""


class Restoration(Kept):
    """The last one; ``restored_at`` in seconds, UTC, later than that of the one before."""

    restored_at: Annotated[int, Field(ge=0, lt=1 << 33)]


def restored_at(before: int, changes: Sequence[Change]) -> int:
    """Return when the store was restored last, after ``changes``; 0 where it never was."""
    for change in reversed(changes):
        if change.kind == RESTORATION:
            read = Restoration.from_document(
                change.document, version=change.version, changed_at=change.changed_at
            )
            return max(before, read.restored_at)
    return before


def number_of(sequence: int, restored: int) -> int:
    """Return the number, below 2^53, of what is told of a state of authority: it grows with each
    change, and with each restoration above all that was told before."""
    return restored * _SEQUENCES + sequence
