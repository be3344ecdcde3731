"""The command line as a client of the code flow: PAR, PKCE, a loopback redirect.

FAPI 2.0 Security Profile section 5.3.3, from the client's side; RFC 8252 section 7.3 for
the redirect. The access token is bound to the profile's certificate (RFC 8705).
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from gateway.clock import SystemClock
from sdk.credentials import Credentials
from sdk.proxies import by_proxy
from sdk.signing import SigningKey
from sdk.tokens import TokenRefused

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 60
_TIMEOUT_SECONDS: Final = 10
_Answer = TypeVar("_Answer", bound=BaseModel)


class TokenAnswer(BaseModel):
    """What the token endpoint gives; ``expires_in`` in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str | None = None
    scope: str = ""


class Begun(NamedTuple):
    """A flow begun: where the browser goes, and what its answer must fit."""

    url: str
    state: str
    code_verifier: str
    redirect_uri: str


class _Aliases(BaseModel):
    pushed_authorization_request_endpoint: str | None = None
    token_endpoint: str | None = None
    revocation_endpoint: str | None = None


class _Metadata(BaseModel):
    issuer: str
    authorization_endpoint: str
    pushed_authorization_request_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    mtls_endpoint_aliases: _Aliases = _Aliases()


class _Pushed(BaseModel):
    request_uri: str


class _Error(BaseModel):
    error: str
    error_description: str = ""


class CodeFlow:
    """Asks the authorisation server as one client. Calls block. Raises TokenRefused."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._key = SigningKey.read(credentials.signing_key.read_bytes())
        self._http = httpx.Client(
            verify=credentials.tls(),
            timeout=_TIMEOUT_SECONDS,
            trust_env=by_proxy(credentials.issuer),
        )
        self._found: _Metadata | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def begin(self, redirect_uri: str, scopes: tuple[str, ...], more: Mapping[str, str]) -> Begun:
        """Push a request; ``more`` are parameters such as acr_values."""
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        form = {
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **({"scope": " ".join(scopes)} if scopes else {}),
            **more,
        }
        metadata = self._metadata()
        pushed = self._post(_Pushed, metadata.pushed_authorization_request_endpoint, form)
        query = httpx.QueryParams(
            client_id=self._credentials.client_id, request_uri=pushed.request_uri
        )
        return Begun(f"{metadata.authorization_endpoint}?{query}", state, verifier, redirect_uri)

    def finish(self, begun: Begun, answer: Mapping[str, str]) -> TokenAnswer:
        """Return the tokens for what the browser brought back.

        RFC 9207 section 2.4: an answer of another issuer is refused.
        """
        issuer = self._credentials.issuer
        if not hmac.compare_digest(answer.get("iss", "").encode(), issuer.encode()):
            raise TokenRefused("unavailable", "The browser brought another server's answer back.")
        if "error" in answer:
            raise TokenRefused(answer["error"], answer.get("error_description", ""))
        form = {
            "grant_type": "authorization_code",
            "code": answer.get("code", ""),
            "redirect_uri": begun.redirect_uri,
            "code_verifier": begun.code_verifier,
        }
        return self._post(TokenAnswer, self._metadata().token_endpoint, form)

    def refreshed(self, refresh_token: str) -> TokenAnswer:
        """Return new tokens for a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._post(TokenAnswer, self._metadata().token_endpoint, form)

    def revoke(self, token: str) -> None:
        """End a token, and with a refresh token all that came from its approval (RFC 7009)."""
        self._answered(self._metadata().revocation_endpoint, {"token": token})

    def _metadata(self) -> _Metadata:
        if self._found is None:
            issuer = httpx.URL(self._credentials.issuer)
            path = f"/.well-known/oauth-authorization-server{issuer.path.rstrip('/')}"
            try:
                response = self._http.get(issuer.copy_with(path=path))
            except httpx.HTTPError as error:
                raise _unreachable(error) from error
            found = _read(_Metadata, response)
            # RFC 8414 section 3.3: a document of another issuer must not be used.
            if found.issuer != self._credentials.issuer:
                raise TokenRefused(
                    "unavailable",
                    "The server names another issuer than the profile; mend `issuer`.",
                )
            # RFC 8705 section 5: who shows a certificate MUST prefer the aliases.
            aliases = found.mtls_endpoint_aliases.model_dump(exclude_none=True)
            self._found = found.model_copy(update=aliases)
        return self._found

    def _post(self, model: type[_Answer], url: str, form: Mapping[str, str]) -> _Answer:
        return _read(model, self._answered(url, form))

    def _answered(self, url: str, form: Mapping[str, str]) -> httpx.Response:
        try:
            response = self._http.post(url, data={**form, **self._authentication()})
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        if not response.is_success:
            refusal = _read(_Error, response)
            raise TokenRefused(refusal.error, refusal.error_description)
        return response

    def _authentication(self) -> dict[str, str]:
        client_id, now = self._credentials.client_id, SystemClock().now()
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": self._credentials.issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        return {
            "client_id": client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": self._key.sign(claims),
        }


def _read(model: type[_Answer], response: httpx.Response) -> _Answer:
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        raise TokenRefused(
            "unavailable", f"{response.url} gave no OAuth answer (HTTP {response.status_code})."
        ) from None


def _unreachable(error: httpx.HTTPError) -> TokenRefused:
    return TokenRefused(
        "unavailable",
        f"The authorisation server cannot be reached ({type(error).__name__}); check `issuer`,"
        " `ca` and that the gateway runs.",
    )
