"""Fetching the chain of a region anew, where something of it is signed by a key that it is not
known by: it may have another since it was looked at last.

Once, and not again for a while: whoever signs by keys that nobody knows must not have everybody
fetch chains all the time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from creditgate.refusal import Refused
from gateway.failure_kind import failure_kind
from gateway.federation.trust.book import Region, RegionBook

APART_SECONDS: Final = 10.0
"""For so long the chain of a region that was fetched anew is not, for this."""
WAIT_SECONDS: Final = 5.0
"""For so long it is waited for."""
_log = logging.getLogger(__name__)


Anew = Callable[[Region], Awaitable[Region | None]]
"""Gives a region as its chain has it by now, None where that is as before."""


async def as_before(_: Region) -> Region | None:
    """Look at no chain anew."""
    return None


class ChainsAnew:
    """Fetches chains anew for one process; one event loop's own.

    ``look`` fetches and keeps the chain of an entity (blocks), ``refresh`` reads what was kept.
    """

    def __init__(
        self,
        look: Callable[[str], None],
        refresh: Callable[[], Awaitable[object]],
        book: RegionBook,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._look = look
        self._refresh = refresh
        self._book = book
        self._seconds = seconds
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}

    async def region(self, before: Region) -> Region | None:
        """Return a region as it is known once its chain was fetched anew, or was a moment ago; None
        where it has the keys of ``before``, or does not stand any more."""
        entity_id = before.entity_id
        fetch = self._under_way.get(entity_id)
        if fetch is None and self._seconds() >= self._not_before.get(entity_id, 0.0):
            self._not_before[entity_id] = self._seconds() + APART_SECONDS
            fetch = asyncio.create_task(self._fetch(entity_id), name="chain-anew")
            self._under_way[entity_id] = fetch
            fetch.add_done_callback(lambda _: self._under_way.pop(entity_id, None))
        if fetch is not None:
            # It goes on by itself: others wait for it as well.
            await asyncio.wait({fetch}, timeout=WAIT_SECONDS)
        try:
            after = self._book.region(entity_id)
        except Refused:
            return None
        same = (after.log_keys, after.log_links) == (before.log_keys, before.log_links)
        return None if same else after

    async def _fetch(self, entity_id: str) -> None:
        try:
            await asyncio.to_thread(self._look, entity_id)
            await self._refresh()
        except Exception as error:  # whatever it is, nothing more is known then
            _log.warning("the chain of %s was not read anew: %s", entity_id, failure_kind(error))
