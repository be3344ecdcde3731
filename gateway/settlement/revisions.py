"""What a month's revisions are about: the number of the subject and the revenue line of each.

Kept as arrays, 20 bytes for each revision met and some 26 for each subject: memory grows with
what was looked at, not with how often.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from gateway.disclose.tables import REVISIONS
from gateway.storage.among import among, listed
from gateway.storage.driver_rows import column_blocks

Numbers = NDArray[np.int64]
_NONE: Final = np.empty(0, np.int64)
_Kind = TypeVar("_Kind", np.int64, np.bytes_)
_REVISIONS: Final = select(REVISIONS.c.sequence, REVISIONS.c.subject, REVISIONS.c.line_no)
_AT_ONCE: Final = 10_000


class KnownRevisions:
    """Revisions met so far. Subjects are numbered from 0 in the order they are met."""

    def __init__(self) -> None:
        self._sequences = _NONE
        self._subjects_of = _NONE
        self._lines_of: NDArray[np.int32] = np.empty(0, np.int32)
        # In order, and the number of each.
        self._subjects: NDArray[np.bytes_] = np.empty(0, "S18")
        self._numbers = _NONE

    def of(self, connection: Connection, sequences: Numbers) -> tuple[Numbers, NDArray[np.int32]]:
        """Return the subject and the line of each revision, read where it was not met yet.

        Raises LookupError for one that is not in the store.
        """
        # In order they are found several times faster than as they come.
        wanted, places = np.unique(sequences, return_inverse=True)
        unknown = wanted[~_among(wanted, self._sequences)]
        if len(unknown):
            self._learn(connection, unknown)
        at = np.searchsorted(self._sequences, wanted)
        return self._subjects_of[at][places], self._lines_of[at][places]

    def numbers(self, subjects: Sequence[str]) -> Numbers:
        """Return the number of each of these subjects, the same as where a revision is about it."""
        return self._numbered(np.array([name.encode() for name in subjects], "S18"))

    def _learn(self, connection: Connection, unknown: Numbers) -> None:
        found, subjects, lines = _read(connection, unknown)
        if len(found) != len(unknown):
            raise LookupError("the ledger names a revision that is not in the store")
        together = np.concatenate((self._sequences, found))
        order = together.argsort(kind="stable")
        self._sequences = together[order]
        self._subjects_of = np.concatenate((self._subjects_of, self._numbered(subjects)))[order]
        self._lines_of = np.concatenate((self._lines_of, lines))[order]

    def _numbered(self, subjects: NDArray[np.bytes_]) -> Numbers:
        met, inverse = np.unique(subjects, return_inverse=True)
        new = met[~_among(met, self._subjects)]
        together = np.concatenate((self._subjects, new))
        order = together.argsort(kind="stable")
        numbers = np.concatenate(
            (self._numbers, np.arange(len(self._numbers), len(together), dtype=np.int64))
        )
        self._subjects, self._numbers = together[order], numbers[order]
        return self._numbers[np.searchsorted(self._subjects, met)][inverse]


def distinct(numbers: Numbers) -> Numbers:
    """Return the different numbers, in order. Sorting is faster than NumPy's hashing here."""
    return distinct_of(np.sort(numbers))


def distinct_of(in_order: Numbers) -> Numbers:
    """Return the different ones of numbers that are in order."""
    return in_order[_begins(in_order)]


def changes(in_order: Numbers) -> Numbers:
    """Return where another number begins; ``in_order`` are ascending."""
    return np.flatnonzero(_begins(in_order))


def _begins(in_order: Numbers) -> NDArray[np.bool_]:
    # A byte each: differences would take as much as the numbers again.
    begins = np.ones(len(in_order), np.bool_)
    np.not_equal(in_order[1:], in_order[:-1], out=begins[1:])
    return begins


def _among(wanted: NDArray[_Kind], known: NDArray[_Kind]) -> NDArray[np.bool_]:
    """Tell which of ``wanted`` are among ``known``, which are in order."""
    if not len(known):
        return np.zeros(len(wanted), np.bool_)
    at = np.searchsorted(known, wanted)
    return known[np.minimum(at, len(known) - 1)] == wanted


def _read(
    connection: Connection, sequences: Numbers
) -> tuple[Numbers, NDArray[np.bytes_], NDArray[np.int32]]:
    dialect = connection.dialect
    query = _REVISIONS.where(among(REVISIONS.c.sequence, dialect))
    found: list[Numbers] = [_NONE]
    subjects: list[NDArray[np.bytes_]] = [np.empty(0, "S18")]
    lines: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    for start in range(0, len(sequences), _AT_ONCE):
        some = listed(sequences[start : start + _AT_ONCE].tolist(), dialect)
        for numbers, names, line_nos in column_blocks(
            connection, query.params(among=some), _AT_ONCE
        ):
            found.append(np.array(numbers, np.int64))
            subjects.append(np.array(names, np.bytes_))
            lines.append(np.array(line_nos, np.int32))
    return np.concatenate(found), np.concatenate(subjects), np.concatenate(lines)
