"""Resolving trust chains: fetched from the anchor downwards, verified, kept while they hold.

The anchor's statement about a region comes first: it tells by which CAs the region's server
is known, so that nothing is fetched on trust. Source: OpenID Federation 1.0, section 10.1,
for an anchor whose regions stand right below it. Calls block; any thread.
"""

import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

import httpx

from gateway.clock import Clock
from gateway.federation.trust.chain import (
    AnchorTrust,
    TrustChain,
    anchor_configuration,
    verified_chain,
)
from gateway.federation.trust.statement import (
    EntityStatement,
    JwkSet,
    StatementInvalid,
    configuration_url,
    verified_statement,
)
from gateway.federation.trust.transfer import blocking_client, fetched

_AT_ONCE: Final = 8
UNREACHABLE: Final = (httpx.HTTPError, StatementInvalid, ssl.SSLError, OSError, ValueError)
"""What hinders a chain from being resolved; tried again later."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement of the anchor as it was fetched, and what it says."""

    text: str
    says: EntityStatement

    def fresh(self, now: int) -> bool:
        """Tell whether more than half of its life is left."""
        return now < (self.says.iat + self.says.exp) // 2


class ChainResolver:
    """Resolves chains of regions under one anchor; ``anchor_roots`` (PEM) are CAs of its server,
    None the system's."""

    def __init__(self, anchor: AnchorTrust, anchor_roots: str | None, clock: Clock) -> None:
        self._anchor = anchor
        self._clock = clock
        self._stack = ExitStack()
        self._client = self._stack.enter_context(blocking_client(anchor_roots))
        self._clients: dict[str, tuple[str, httpx.Client]] = {}
        self._statements: dict[str, _Statement] = {}
        self._top: _Statement | None = None
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="chains")

    def close(self) -> None:
        """Give connections and threads back."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for _, client in self._clients.values():
            client.close()
        self._stack.close()

    @property
    def anchor_keys(self) -> JwkSet:
        """The anchor's keys: those got out of band, and those its configuration names since."""
        top = self._top
        if top is None or top.says.exp <= self._clock.now():
            return self._anchor.keys
        own = {key["kid"]: key for key in self._anchor.keys["keys"]}
        return {"keys": [*{**own, **{key["kid"]: key for key in top.says.jwks["keys"]}}.values()]}

    def resolved(self, asked: Sequence[tuple[str, int]]) -> dict[str, TrustChain | Exception]:
        """Return a chain for each (entity id, revision asked for at least), or what hindered it.

        Several are resolved at once.
        """

        def one(entity: tuple[str, int]) -> TrustChain | Exception:
            try:
                return self.chain(*entity)
            except UNREACHABLE as error:
                return error

        return dict(zip((entity for entity, _ in asked), self._pool.map(one, asked), strict=True))

    def chain(self, entity_id: str, revision: int = 0) -> TrustChain:
        """Return the verified chain of a region, its own configuration fetched anew.

        Raises one of `UNREACHABLE`.
        """
        top = self._anchor_configuration()
        try:
            statement = self._statement(top, entity_id, revision)
        except StatementInvalid:
            # The anchor may sign by another key since its configuration was read.
            top = self._anchor_configuration(anew=True)
            statement = self._statement(top, entity_id, revision)
        leaf = fetched(
            self._client_of(entity_id, statement.says.tls_roots), configuration_url(entity_id)
        )
        chain = verified_chain((leaf, statement.text, top.text), self._anchor, self._clock.now())
        if chain.entity_id != entity_id:
            raise StatementInvalid("the chain is of another entity")
        return chain

    def _anchor_configuration(self, *, anew: bool = False) -> _Statement:
        now = self._clock.now()
        top = self._top
        if anew or top is None or not top.fresh(now):
            text = fetched(self._client, configuration_url(self._anchor.entity_id))
            read = _Statement(text, anchor_configuration(text, self._anchor, now))
            if top is not None and read.says.jwks != top.says.jwks:
                # What a former key signed is no link of a chain that ends in this.
                self._statements.clear()
            top = self._top = read
        return top

    def _statement(self, top: _Statement, entity_id: str, revision: int) -> _Statement:
        now = self._clock.now()
        known = self._statements.get(entity_id)
        if known is not None and known.fresh(now) and known.says.revision >= revision:
            return known
        endpoint = self._fetch_endpoint(top.says)
        text = fetched(self._client, endpoint, {"sub": entity_id})
        says = verified_statement(text, top.says.jwks, now)
        if (says.iss, says.sub) != (self._anchor.entity_id, entity_id):
            raise StatementInvalid("the statement is of or about another entity")
        known = self._statements[entity_id] = _Statement(text, says)
        return known

    def _fetch_endpoint(self, configuration: EntityStatement) -> str:
        # Section 5.1.1: federation_fetch_endpoint, an https URL.
        endpoint = configuration.metadata.get("federation_entity", {}).get(
            "federation_fetch_endpoint"
        )
        if not isinstance(endpoint, str) or urlsplit(endpoint).scheme != "https":
            raise StatementInvalid("the anchor names no fetch endpoint")
        return endpoint

    def _client_of(self, entity_id: str, roots: str) -> httpx.Client:
        with self._lock:
            known = self._clients.get(entity_id)
            if known is not None and known[0] == roots:
                return known[1]
            client = blocking_client(roots)
            self._clients[entity_id] = (roots, client)
        if known is not None:
            known[1].close()
        return client
