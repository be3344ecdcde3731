"""OpenID Connect's authorisation code flow, from the relying party's side.

FAPI 2.0 Security Profile section 5.3.3: PKCE with S256, the ``iss`` of RFC 9207, client
authentication by a signed assertion; OpenID Connect Core section 3.1.3.7: the ID token.
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Final

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jws
from joserfc.jwk import JWKRegistry, KeySet, OctKey
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from creditgate import uscc
from gateway.clock import Clock
from gateway.oauth.jose import ALGORITHMS, MALFORMED, ProfileRegistry, fits, verified_claims
from gateway.signin.attempts import Attempt
from gateway.signin.identity import MOST_NAME, Identity
from gateway.signin.principals import Principals
from gateway.signin.provider import (
    IdentityProvider,
    RelyingPartySettings,
    SignInFailed,
    TokenAnswer,
)
from operators.administrators import BASIC_ACR, STRONG_ACR

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 60
_SKEW_SECONDS: Final = 10
_MOST_ID_TOKEN: Final = 16_384


class _Claims(BaseModel):
    """What is used of an ID token beyond what Authlib's check of it looks at.

    ``auth_time`` is required: every request has a max_age (OpenID Connect Core section 2).
    """

    model_config = ConfigDict(strict=True, frozen=True)

    sub: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
    iat: int
    auth_time: int
    acr: str = ""
    name: str = ""
    uscc: str = ""
    uscc_verified: bool = False


class RelyingParty:
    """Sends browsers to the provider and believes its answers only where they hold."""

    def __init__(
        self,
        settings: RelyingPartySettings,
        provider: IdentityProvider,
        clock: Clock,
        principals: Principals,
    ) -> None:
        self._settings = settings
        self._principals = principals
        self._provider = provider
        self._clock = clock
        self._registry = ProfileRegistry()
        self._kid = JWKRegistry.import_key(settings.key.public).thumbprint()

    async def sign_in_url(
        self, attempt: Attempt, *, strong: bool, again: bool, language: str
    ) -> str:
        """Return where to send the browser of ``attempt``. Raises SignInFailed.

        ``strong`` asks for more than one factor (``acr_values``, RFC 9470 section 4),
        ``again`` for a sign-in whoever is signed in there already (``prompt=login``).
        """
        metadata = await self._provider.metadata()
        extra: dict[str, str] = {
            "nonce": attempt.nonce,
            "code_challenge": create_s256_code_challenge(attempt.code_verifier),
            "code_challenge_method": "S256",
            "max_age": str(attempt.max_age),
            "ui_locales": language,
        }
        if again:
            extra["prompt"] = "login"
        if strong:
            extra["acr_values"] = " ".join(sorted(self._settings.strong_acrs))
        return prepare_grant_uri(
            metadata.authorization_endpoint,
            self._settings.client_id,
            "code",
            redirect_uri=self._settings.redirect_uri,
            scope="openid profile",
            state=attempt.state,
            **extra,
        )

    async def identity(self, attempt: Attempt, answer: Mapping[str, str]) -> Identity:
        """Return who signed in, from the parameters the browser came back with.

        ``attempt`` is that of the answer's ``state``. Raises SignInFailed.
        """
        metadata = await self._provider.metadata()
        issuer = answer.get("iss")
        # RFC 9207 section 2.4: "Clients that support this specification MUST extract the
        # value of the iss parameter ... If the value does not match the expected issuer
        # identifier, clients MUST reject the authorization response".
        if issuer is None and metadata.authorization_response_iss_parameter_supported:
            raise SignInFailed("not-believed", "the answer does not say whose it is")
        if issuer is not None and not _same(issuer, self._settings.issuer):
            raise SignInFailed("not-believed", "the answer is of another provider")
        if "error" in answer:
            raise SignInFailed("declined", "the provider signed nobody in")
        code = answer.get("code")
        if not code:
            raise SignInFailed("not-believed", "the answer has no code")
        tokens = await self._provider.tokens(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._settings.redirect_uri,
                "code_verifier": attempt.code_verifier,
                "client_id": self._settings.client_id,
                "client_assertion_type": _ASSERTION_TYPE,
                "client_assertion": self._assertion(),
            }
        )
        return self._identity(await self._believed(tokens, attempt), attempt)

    def _assertion(self) -> str:
        now = self._clock.now()
        claims = {
            "iss": self._settings.client_id,
            "sub": self._settings.client_id,
            "aud": self._settings.issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        return self._settings.key.sign(claims, kid=self._kid)

    async def _believed(self, tokens: TokenAnswer, attempt: Attempt) -> dict[str, Any]:
        """Return the claims of the ID token, once all that Core 3.1.3.7 asks of it holds."""
        if len(tokens.id_token) > _MOST_ID_TOKEN:
            raise SignInFailed("not-believed", "the ID token is too long")
        try:
            header = jws.extract_compact(tokens.id_token.encode("ascii")).headers()
            kid, alg = header.get("kid"), header.get("alg")
            keys = await self._provider.keys(kid)
            verified = _verified(tokens.id_token, keys, kid, alg, self._registry)
            claims = CodeIDToken(
                verified,
                header,
                {
                    "iss": {"essential": True, "value": self._settings.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                },
                {
                    "nonce": attempt.nonce,
                    "client_id": self._settings.client_id,
                    "access_token": tokens.access_token,
                },
            )
            claims.validate(now=self._clock.now(), leeway=_SKEW_SECONDS)
        except MALFORMED as error:
            raise SignInFailed(
                "not-believed", f"the ID token fails: {type(error).__name__}"
            ) from error
        return verified

    def _identity(self, claims: Mapping[str, Any], attempt: Attempt) -> Identity:
        try:
            read = _Claims.model_validate(claims)
        except ValidationError as error:
            raise SignInFailed("not-believed", "the ID token's claims are not right") from error
        now = self._clock.now()
        # "If the auth_time Claim was requested ... the Client SHOULD check the auth_time
        # Claim value and request re-authentication if it determines too much time has elapsed".
        oldest = attempt.started_at - attempt.max_age - _SKEW_SECONDS
        if not oldest <= read.auth_time <= now + _SKEW_SECONDS:
            raise SignInFailed("not-believed", "the sign-in is not as fresh as was asked")
        company = read.uscc if read.uscc_verified and uscc.fault(read.uscc) is None else ""
        name = "".join(character for character in read.name if character.isprintable())
        return Identity(
            issuer=self._settings.issuer,
            subject=read.sub,
            name=name[:MOST_NAME].strip() or read.sub[:MOST_NAME],
            uscc=company,
            # A clock that runs ahead must not make a sign-in look fresher than it is.
            auth_time=min(read.auth_time, now),
            acr=STRONG_ACR if read.acr in self._settings.strong_acrs else BASIC_ACR,
            representative=self._principals.representative(self._settings.issuer, read.sub),
        )


def _verified(
    token: str, keys: KeySet, kid: str | None, alg: str | None, registry: ProfileRegistry
) -> dict[str, Any]:
    if alg not in ALGORITHMS:
        raise SignInFailed("not-believed", "the ID token is signed by another algorithm")
    for key in keys:
        if isinstance(key, OctKey) or not fits(key, alg) or kid not in (None, key.kid):
            continue
        return verified_claims(token, key, alg, registry)
    raise SignInFailed("not-believed", "the ID token is signed by a key unknown there")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
