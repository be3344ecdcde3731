"""Which disclosure events an attestation speaks of. Pure."""

from typing import NamedTuple


class Spoken(NamedTuple):
    """Events up to position ``to``: those there were when the copies were read, or that they are
    said to reflect. Of those for which a void copy is held, and only ``excused`` yet, nothing is
    said: each such copy speaks for itself alone."""

    to: int
    excused: frozenset[int] = frozenset()

    def of(self, event_sequence: int) -> bool:
        """Tell whether it speaks of an event, or of no event at all (0)."""
        return event_sequence <= self.to and event_sequence not in self.excused
