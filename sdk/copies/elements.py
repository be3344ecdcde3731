"""The elements of copies: the set that is reconciled."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from creditgate.reconcile.elements import ELEMENT_BYTES
from sdk.copies.held import CopiesRefused, HeldCopy

_KIND = np.dtype(f"S{ELEMENT_BYTES}")


class Elements:
    """The elements of a file's copies, each once: 16 bytes of memory a copy, however large
    the contents. Reading raises what `sdk.copies.file.CopiesFile` raises.
    """

    def __init__(self, copies: Iterable[HeldCopy]) -> None:
        joined = bytearray()
        for copy in copies:
            joined += copy.element()
        # The same copy held twice is one: a set has no element twice.
        self._sorted = np.unique(np.frombuffer(bytes(joined), dtype=_KIND))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sorted)

    def packed(self) -> bytes:
        """Return them one after another, 16 bytes each, in ascending order."""
        return self._sorted.tobytes()

    def once(self, copies: Iterable[HeldCopy], path: Path) -> Iterator[HeldCopy]:
        """Yield the copies of ``path``, read again, each once.

        Raises CopiesRefused where they are not the same any more.
        """
        seen = np.zeros(len(self._sorted), np.bool_)
        for copy in copies:
            element = np.frombuffer(copy.element(), dtype=_KIND)
            place = int(np.searchsorted(self._sorted, element)[0])
            if place == len(seen) or self._sorted[place] != element[0]:
                raise _changed(path)
            if not seen[place]:
                seen[place] = True
                yield copy
        if not seen.all():
            raise _changed(path)


def copies_of(copies: Iterable[HeldCopy], wanted: Sequence[bytes], path: Path) -> list[HeldCopy]:
    """Return the copies of ``path``, read again, that have the elements ``wanted``, in that
    order. Raises CopiesRefused where one is not there any more, and what reading raises.
    """
    missing = set(wanted)
    found: dict[bytes, HeldCopy] = {}
    for copy in copies:
        element = copy.element()
        if element in missing:
            missing.remove(element)
            found[element] = copy
            if not missing:
                break
    if missing:
        raise _changed(path)
    return [found[element] for element in wanted]


def _changed(path: Path) -> CopiesRefused:
    return CopiesRefused(f"{path} changed while it was compared: run this again")
