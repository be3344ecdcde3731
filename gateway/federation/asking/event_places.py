"""Places in the disclosure logs of other regions, as they are kept here. Pure.

A region that puts its store back begins its log anew (`creditgate log begin`): from then on the
same positions are those of other events. So a place is a position and which log it is of; that
of keys that are linked is one log, and one that was begun anew is another.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from creditgate.transparency.merkle import ProofInvalid
from gateway.federation.trust.book import Region
from gateway.federation.trust.log_keys import log_keys

_SEQUENCE_BITS: Final = 40
_LOGS: Final = (1 << 22) - 1
LAST_SEQUENCE: Final = (1 << _SEQUENCE_BITS) - 1
"""The last position that a place can have."""
UNNAMED_LOG: Final = 0
"""The log of places that an earlier version kept, and of a region that names none."""


def log_of(region: Region) -> int:
    """Return which log the positions are of that a region tells now."""
    try:
        oldest = log_keys(region, "disclosure").chain[0]
    except ProofInvalid:
        return UNNAMED_LOG
    digest = sha256(oldest.name.encode() + b"\n" + oldest.public).digest()
    return 1 + int.from_bytes(digest[:8]) % _LOGS


def told_by(region: Region, places: Sequence[int]) -> list[int]:
    """Return which of some places, by their indexes, are positions that a region tells now: those
    of a log that it had before are other events to it."""
    logs = (UNNAMED_LOG, log_of(region))
    return [index for index, at in enumerate(places) if log_in(at) in logs]


def place(log: int, sequence: int) -> int:
    """Return the place of a position in a log."""
    return log << _SEQUENCE_BITS | sequence


def log_in(at: int) -> int:
    """Return which log a place is in."""
    return at >> _SEQUENCE_BITS


def sequence_in(at: int) -> int:
    """Return the position of a place in its log."""
    return at & LAST_SEQUENCE
