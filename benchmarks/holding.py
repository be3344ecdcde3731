"""The copies of an operator that was served all there is, some of which it holds wrongly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final, NamedTuple

from benchmarks.shape import ITEM, PERIOD_SECONDS, Shape, admitted_records
from creditgate.reconcile.elements import ELEMENT_BYTES, element_of, elements_of
from creditgate.reconcile.symbols import CodedSet
from creditgate.transparency.facts import Copy

WITHDRAWN: Final = 1_000
"""So many of the records disclosed first were withdrawn after they were served."""


class Wrongs(NamedTuple):
    """What is wrong with copies: former ones kept, others lost, altered, obtained elsewhere."""

    former: int
    lost: int
    altered: int
    elsewhere: int

    @classmethod
    def of(cls, differences: int) -> "Wrongs":
        """Return so many differences: a twentieth altered, a twentieth obtained elsewhere, and
        of the rest half were withdrawn, as far as there are any."""
        few = differences // 20
        former = min((differences - 2 * few) // 2, WITHDRAWN)
        return cls(former, differences - former - 2 * few, few, few)


@dataclass(frozen=True)
class Holding:
    """Copies of all that ``shape`` discloses from ``disclosed_from`` (seconds, UTC) on."""

    shape: Shape
    disclosed_from: int

    @cached_property
    def elements(self) -> bytes:
        """The elements of all, in the order of disclosure."""
        return b"".join(map(element_of, self._disclosed()))

    @property
    def copies(self) -> int:
        """How many should be held."""
        return self.shape.records - WITHDRAWN

    def coded(self, key: bytes) -> CodedSet:
        """Return what should be held, coded under ``key``."""
        made = CodedSet(key)
        made.add(elements_of(self.elements[WITHDRAWN * ELEMENT_BYTES :]))
        return made

    def besides(self, wrongs: Wrongs) -> Mapping[bytes, Copy | None]:
        """Return the elements held that should not be, with what is shown of them, None where
        it is known."""
        shown = [*self._altered(wrongs), *_elsewhere(wrongs)]
        former = (self._element(index) for index in range(wrongs.former))
        return {element_of(copy): copy for copy in shown} | dict.fromkeys(former)

    def missing(self, wrongs: Wrongs) -> list[bytes]:
        """Return the elements not held that should be."""
        last = self.shape.records
        return [self._element(last - 1 - each) for each in range(wrongs.lost + wrongs.altered)]

    def _altered(self, wrongs: Wrongs) -> Iterator[Copy]:
        last = self.shape.records - 1 - wrongs.lost
        for index in range(last, last - wrongs.altered, -1):
            turn, number = divmod(index, self.shape.subjects)
            yield Copy(
                f"{ITEM}-{number:08d}-{turn}",
                sha256(b"altered").digest(),
                self.disclosed_from,
                self.disclosed_from + PERIOD_SECONDS,
            )

    def _element(self, index: int) -> bytes:
        return self.elements[index * ELEMENT_BYTES : (index + 1) * ELEMENT_BYTES]

    def _disclosed(self) -> Iterator[Copy]:
        for record in admitted_records(self.shape, self.disclosed_from):
            until = self.disclosed_from + PERIOD_SECONDS
            yield Copy(record.record_id, record.digest, record.disclosed_from, until)


def _elsewhere(wrongs: Wrongs) -> Iterator[Copy]:
    for each in range(wrongs.elsewhere):
        yield Copy(f"elsewhere-{each}", sha256(b"elsewhere").digest(), 0, PERIOD_SECONDS)
