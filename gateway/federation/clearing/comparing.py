"""Comparing the elements of two sides: by symbols while few differ, else by all elements, so that it
ends whatever differs."""

from collections.abc import Iterator
from typing import Final

from creditgate.reconcile.decode import Decoder, SymbolsInconsistent
from creditgate.reconcile.elements import ELEMENT_BYTES, Words
from creditgate.reconcile.symbols import SYMBOL_BYTES, coded
from creditgate.refusal import Violation, invalid
from creditgate.v1.conformance_service_pb2 import CodedSymbols
from gateway.conformance.shown import symbols_in

FIRST_SYMBOLS: Final = 64
MOST_AT_ONCE: Final = 20_000
"""Most symbols, or elements, of one message: half a megabyte."""
_FEW: Final = 1_024


class Comparison:
    """This side's elements, packed, against the ``others`` of another, shown by it; ``key`` is that
    of the symbols' checksums."""

    def __init__(self, key: bytes, own: bytes, others: int) -> None:
        self._own = own
        self._others = others
        self._coded = coded(own, key)
        self._decoder = Decoder(key, others - len(own) // ELEMENT_BYTES)
        # More symbols are more bytes than the elements themselves.
        self._most = max(_FEW, others * ELEMENT_BYTES // SYMBOL_BYTES)
        self.only_theirs: list[bytes] = []
        """Elements that only the other side has, once it is over."""
        self.only_ours: list[bytes] = []
        """Elements that only this side has, once it is over."""

    def wanted(self) -> int | None:
        """Return how many more symbols are wanted, 0 once it is over, None where all elements
        are."""
        decoder = self._decoder
        if decoder.decoded:
            self.only_theirs, self.only_ours = _listed(decoder.theirs), _listed(decoder.ours)
            return 0
        wanted = min(decoder.wanted() if decoder.taken else FIRST_SYMBOLS, MOST_AT_ONCE)
        return None if decoder.exhausted or decoder.taken + wanted > self._most else wanted

    def take(self, message: CodedSymbols, wanted: int) -> None:
        """Take the symbols that were wanted. Raises Refused INVALID_REQUEST."""
        first = self._decoder.taken
        theirs = symbols_in(message, first, wanted)
        try:
            self._decoder.take(theirs, self._coded.symbols(first, wanted))
        except SymbolsInconsistent:
            raise invalid(
                Violation("symbols", "must be those of one set, under the key of the terms")
            ) from None

    def take_all(self, elements: bytes) -> None:
        """Take all elements of the other side, packed: it is over. Raises Refused
        INVALID_REQUEST."""
        theirs = frozenset(each_element(elements))
        if len(theirs) != self._others or len(elements) != self._others * ELEMENT_BYTES:
            raise invalid(Violation("elements", "send each of as many as the opening says"))
        ours = frozenset(each_element(self._own))
        self.only_theirs, self.only_ours = sorted(theirs - ours), sorted(ours - theirs)


def each_element(elements: bytes) -> Iterator[bytes]:
    """Give each of packed elements."""
    for place in range(0, len(elements), ELEMENT_BYTES):
        yield elements[place : place + ELEMENT_BYTES]


def _listed(words: Words) -> list[bytes]:
    return list(each_element(words.tobytes()))
