"""What a check of the stores finds wrong."""

from typing import Final, NamedTuple

MOST_FAULTS: Final = 100


class Fault(NamedTuple):
    """One thing that is not as it should be: where it is kept, and what is wrong with it.

    Neither names a subject or holds anything of a record's content.
    """

    place: str
    what: str


class EnoughFaults(Exception):
    """So many were found that no more are looked for."""


class Faults:
    """Gathers faults."""

    def __init__(self, most: int = MOST_FAULTS) -> None:
        self.found: list[Fault] = []
        self._most = most

    def note(self, place: str, what: str) -> None:
        """Note one more fault. Raises EnoughFaults with the last that is wanted."""
        self.found.append(Fault(place, what))
        if len(self.found) >= self._most:
            raise EnoughFaults

    def require(self, holds: bool, place: str, what: str) -> None:
        """Note a fault unless it ``holds``."""
        if not holds:
            self.note(place, what)
