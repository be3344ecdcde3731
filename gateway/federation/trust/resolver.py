"""Resolving trust chains: fetched from the anchor downwards, verified, kept while they hold.

The anchor's statement about a region comes first: it tells by which CAs the region's server
is known, so that nothing is fetched on trust. Where intermediates stand between, each is asked
in its turn for what it states of the next, by what was stated of it before. Which ones these are
the anchor's news tell. Source: OpenID Federation 1.0, section 10.1. Calls block; any thread.
"""

import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from gateway.clock import Clock
from gateway.federation.trust.chain import (
    MOST_BETWEEN,
    Anchor,
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
_LOOK_SECONDS: Final = 600
"""How soon the word of an intermediate is looked at anew: no news tell of it."""
_FOR_EVER: Final = 1 << 62
UNREACHABLE: Final = (httpx.HTTPError, StatementInvalid, ssl.SSLError, OSError, ValueError)
"""What hinders a chain from being resolved; tried again later."""


class Asked(NamedTuple):
    """A chain that is asked for; see `ChainResolver.chain`."""

    entity_id: str
    revision: int
    path: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement as it was fetched, what it says, and the keys that it was verified by; it is
    looked at anew at ``until`` (seconds, UTC)."""

    text: str
    says: EntityStatement
    keys: JwkSet
    until: int

    def fresh(self, now: int) -> bool:
        """Tell whether it need not be looked at, and more than half of its life is left."""
        return now < min(self.until, (self.says.iat + self.says.exp) // 2)


class ChainResolver:
    """Resolves chains of regions under one anchor; ``anchor_roots`` (PEM) are CAs of its server,
    None the system's."""

    def __init__(self, anchor: Anchor, anchor_roots: str | None, clock: Clock) -> None:
        self._anchor = anchor
        self._clock = clock
        self._stack = ExitStack()
        self._client = self._stack.enter_context(blocking_client(anchor_roots))
        self._clients: dict[str, tuple[str, httpx.Client]] = {}
        self._statements: dict[tuple[str, str], _Statement] = {}
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
        top, known = self._top, self._anchor.keys
        if top is None or top.says.exp <= self._clock.now() or top.keys != known:
            return known
        own = {key["kid"]: key for key in known["keys"]}
        return {"keys": [*{**own, **{key["kid"]: key for key in top.says.jwks["keys"]}}.values()]}

    def resolved(self, asked: Sequence[Asked]) -> dict[str, TrustChain | Exception]:
        """Return a chain for each that is asked for, by entity id, or what hindered it.

        Several are resolved at once.
        """

        def one(wanted: Asked) -> TrustChain | Exception:
            try:
                return self.chain(*wanted)
            except UNREACHABLE as error:
                return error

        found = self._pool.map(one, asked)
        return dict(zip((each.entity_id for each in asked), found, strict=True))

    def chain(self, entity_id: str, revision: int = 0, path: Sequence[str] = ()) -> TrustChain:
        """Return the verified chain of a region, its own configuration fetched anew.

        ``path`` are the intermediates between it and the anchor, the anchor's own first. What the
        anchor states has ``revision`` at least. Raises one of `UNREACHABLE`.
        """
        if len(path) > MOST_BETWEEN:
            raise StatementInvalid("too many intermediates stand above the entity")
        names = (*path, entity_id)
        try:
            return self._chain(names, revision, anew=False)
        except StatementInvalid:
            # A superior may sign by another key, or state other keys, since it was read.
            return self._chain(names, revision, anew=True)

    def _chain(self, names: Sequence[str], revision: int, *, anew: bool) -> TrustChain:
        top = self._anchor_configuration(anew=anew)
        superior = _Superior(top.says, self._client)
        links: list[_Statement] = []
        for place, name in enumerate(names):
            # The anchor's word is followed by the news, that of others by time alone.
            of_anchor = place == 0
            link = self._statement(superior, name, revision if of_anchor else 0, anew=anew)
            links.append(link)
            if place < len(names) - 1:
                superior = self._intermediate(name, link)
        entity_id, stated = names[-1], links[-1].says
        leaf = fetched(self._client_of(entity_id, stated.tls_roots), configuration_url(entity_id))
        statements = (leaf, *(link.text for link in reversed(links)), top.text)
        chain = verified_chain(statements, self._anchor, self._clock.now())
        if chain.entity_id != entity_id:
            raise StatementInvalid("the chain is of another entity")
        return chain

    def _anchor_configuration(self, *, anew: bool) -> _Statement:
        now, keys = self._clock.now(), self._anchor.keys
        top = self._top
        if anew or top is None or not top.fresh(now) or top.keys != keys:
            text = fetched(self._client, configuration_url(self._anchor.entity_id))
            read = anchor_configuration(text, self._anchor, now)
            top = self._top = _Statement(text, read, keys, _FOR_EVER)
        return top

    def _intermediate(self, entity_id: str, link: _Statement) -> "_Superior":
        """Return an intermediate, its configuration fetched anew, by what its superior states."""
        client = self._client_of(entity_id, link.says.tls_roots)
        text = fetched(client, configuration_url(entity_id))
        says = verified_statement(text, link.says.jwks, self._clock.now())
        if not says.is_configuration or says.sub != entity_id:
            raise StatementInvalid("the configuration is of or about another entity")
        # What it signs with is its superior's to say.
        return _Superior(says.model_copy(update={"jwks": link.says.jwks}), client)

    def _statement(
        self, superior: "_Superior", entity_id: str, revision: int, *, anew: bool
    ) -> _Statement:
        now = self._clock.now()
        name, keys = superior.says.sub, superior.says.jwks
        known = self._statements.get((name, entity_id))
        if (
            known is not None
            and not anew
            and known.fresh(now)
            # What a former key signed is no link of a chain any more.
            and known.keys == keys
            and known.says.revision >= revision
        ):
            return known
        endpoint = _fetch_endpoint(superior.says)
        text = fetched(superior.client, endpoint, {"sub": entity_id})
        says = verified_statement(text, keys, now)
        if (says.iss, says.sub) != (name, entity_id):
            raise StatementInvalid("the statement is of or about another entity")
        until = _FOR_EVER if name == self._anchor.entity_id else now + _LOOK_SECONDS
        known = self._statements[name, entity_id] = _Statement(text, says, keys, until)
        return known

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


class _Superior(NamedTuple):
    """Who states something of another: what it says of itself, and the client it is asked by."""

    says: EntityStatement
    client: httpx.Client


def _fetch_endpoint(configuration: EntityStatement) -> str:
    # Section 5.1.1: federation_fetch_endpoint, an https URL. It is of the entity's own server:
    # its client trusts the authorities of that one alone.
    endpoint = configuration.metadata.get("federation_entity", {}).get("federation_fetch_endpoint")
    if not isinstance(endpoint, str) or urlsplit(endpoint).scheme != "https":
        raise StatementInvalid("a superior names no fetch endpoint")
    return endpoint
