"""Whose version of a disputed answer stands, and for how long. Pure.

Who concedes gives way to one version, by its digest: never to what the other side makes of it
later.
"""

from typing import Final, NamedTuple

from creditgate.clearing_disputes import Shown
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


def side_of(home: str, region: str) -> ClearingStand.ValueType:
    """Return the side that a region is of answers whose home region is ``home``."""
    return HOME if region == home else ASKING


def stand_of(shown: Shown, side: ClearingStand.ValueType) -> Stand:
    """Return the stand of whoever says now that the version of ``side`` stands."""
    return Stand(side, shown.home if side == HOME else shown.asking)


def claimed(shown: Shown, stand: Stand, own: ClearingStand.ValueType) -> ClearingStand.ValueType:
    """Return the side whose version is claimed by the side ``own``: that which stands, while it is
    as it was; its own otherwise."""
    if stand.side != NOBODY and stand_of(shown, stand.side) == stand:
        return stand.side
    return own


def conceded(stand: Stand, own: ClearingStand.ValueType) -> bool:
    """Tell whether it is the version of the other side than ``own`` that stands."""
    return stand.side not in (NOBODY, own)


def next_stand(before: Shown, stand: Stand, now: Shown, own: ClearingStand.ValueType) -> Stand:
    """Return what is left of a stand of the side ``own`` on a dispute when a clearing leaves its
    answer out again, as ``now``.

    Where each side conceded to the other, each claims by now what was the other's. Then the
    version that was first the home region's stands, whose ledger the use is in.
    """
    if stand.side == NOBODY or stand_of(now, stand.side) == stand:
        return stand
    swapped = now == Shown(before.asking, before.home)
    if swapped and conceded(stand, own):
        return stand_of(now, ASKING)
    return UNDECIDED
