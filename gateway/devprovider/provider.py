"""The provider's memory and its tokens. Everything is forgotten when it stops."""

import base64
import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.clock import Clock
from gateway.devprovider.accounts import Account
from gateway.devprovider.sign_in_request import RegisteredParty, SignInRequest
from gateway.oauth.jose import MALFORMED, ProfileRegistry, verified_claims
from operators.administrators import BASIC_ACR, STRONG_ACR

_MOST_KEPT: Final = 256
_CODE_SECONDS: Final = 60
_PENDING_SECONDS: Final = 600
_TOKEN_SECONDS: Final = 300
_ASSERTION_SECONDS: Final = 300
_MOST_GUESSES: Final = 3
_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class Presence:
    """Somebody signed in at the provider in one browser; ``auth_time`` in UTC seconds."""

    account: Account
    auth_time: int
    two_factors: bool

    @property
    def acr(self) -> str:
        """How strongly they signed in."""
        return STRONG_ACR if self.two_factors else BASIC_ACR

    def satisfies(self, asked: SignInRequest, now: int) -> bool:
        """Tell whether they need not sign in again (OpenID Connect Core 3.1.2.1, 3.1.2.3)."""
        return (
            not asked.prompt & {"login", "select_account"}
            and (asked.max_age is None or now - self.auth_time < asked.max_age)
            and (self.two_factors or not asked.strong)
        )


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in under way: who says to be whom, and the one-time code that is to show it."""

    asked: SignInRequest
    begun_at: int
    account: Account | None = None
    one_time_code: str = ""
    guesses: int = 0


@dataclass(frozen=True, slots=True)
class _Code:
    asked: SignInRequest
    presence: Presence
    issued_at: int


class _Memory(Generic[_Kept]):
    """Things by random keys; the oldest go first when there are too many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def add(self, thing: _Kept) -> str:
        key = secrets.token_urlsafe(32)
        self.put(key, thing)
        return key

    def put(self, key: str, thing: _Kept) -> None:
        self._kept[key] = thing
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def get(self, key: str) -> _Kept | None:
        return self._kept.get(key)

    def take(self, key: str) -> _Kept | None:
        return self._kept.pop(key, None)


class TokenRefused(ValueError):
    """The token endpoint refuses; the message is the error code of RFC 6749 section 5.2."""


class DevelopmentProvider:
    """The provider of one process; one event loop's own."""

    def __init__(self, issuer: str, party: RegisteredParty, clock: Clock) -> None:
        self.issuer = issuer
        self.party = party
        self.clock = clock
        self._key = ECKey.generate_key("P-256")
        self._party_key = ECKey.import_key(dict(party.jwk))  # type: ignore[arg-type]
        self._registry = ProfileRegistry()
        self._pending: _Memory[Pending] = _Memory()
        self._codes: _Memory[_Code] = _Memory()
        self._presences: _Memory[Presence] = _Memory()
        self._assertions: _Memory[bool] = _Memory()

    @property
    def jwk(self) -> dict[str, Any]:
        """Return the public key of its ID tokens."""
        return dict(
            self._key.as_dict(private=False, kid=self._key.thumbprint(), alg="ES256", use="sig")
        )

    def begin(self, asked: SignInRequest) -> str:
        """Keep a sign-in and return its key."""
        return self._pending.add(Pending(asked, self.clock.now()))

    def pending(self, key: str) -> Pending | None:
        """Return a sign-in that is not over."""
        found = self._pending.get(key)
        if found is None or self.clock.now() >= found.begun_at + _PENDING_SECONDS:
            return None
        return found

    def choose(self, key: str, pending: Pending, account: Account) -> Pending:
        """Note who somebody says to be, and make the code that is to show it."""
        code = f"{secrets.randbelow(1_000_000):06d}"
        chosen = replace(pending, account=account, one_time_code=code)
        self._pending.put(key, chosen)
        return chosen

    def guess(self, key: str, pending: Pending, code: str) -> bool:
        """Tell whether ``code`` is the one-time code; after some wrong ones, none is."""
        self._pending.put(key, replace(pending, guesses=pending.guesses + 1))
        # What a form brings may be no ASCII, which texts are not compared in.
        given = code.encode("utf-8", "replace")
        right = secrets.compare_digest(pending.one_time_code.encode(), given) and code != ""
        return right and pending.guesses < _MOST_GUESSES

    def sign_in(self, key: str, pending: Pending, account: Account) -> tuple[str, Presence]:
        """End a sign-in and return (key of the presence, presence)."""
        self._pending.take(key)
        presence = Presence(account, self.clock.now(), two_factors=pending.asked.strong)
        return self._presences.add(presence), presence

    def presence(self, key: str) -> Presence | None:
        """Return who is signed in in the browser of that cookie."""
        return self._presences.get(key)

    def code(self, asked: SignInRequest, presence: Presence) -> str:
        """Return a code for the relying party."""
        return self._codes.add(_Code(asked, presence, self.clock.now()))

    def tokens(self, form: dict[str, str]) -> dict[str, object]:
        """Answer a token request. Raises TokenRefused."""
        self._authenticate(form)
        if form.get("grant_type") != "authorization_code":
            raise TokenRefused("unsupported_grant_type")
        code = self._codes.take(form.get("code", ""))
        now = self.clock.now()
        verifier = form.get("code_verifier", "")
        if (
            code is None
            or now >= code.issued_at + _CODE_SECONDS
            or form.get("redirect_uri") != self.party.redirect_uri
            or create_s256_code_challenge(verifier) != code.asked.code_challenge
        ):
            raise TokenRefused("invalid_grant")
        access_token = secrets.token_urlsafe(32)
        return {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": _TOKEN_SECONDS,
            "id_token": self._id_token(code, access_token, now),
        }

    def _id_token(self, code: _Code, access_token: str, now: int) -> str:
        presence = code.presence
        claims: dict[str, object] = {
            "iss": self.issuer,
            "sub": presence.account.subject,
            "aud": self.party.client_id,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
            "auth_time": presence.auth_time,
            "nonce": code.asked.nonce,
            "acr": presence.acr,
            "amr": ["user", "otp"] if presence.two_factors else ["user"],
            "at_hash": _half_hash(access_token),
            "name": presence.account.name,
        }
        if presence.account.uscc:
            claims |= {"uscc": presence.account.uscc, "uscc_verified": True}
        header = {"alg": "ES256", "typ": "JWT", "kid": self._key.thumbprint()}
        return jwt.encode(header, claims, self._key, registry=self._registry)

    def _authenticate(self, form: dict[str, str]) -> None:
        """Check the relying party's assertion (RFC 7523 section 3), used once."""
        try:
            claims = verified_claims(
                form["client_assertion"], self._party_key, "ES256", self._registry
            )
            now = self.clock.now()
            jti, exp = claims["jti"], claims["exp"]
            good = (
                claims["iss"] == claims["sub"] == self.party.client_id
                and claims["aud"] == self.issuer
                and now < exp <= now + _ASSERTION_SECONDS
                and isinstance(jti, str)
                and self._assertions.get(jti) is None
            )
        except MALFORMED as error:
            raise TokenRefused("invalid_client") from error
        if not good:
            raise TokenRefused("invalid_client")
        self._assertions.put(jti, True)


def _half_hash(token: str) -> str:
    """Return the ``at_hash`` of a token (OpenID Connect Core section 3.1.3.6)."""
    half = hashlib.sha256(token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()
