"""The identity provider: what is configured of it, what it says of itself, how it is asked.

OpenID Connect Discovery 1.0 section 4: its document names the issuer it is asked as, and
its endpoints lie behind TLS.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

import httpx
from joserfc.jwk import KeySet, KeySetSerialization
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.clock import Clock
from gateway.oauth.jose import MALFORMED
from sdk.proxies import by_proxy
from sdk.signing import SigningKey

_FRESH_SECONDS: Final = 3_600
_KEYS_AGAIN_SECONDS: Final = 10
_TIMEOUT_SECONDS: Final = 10
_MOST_BYTES: Final = 256 * 1_024
_HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s#]+$", max_length=2_048)]
_Answer = TypeVar("_Answer", bound=BaseModel)


class SignInFailed(Exception):
    """Nobody was signed in.

    ``reason`` is one of a few words the pages know how to explain; the message says more,
    for the log, and repeats nothing that was received.
    """

    def __init__(self, reason: "FailureReason", message: str) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


FailureReason = Literal["unavailable", "not-ours", "declined", "not-believed"]
"""The provider cannot be reached; the answer is none this browser asked for; the provider
or the person said no; what the provider sent does not hold."""


class ProviderMetadata(BaseModel):
    """What is used of the discovery document."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: _HttpsUrl
    token_endpoint: _HttpsUrl
    jwks_uri: _HttpsUrl
    authorization_response_iss_parameter_supported: bool = False


class TokenAnswer(BaseModel):
    """What is used of the token endpoint's answer."""

    model_config = ConfigDict(frozen=True)

    access_token: str
    id_token: str


@dataclass(frozen=True, slots=True)
class RelyingPartySettings:
    """What this gateway is to one provider.

    ``key`` signs its assertions (private_key_jwt); ``strong_acrs`` are the provider's
    values of ``acr`` that stand for more than one factor; ``redirect_uri`` is registered
    there; ``tls`` says whose certificates the provider may show.
    """

    issuer: str
    client_id: str
    key: SigningKey
    strong_acrs: frozenset[str]
    redirect_uri: str
    tls: ssl.SSLContext


class IdentityProvider:
    """The provider as reached over the network; one event loop's own."""

    def __init__(self, settings: RelyingPartySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._http = httpx.AsyncClient(
            verify=settings.tls,
            timeout=_TIMEOUT_SECONDS,
            trust_env=by_proxy(settings.issuer),
            # Sign-ins are seldom; an idle connection would hold up a provider that ends.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._metadata: ProviderMetadata | None = None
        self._metadata_until = 0
        self._keys: KeySet | None = None
        self._keys_until = 0
        self._keys_again_from = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def metadata(self) -> ProviderMetadata:
        """Return what the provider says of itself. Raises SignInFailed."""
        now = self._clock.now()
        if self._metadata is None or now >= self._metadata_until:
            issuer = self._settings.issuer
            url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            found = await self._answer(ProviderMetadata, "GET", url)
            if found.issuer != issuer:
                raise SignInFailed("not-believed", "the provider calls itself otherwise")
            self._metadata, self._metadata_until = found, now + _FRESH_SECONDS
        return self._metadata

    async def keys(self, kid: str | None) -> KeySet:
        """Return the provider's public keys, fetched anew where none has this ``kid``.

        Not more often than every few seconds: tokens with made-up kids must not make this
        gateway flood the provider. Raises SignInFailed.
        """
        now = self._clock.now()
        known = self._keys
        stale = known is None or now >= self._keys_until
        unknown = known is not None and all(key.kid != kid for key in known)
        if stale or (unknown and now >= self._keys_again_from):
            document = await self._json("GET", (await self.metadata()).jwks_uri)
            known = self._keys = _key_set(document)
            self._keys_until = now + _FRESH_SECONDS
            self._keys_again_from = now + _KEYS_AGAIN_SECONDS
        assert known is not None
        return known

    async def tokens(self, form: Mapping[str, str]) -> TokenAnswer:
        """Ask the token endpoint. Raises SignInFailed."""
        return await self._answer(TokenAnswer, "POST", (await self.metadata()).token_endpoint, form)

    async def _answer(
        self, model: type[_Answer], method: str, url: str, form: Mapping[str, str] | None = None
    ) -> _Answer:
        try:
            return model.model_validate(await self._json(method, url, form))
        except ValidationError:
            raise SignInFailed(
                "not-believed", "the provider's answer lacks what it must have"
            ) from None

    async def _json(self, method: str, url: str, form: Mapping[str, str] | None = None) -> Any:
        try:
            async with self._http.stream(
                method, url, data=form, headers={"Accept": "application/json"}
            ) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise SignInFailed("not-believed", "the provider's answer is too large")
                if response.status_code != 200:
                    reason = "declined" if response.status_code == 400 else "unavailable"
                    raise SignInFailed(reason, f"the provider answered {response.status_code}")
                return httpx.Response(200, content=bytes(body)).json()
        except httpx.HTTPError as error:
            raise SignInFailed("unavailable", type(error).__name__) from error
        except ValueError as error:
            raise SignInFailed("not-believed", "the provider's answer is no JSON") from error


def _key_set(document: Any) -> KeySet:
    try:
        serialization: KeySetSerialization = {"keys": list(document["keys"])}
        return KeySet.import_key_set(serialization)
    except MALFORMED as error:
        raise SignInFailed("not-believed", "the provider's keys cannot be read") from error
