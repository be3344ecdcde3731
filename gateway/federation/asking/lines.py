"""Revenue lines of other regions' records: what an operator's use of them is counted by."""

import asyncio
from collections.abc import Iterable, Mapping

from gateway.disclose.model import Line
from gateway.disclose.store import DisclosureStore


class NumberedLines:
    """Numbers revenue lines, and remembers their numbers, which never change; one event loop's
    own."""

    def __init__(self, store: DisclosureStore) -> None:
        self._store = store
        self._numbers: Mapping[Line, int] = {}

    async def numbered(self, lines: Iterable[Line]) -> Mapping[Line, int]:
        """Return the numbers of ``lines``, among others; those without get one.

        Raises what the store raises.
        """
        wanted = set(lines)
        if not wanted <= self._numbers.keys():
            self._numbers = await asyncio.to_thread(self._store.number_lines, wanted)
        return self._numbers
