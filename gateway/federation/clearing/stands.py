"""Whose version of a disputed entry stands, and for how long. Pure.

Who concedes gives way to one version, by its digest: never to what the other side makes of it
later.
"""

from typing import Final, NamedTuple

from creditgate.clearing import ClearingEntry, Dispute
from creditgate.v1.clearing_service_pb2 import ClearingStand

HOME: Final = ClearingStand.CLEARING_STAND_HOME
ASKING: Final = ClearingStand.CLEARING_STAND_ASKING
NOBODY: Final = ClearingStand.CLEARING_STAND_UNSPECIFIED


class Stand(NamedTuple):
    """The side whose version stands, and the digest of that version in hexadecimal, "" where
    that side has none."""

    side: ClearingStand.ValueType
    version: str


UNDECIDED: Final = Stand(NOBODY, "")
"""Nobody has said, or it holds no more."""


def stand_of(dispute: Dispute, side: ClearingStand.ValueType) -> Stand:
    """Return the stand of whoever says now that the version of ``side`` stands."""
    version = _version(dispute, side)
    return Stand(side, "" if version is None else version.digest().hex())


def claimed(dispute: Dispute, stand: Stand, own: str) -> ClearingEntry | None:
    """Return the version that the region ``own`` claims: that which stands, while it is as it
    was; its own otherwise."""
    if stand.side != NOBODY and stand_of(dispute, stand.side) == stand:
        return _version(dispute, stand.side)
    return dispute.version(own)


def conceded(dispute: Dispute, stand: Stand, other: str) -> bool:
    """Tell whether it is the version of the region ``other`` that stands."""
    return stand.side == (HOME if dispute.versions[0].home == other else ASKING)


def next_stand(before: Dispute, stand: Stand, now: Dispute, other: str) -> Stand:
    """Return what is left of a stand on a dispute when a clearing with the region ``other``
    leaves its entry out again, as ``now``.

    Where each side conceded to the other, each claims by now what was the other's. Then the
    version that was first the home region's stands, whose ledger the use is in.
    """
    if stand.side == NOBODY or stand_of(now, stand.side) == stand:
        return stand
    swapped = (now.home_entry, now.asking_entry) == (before.asking_entry, before.home_entry)
    if swapped and conceded(before, stand, other):
        return stand_of(now, ASKING)
    return UNDECIDED


def _version(dispute: Dispute, side: ClearingStand.ValueType) -> ClearingEntry | None:
    return dispute.home_entry if side == HOME else dispute.asking_entry
