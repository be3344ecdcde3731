"""Deliveries against acknowledgements: how far one has come, and what of it was not acknowledged.
Pure.

A position is a chunk and a number of its entries: all chunks before it are acknowledged, and
of the chunk itself so many entries, in the order in which they were charged.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Final, NamedTuple

from creditgate.v1.usage_service_pb2 import DeliveryState

OPEN: Final = DeliveryState.DELIVERY_STATE_OPEN
ENDED: Final = DeliveryState.DELIVERY_STATE_ENDED
SETTLED: Final = DeliveryState.DELIVERY_STATE_SETTLED


class Reached(NamedTuple):
    """A position in a delivery; see the module."""

    chunk: int
    entries: int


START: Final = Reached(0, 0)
"""Nothing is acknowledged."""


class Delivering(NamedTuple):
    """Goes with each claim of a delivery: the turn its call has at it, and how far it was
    acknowledged by then. What is charged and this are written together, or not at all."""

    turn: int
    reached: Reached


class DeliveryKey(NamedTuple):
    """What a delivery is known by."""

    operator_id: str
    request_id: str


class ChunkEntries(NamedTuple):
    """The revisions charged with one chunk, in order."""

    chunk: int
    entries: tuple[int, ...]


def unacknowledged(
    charged: Iterable[ChunkEntries], reached: Reached, omitted: Set[int]
) -> list[ChunkEntries]:
    """Return what of the chunks charged was not acknowledged, chunks with all acknowledged
    left out. ``omitted`` never came, though what lies behind them did."""
    found: list[ChunkEntries] = []
    for chunk, entries in charged:
        first = 0
        if chunk < reached.chunk:
            first = len(entries)
        elif chunk == reached.chunk:
            first = reached.entries
        left = tuple([each for each in entries[:first] if each in omitted]) + entries[first:]
        if left:
            found.append(ChunkEntries(chunk, left))
    return found


def would_be_cut(missing: int, left: int, most: int) -> bool:
    """Tell whether of so many ``missing`` records only some could be credited by what is ``left`` of a
    day's bound, though a day has room for all: for ``most``."""
    return 0 < left < missing <= most


def up_to(missing: Iterable[ChunkEntries], most: int) -> list[ChunkEntries]:
    """Return at most ``most`` of the records that are missing: the last, which are the least
    likely to have been received."""
    found: list[ChunkEntries] = []
    for chunk, entries in sorted(missing, reverse=True):
        if most <= 0:
            break
        found.append(ChunkEntries(chunk, entries[-most:]))
        most -= len(entries)
    return found[::-1]


def omitted_by(
    again: Set[int], charged: ChunkEntries, reached: Reached, before: Set[int]
) -> set[int]:
    """Return what is omitted once a chunk comes again with the revisions ``again``: of what
    was not acknowledged before, all that is not there any more."""
    missing: Mapping[int, tuple[int, ...]] = dict(unacknowledged([charged], reached, before))
    return {*(before - again), *(set(missing.get(charged.chunk, ())) - again)}
