"""Where the news are asked for: at the anchor, and at peers that relay them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import httpx

from gateway.clock import Clock
from gateway.federation.trust.chain import Anchor
from gateway.federation.trust.hearing import Ask
from gateway.federation.trust.news import NEWS_PATH, News, verified_news
from gateway.federation.trust.statement import JwkSet
from gateway.federation.trust.transfer import fetched_later, waiting_client
from operators.regions import KnownRegion

_MOST_RELAYS: Final = 3
"""Peers that are asked in one round in which the anchor says nothing."""


class NewsSources:
    """Asks for the anchor's news; one event loop's own.

    ``anchor_roots`` (PEM) are CAs of the anchor's server, None the system's; ``keys`` gives
    its keys of the moment, ``peers`` the regions known, by whose own roots they are asked;
    ``own`` is this region's entity id.
    """

    def __init__(
        self,
        anchor: Anchor,
        anchor_roots: str | None,
        keys: Callable[[], JwkSet],
        peers: Callable[[], Mapping[str, KnownRegion]],
        own: str,
        clock: Clock,
    ) -> None:
        self._anchor = anchor
        self._keys = keys
        self._peers = peers
        self._own = own
        self._clock = clock
        self._client = waiting_client(anchor_roots)
        self._relays: dict[str, tuple[str, httpx.AsyncClient]] = {}
        self._round = 0

    def now(self) -> Sequence[Ask[News]]:
        """Return whom to ask, the anchor first; other peers each time."""
        peers = [peer for peer in self._peers().values() if peer.entity_id != self._own]
        first = self._round
        self._round += 1
        some = [
            peers[(first + number) % len(peers)] for number in range(min(len(peers), _MOST_RELAYS))
        ]
        return [self._asking_anchor(), *map(self._asking_peer, some)]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        for _, client in self._relays.values():
            await client.aclose()

    def _asking_anchor(self) -> Ask[News]:
        async def ask(known: int, wait: int) -> News:
            return await self._news(self._client, self._anchor.entity_id, known, wait)

        return ask

    def _asking_peer(self, peer: KnownRegion) -> Ask[News]:
        async def ask(known: int, wait: int) -> News:
            client = await self._relay(peer)
            return await self._news(client, peer.entity_id, known, wait)

        return ask

    async def _news(self, client: httpx.AsyncClient, entity_id: str, known: int, wait: int) -> News:
        query = {"after": str(known), "wait": str(wait)}
        text = await fetched_later(client, entity_id.rstrip("/") + NEWS_PATH, query, wait)
        return verified_news(text, self._anchor, self._keys(), self._clock.now())

    async def _relay(self, peer: KnownRegion) -> httpx.AsyncClient:
        known = self._relays.get(peer.entity_id)
        if known is not None and known[0] == peer.roots:
            return known[1]
        client = waiting_client(peer.roots)
        self._relays[peer.entity_id] = (peer.roots, client)
        if known is not None:
            await known[1].aclose()
        return client
