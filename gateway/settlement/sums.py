"""Sums by number, kept as arrays: what is added is laid aside, and put together now and then."""

from typing import Final

import numpy as np

from gateway.settlement.revisions import Numbers, changes

_MOST_LOOSE: Final = 1 << 19
"""Sums of one number that may be kept apart."""


class Sums:
    """Adds up amounts by number. One thread's own."""

    def __init__(self) -> None:
        self._added: list[tuple[Numbers, Numbers]] = []
        self._loose = 0

    def add(self, numbers: Numbers, amounts: Numbers) -> None:
        """Add each amount to the sum of its number; numbers may come more than once."""
        self._added.append(_summed(numbers, amounts))
        self._loose += len(self._added[-1][0])
        if self._loose > _MOST_LOOSE + len(self._added[0][0]):
            self._together()

    def sums(self) -> tuple[list[int], list[int]]:
        """Return the numbers there are, in order, and the sum of each."""
        numbers, amounts = self._together()
        return numbers.tolist(), amounts.tolist()

    def _together(self) -> tuple[Numbers, Numbers]:
        if not self._added:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        numbers, amounts = zip(*self._added, strict=True)
        together = _summed(np.concatenate(numbers), np.concatenate(amounts))
        self._added, self._loose = [together], 0
        return together


def _summed(numbers: Numbers, amounts: Numbers) -> tuple[Numbers, Numbers]:
    order = numbers.argsort(kind="stable")
    numbers = numbers[order]
    first = changes(numbers)
    return numbers[first], np.add.reduceat(amounts[order], first)
