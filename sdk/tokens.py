"""Access tokens: asked for by a signed assertion, renewed in time.

RFC 6749 section 4.4 with RFC 7523 client authentication; the token is bound to the
client's certificate (RFC 8705) or to a key it proves to hold (RFC 9449), so it works
in this client's hands only.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from sdk.credentials import KeyCredentials, Profile
from sdk.dpop import ProofKey
from sdk.proxies import by_proxy
from sdk.signing import SigningKey

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 60
_TIMEOUT_SECONDS: Final = 10
# Renew when a fifth of the life is left: 60 of the gateway's 300 seconds.
_RENEW_AT: Final = 0.8
_RETRY_SECONDS: Final = 2.0
# A process that ends closes connections that it was just given; another listens, or will.
_BROKEN: Final = (httpx.NetworkError, httpx.RemoteProtocolError)
_AGAIN_SECONDS: Final = 0.2
# Minutes lie between two tokens, and an idle connection holds up a server that ends.
_LAST: Final = {"Connection": "close"}
_Answer = TypeVar("_Answer", bound=BaseModel)


class TokenRefused(Exception):
    """The authorisation server refused (RFC 6749 section 5.2) or cannot answer.

    ``error`` is its code, "unavailable" when it did not answer in form;
    ``description`` tells how to mend it.
    """

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    renew_at: float
    expires_at: float


class _Aliases(BaseModel):
    token_endpoint: str | None = None


class _Metadata(BaseModel):
    issuer: str
    token_endpoint: str
    mtls_endpoint_aliases: _Aliases = _Aliases()


class _TokenResponse(BaseModel):
    access_token: str
    token_type: str
    expires_in: int


class _ErrorResponse(BaseModel):
    error: str
    error_description: str = ""


class _Exchange:
    """What both sources share: the requests to make and how to read the answers."""

    def __init__(self, credentials: Profile, scopes: tuple[str, ...]) -> None:
        self._client_id = credentials.client_id
        self._issuer = credentials.issuer
        self._scopes = scopes
        self._certified = credentials.shown is not None
        self._key = SigningKey.read(credentials.signing_key.read_bytes())
        self._proof_key: ProofKey | None = None
        if isinstance(credentials, KeyCredentials):
            self._proof_key = ProofKey.read(credentials.dpop_key.read_bytes())
        self._nonce: str | None = None

    @property
    def metadata_url(self) -> str:
        """RFC 8414 section 3.1: the well-known part stands before the issuer's path."""
        issuer = httpx.URL(self._issuer)
        path = issuer.path.rstrip("/")
        return str(issuer.copy_with(path=f"/.well-known/oauth-authorization-server{path}"))

    def token_endpoint(self, response: httpx.Response) -> str:
        """RFC 8414 section 3.3: a document of another issuer must not be used."""
        document = _read(_Metadata, response)
        if document.issuer != self._issuer:
            raise TokenRefused(
                "unavailable", "The server names another issuer than the profile; mend `issuer`."
            )
        # RFC 8705 section 5: who shows a certificate MUST prefer the alias.
        alias = document.mtls_endpoint_aliases.token_endpoint if self._certified else None
        return alias or document.token_endpoint

    def form(self) -> dict[str, str]:
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": self._key.sign(claims),
        }
        return {**form, "scope": " ".join(self._scopes)} if self._scopes else form

    def headers(self, endpoint: str) -> dict[str, str]:
        if self._proof_key is None:
            return _LAST
        proof = {"DPoP": self._proof_key.proof("POST", endpoint, nonce=self._nonce)}
        # Without a nonce it is asked once more.
        return proof if self._nonce is None else proof | _LAST

    def wants_nonce(self, response: httpx.Response) -> bool:
        """RFC 9449 section 8: remember the server's nonce; tell whether to ask again with it."""
        nonce = response.headers.get("dpop-nonce")
        if self._proof_key is None or nonce is None:
            return False
        self._nonce = nonce
        try:
            refusal = _ErrorResponse.model_validate_json(response.content)
        except ValidationError:
            return False
        return refusal.error == "use_dpop_nonce"

    def held(self, response: httpx.Response, asked_at: float) -> _Held:
        answer = _read(_TokenResponse, response)
        wanted = "bearer" if self._proof_key is None else "dpop"
        if answer.token_type.lower() != wanted:
            raise TokenRefused(
                "unavailable",
                "The server binds this client's tokens to another thing than the profile says;"
                " mend the profile or the client's binding.",
            )
        return _Held(
            answer.access_token,
            asked_at + answer.expires_in * _RENEW_AT,
            asked_at + answer.expires_in,
        )


class AccessTokens(Protocol):
    """Where the tokens of a channel come from; one event loop's own."""

    async def token(self) -> str:
        """Return a token with life left. Raises TokenRefused."""
        ...

    async def keep_fresh(self, renewed: Callable[[str], None]) -> None:
        """Renew for ever, calling ``renewed`` with each token."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class TokenSource:
    """Gives a good access token, from any thread; one request at a time renews it.

    ``scopes`` narrows the tokens; without it they carry all that is granted.
    """

    def __init__(
        self,
        credentials: Profile,
        scopes: tuple[str, ...] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = _Exchange(credentials, scopes)
        self._monotonic = monotonic
        self._http = httpx.Client(
            verify=credentials.tls(),
            timeout=_TIMEOUT_SECONDS,
            trust_env=by_proxy(credentials.issuer),
        )
        self._lock = threading.Lock()
        self._endpoint: str | None = None
        self._held: _Held | None = None

    def token(self) -> str:
        """Return a token with life left. Raises TokenRefused."""
        held = self._held
        if held is not None and self._monotonic() < held.renew_at:
            return held.token
        with self._lock:
            held = self._held
            if held is None or self._monotonic() >= held.renew_at:
                held = self._held = self._renewed()
            return held.token

    def _renewed(self) -> _Held:
        try:
            try:
                return self._exchanged()
            except _BROKEN:
                time.sleep(_AGAIN_SECONDS)
                return self._exchanged()
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    def _exchanged(self) -> _Held:
        if self._endpoint is None:
            found = self._http.get(self._exchange.metadata_url)
            self._endpoint = self._exchange.token_endpoint(found)
        asked_at = self._monotonic()
        response = self._asked(self._endpoint)
        if self._exchange.wants_nonce(response):
            response = self._asked(self._endpoint)
        return self._exchange.held(response, asked_at)

    def _asked(self, endpoint: str) -> httpx.Response:
        exchange = self._exchange
        return self._http.post(endpoint, data=exchange.form(), headers=exchange.headers(endpoint))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncTokenSource:
    """As `TokenSource`, on one event loop; `keep_fresh` renews ahead of need."""

    def __init__(
        self,
        credentials: Profile,
        scopes: tuple[str, ...] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = _Exchange(credentials, scopes)
        self._monotonic = monotonic
        self._http = httpx.AsyncClient(
            verify=credentials.tls(),
            timeout=_TIMEOUT_SECONDS,
            trust_env=by_proxy(credentials.issuer),
        )
        self._lock = asyncio.Lock()
        self._endpoint: str | None = None
        self._held: _Held | None = None

    async def token(self) -> str:
        """Return a token with life left. Raises TokenRefused."""
        held = self._held
        if held is not None and self._monotonic() < held.renew_at:
            return held.token
        async with self._lock:
            held = self._held
            if held is None or self._monotonic() >= held.renew_at:
                held = self._held = await self._renewed()
            return held.token

    async def keep_fresh(self, renewed: Callable[[str], None]) -> None:
        """Renew for ever, calling ``renewed`` with each token; run it as a task.

        A refusal or an unreachable server is tried again: the token held may still
        have life, and when it has not, the gateway says so at the next call.
        """
        while True:
            try:
                renewed(await self.token())
            except TokenRefused:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            held = self._held
            if held is not None:
                await asyncio.sleep(max(0.0, held.renew_at - self._monotonic()))

    async def _renewed(self) -> _Held:
        try:
            try:
                return await self._exchanged()
            except _BROKEN:
                await asyncio.sleep(_AGAIN_SECONDS)
                return await self._exchanged()
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    async def _exchanged(self) -> _Held:
        if self._endpoint is None:
            found = await self._http.get(self._exchange.metadata_url)
            self._endpoint = self._exchange.token_endpoint(found)
        asked_at = self._monotonic()
        response = await self._asked(self._endpoint)
        if self._exchange.wants_nonce(response):
            response = await self._asked(self._endpoint)
        return self._exchange.held(response, asked_at)

    async def _asked(self, endpoint: str) -> httpx.Response:
        exchange = self._exchange
        return await self._http.post(
            endpoint, data=exchange.form(), headers=exchange.headers(endpoint)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _read(model: type[_Answer], response: httpx.Response) -> _Answer:
    try:
        if response.is_success:
            return model.model_validate_json(response.content)
        refusal = _ErrorResponse.model_validate_json(response.content)
    except ValidationError:
        raise TokenRefused(
            "unavailable", f"{response.url} gave no OAuth answer (HTTP {response.status_code})."
        ) from None
    raise TokenRefused(refusal.error, refusal.error_description)


def _unreachable(error: httpx.HTTPError) -> TokenRefused:
    return TokenRefused(
        "unavailable",
        f"The authorisation server cannot be reached ({type(error).__name__}); check `issuer`,"
        " `ca` and that the gateway runs.",
    )
