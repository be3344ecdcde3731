"""What a relying party asks of the provider's authorisation endpoint (OpenID Connect Core 3.1.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from operators.administrators import STRONG_ACR

_MOST: Final = 512


@dataclass(frozen=True, slots=True)
class RegisteredParty:
    """The one relying party: its id, where browsers go back to, its public JWK."""

    client_id: str
    redirect_uri: str
    jwk: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """A request whose client and redirect URI are the registered ones.

    ``max_age`` in seconds, None where it is left out; ``strong`` where ``acr_values`` asks
    for two factors.
    """

    state: str
    nonce: str
    code_challenge: str
    max_age: int | None
    strong: bool
    prompt: frozenset[str]


class NotOurParty(ValueError):
    """Client or redirect URI are not registered: the browser must not be sent there."""


class AskedWrongly(ValueError):
    """The relying party is told: ``error`` is its code, ``state`` what it sent."""

    def __init__(self, error: str, state: str) -> None:
        super().__init__(error)
        self.error = error
        self.state = state


def sign_in_request(party: RegisteredParty, query: Mapping[str, str]) -> SignInRequest:
    """Read a request. Raises NotOurParty, AskedWrongly."""
    if (query.get("client_id"), query.get("redirect_uri")) != (
        party.client_id,
        party.redirect_uri,
    ):
        raise NotOurParty
    state = query.get("state", "")
    if query.get("response_type") != "code":
        raise AskedWrongly("unsupported_response_type", state)
    max_age = query.get("max_age")
    sound = (
        "openid" in query.get("scope", "").split()
        and query.get("code_challenge_method") == "S256"
        and len(query.get("code_challenge", "")) == 43
        and all(len(value) <= _MOST for value in query.values())
        and (max_age is None or (max_age.isascii() and max_age.isdecimal()))
    )
    if not sound:
        raise AskedWrongly("invalid_request", state)
    return SignInRequest(
        state=state,
        nonce=query.get("nonce", ""),
        code_challenge=query["code_challenge"],
        max_age=None if max_age is None else int(max_age),
        strong=STRONG_ACR in query.get("acr_values", "").split(),
        prompt=frozenset(query.get("prompt", "").split()),
    )
