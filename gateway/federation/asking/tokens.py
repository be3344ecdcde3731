"""Access tokens of other regions, for this region and for operators that it asks for.

For an operator by token exchange (RFC 8693): the subject token is the operator's licence
credential, the client this region, by private_key_jwt (RFC 7523) and its certificate (RFC
8705). What is asked for is narrowed here already (RFC 9396); the home region narrows it again.
For the region itself by client credentials (RFC 6749 section 4.4). Tokens are remembered while
most of their life is left.
"""

import asyncio
import json
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple

import httpx
from pydantic import BaseModel, ValidationError

from gateway.federation.asking.ports import OwnRegion
from gateway.federation.trust.book import Region
from operators.model import TOKEN_EXCHANGE
from sdk.proxies import by_proxy

LICENCE_TOKEN: Final = "urn:creditgate:token-type:licence"  # noqa: S105  # a type
QUERY_SCOPE: Final = "federation.records:query"
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TIMEOUT_SECONDS: Final = 10
_MOST_ANSWER_BYTES: Final = 65_536
_MOST_REMEMBERED: Final = 4_096
# As the SDK does: renewed when a fifth of the life is left.
_RENEW_AT: Final = 0.8


class NoToken(Exception):
    """A region's authorisation server gave no token.

    ``error`` is its code (RFC 6749 section 5.2), "" where it did not answer in form.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error or "no answer")
        self.error = error


class _Wanted(NamedTuple):
    region: str
    scope: str
    subject: bytes
    details: str


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    renew_at: float


class _Answer(BaseModel):
    access_token: str
    token_type: str
    expires_in: int


class _Error(BaseModel):
    error: str


class RegionTokens:
    """Gets tokens of other regions; one event loop's own. ``monotonic`` is in seconds."""

    def __init__(self, own: OwnRegion, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._monotonic = monotonic
        self._held: OrderedDict[_Wanted, _Held] = OrderedDict()
        self._asking: dict[_Wanted, asyncio.Task[str]] = {}
        self._http: dict[str, tuple[bytes, httpx.AsyncClient]] = {}

    async def exchanged(self, region: Region, credential: str, details: Mapping[str, Any]) -> str:
        """Return a token by which ``region`` answers for the operator of ``credential``, within
        ``details``. Raises NoToken."""
        asked = json.dumps([details], sort_keys=True, separators=(",", ":"))
        wanted = _Wanted(region.entity_id, QUERY_SCOPE, sha256(credential.encode()).digest(), asked)
        return await self._token(
            region,
            wanted,
            {
                "grant_type": TOKEN_EXCHANGE,
                "subject_token": credential,
                "subject_token_type": LICENCE_TOKEN,
                "authorization_details": asked,
            },
        )

    async def own(self, region: Region, scope: str) -> str:
        """Return a token by which ``region`` answers this region itself. Raises NoToken."""
        wanted = _Wanted(region.entity_id, scope, b"", "")
        return await self._token(region, wanted, {"grant_type": "client_credentials"})

    def forget(self, token: str) -> None:
        """Ask for another one next time: the region takes this one no longer."""
        for wanted in [wanted for wanted, held in self._held.items() if held.token == token]:
            del self._held[wanted]

    async def close(self) -> None:
        """Ask no more, and close the connections."""
        for asking in tuple(self._asking.values()):
            asking.cancel()
        for _, http in self._http.values():
            await http.aclose()

    async def _token(self, region: Region, wanted: _Wanted, form: Mapping[str, str]) -> str:
        held = self._held.get(wanted)
        if held is not None and self._monotonic() < held.renew_at:
            self._held.move_to_end(wanted)
            return held.token
        asking = self._asking.get(wanted)
        if asking is None:
            asking = asyncio.create_task(self._renewed(region, wanted, form), name="region-token")
            self._asking[wanted] = asking
            asking.add_done_callback(partial(self._ended, wanted))
        # Whoever gives up waiting leaves it to the others who wait.
        return await asyncio.shield(asking)

    async def _renewed(self, region: Region, wanted: _Wanted, form: Mapping[str, str]) -> str:
        asked_at = self._monotonic()
        answer = await self._asked(region, {**form, "scope": wanted.scope})
        self._held[wanted] = _Held(answer.access_token, asked_at + answer.expires_in * _RENEW_AT)
        if len(self._held) > _MOST_REMEMBERED:
            self._held.popitem(last=False)
        return answer.access_token

    def _ended(self, wanted: _Wanted, asking: asyncio.Task[str]) -> None:
        self._asking.pop(wanted, None)
        if not asking.cancelled():
            # Nobody may be left to hear why it failed.
            asking.exception()

    async def _asked(self, region: Region, form: Mapping[str, str]) -> _Answer:
        own = self._own
        whole = {
            **form,
            "client_id": own.client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": own.assertion(region.issuer),
        }
        try:
            http = await self._client(region)
            response = await http.post(f"{region.issuer.rstrip('/')}/oauth/token", data=whole)
        except (httpx.HTTPError, OSError):
            raise NoToken("") from None
        content = response.content
        try:
            if response.is_success and len(content) <= _MOST_ANSWER_BYTES:
                answer = _Answer.model_validate_json(content)
                if answer.token_type.lower() == "bearer":
                    return answer
            refused = _Error.model_validate_json(content[:_MOST_ANSWER_BYTES])
        except ValidationError:
            raise NoToken("") from None
        raise NoToken(refused.error[:64])

    async def _client(self, region: Region) -> httpx.AsyncClient:
        """Return a client that trusts the region's roots alone, as its chain has them now."""
        known = self._http.get(region.entity_id)
        if known is not None and known[0] == region.roots:
            return known[1]
        context = ssl.create_default_context(cadata=region.roots.decode("ascii"))
        context.load_cert_chain(self._own.certificate, self._own.key)
        client = httpx.AsyncClient(
            verify=context, timeout=_TIMEOUT_SECONDS, trust_env=by_proxy(region.issuer)
        )
        self._http[region.entity_id] = (region.roots, client)
        if known is not None:
            await known[1].aclose()
        return client
