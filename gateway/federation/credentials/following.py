"""Following the status lists of other regions, each by long polls and for a lease."""

import json
from collections.abc import Sequence

import httpx

from gateway.clock import Clock
from gateway.federation.credentials.credential import status_uri
from gateway.federation.credentials.status_list import StatusList, read_status_list
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.trust.hearing import Ask, Hearing, not_heard
from gateway.federation.trust.transfer import fetched_later, waiting_client


class _Followed:
    """One region's list: what hears it, and the connection to its server."""

    def __init__(
        self, region: Region, book: RegionBook, lease_seconds: float, clock: Clock
    ) -> None:
        self.entity_id = region.entity_id
        self._book = book
        self._clock = clock
        self._client: tuple[bytes, httpx.AsyncClient] | None = None
        self.hearing = Hearing[StatusList](
            "licence-status", self._sources, lease_seconds=lease_seconds, clock=clock
        )

    def _sources(self) -> Sequence[Ask[StatusList]]:
        return (self._ask,)

    async def _ask(self, known: int, wait: int) -> StatusList:
        region = self._book.region(self.entity_id)
        query = {"after": str(known), "wait": str(wait)}
        text = await fetched_later(
            await self._http(region), status_uri(region.entity_id), query, wait
        )
        keys = json.loads(region.document_keys)
        return read_status_list(text, region.entity_id, keys, self._clock.now())

    async def _http(self, region: Region) -> httpx.AsyncClient:
        known = self._client
        if known is not None and known[0] == region.roots:
            return known[1]
        client = waiting_client(region.roots.decode("ascii"))
        self._client = (region.roots, client)
        if known is not None:
            await known[1].aclose()
        return client

    async def stop(self) -> None:
        await self.hearing.stop()
        if self._client is not None:
            await self._client[1].aclose()


class StatusLists:
    """Follows the lists of the regions that are admitted here and stand.

    `step` is for the event loop; `current` may be asked by any thread.
    """

    def __init__(self, book: RegionBook, lease_seconds: float, clock: Clock) -> None:
        self._book = book
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._followed: dict[str, _Followed] = {}

    def current(self, entity_id: str) -> StatusList:
        """Return what a region said last. Raises Refused FEDERATION_UNKNOWN past the lease."""
        followed = self._followed.get(entity_id)
        if followed is None:
            raise not_heard()
        return followed.hearing.current()

    async def step(self) -> bool:
        """Begin to follow regions that were admitted, leave those that were dismissed; never
        tells of more to do at once."""
        admitted = {each.entity_id: each for each in self._book.regions() if each.operator_id}
        for entity_id, region in admitted.items():
            if entity_id not in self._followed:
                followed = _Followed(region, self._book, self._lease_seconds, self._clock)
                self._followed[entity_id] = followed
                followed.hearing.start()
        for entity_id in self._followed.keys() - admitted.keys():
            await self._followed.pop(entity_id).stop()
        return False

    async def stop(self) -> None:
        """Follow no more."""
        for followed in self._followed.values():
            await followed.stop()
