"""The code flow step by step, so that an attack can come in between any two of them."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import httpx

from gateway.oauth.interactions import Approval
from tests.attacks.ground import READ, Ground, Prover
from tests.parties import REDIRECT, Party, encoded

PERSON: Final = "representative:legal-person"
STRONG: Final = "urn:test:strong"


@dataclass(frozen=True)
class Pushed:
    """A pushed request and what its client keeps to itself."""

    party: Party
    request_uri: str
    state: str
    verifier: str


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 section 4.2)."""
    return encoded(hashlib.sha256(verifier.encode()).digest())


def parameters(state: str, verifier: str, **changed: str | None) -> dict[str, str]:
    """Return the parameters of a good request; ``changed`` replaces some, None removes."""
    asked = {
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": READ,
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
        **changed,
    }
    return {name: value for name, value in asked.items() if value is not None}


async def push(
    ground: Ground, party: Party, *, prover: Prover | None = None, **changed: str | None
) -> httpx.Response:
    """Push a request, good but for what is ``changed``."""
    form = parameters(secrets.token_urlsafe(16), secrets.token_urlsafe(48), **changed)
    return await ground.post("/oauth/par", form, party, prover=prover)


async def pushed(
    ground: Ground, party: Party, *, prover: Prover | None = None, **changed: str | None
) -> Pushed:
    """Push a request that is taken, and return it."""
    state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
    form = parameters(state, verifier, **changed)
    answer = await ground.post("/oauth/par", form, party, prover=prover)
    assert answer.status_code == 201, answer.text
    return Pushed(party, answer.json()["request_uri"], state, verifier)


async def browse(ground: Ground, **query: str) -> httpx.Response:
    """Come to the authorisation endpoint as a browser does: without a certificate."""
    browser = await ground.https(None)
    return await browser.get("/oauth/authorize", params=query)


async def opened(ground: Ground, request: Pushed) -> str:
    """Open a pushed request and return the id of the interaction."""
    answer = await browse(
        ground, client_id=request.party.client_id, request_uri=request.request_uri
    )
    assert answer.status_code == 303, answer.text
    return urlsplit(answer.headers["location"]).path.rpartition("/")[2]


async def approved(ground: Ground, request: Pushed, scope: str = READ) -> dict[str, str]:
    """Have a person approve a request, and return the response as the client gets it."""
    interaction_id = await opened(ground, request)
    details = await asyncio.to_thread(ground.inside.interactions.asked, interaction_id)
    assert details is not None
    approval = Approval(PERSON, frozenset(scope.split()), details.details, ground.now(), STRONG)
    url = await asyncio.to_thread(ground.inside.interactions.approve, interaction_id, approval)
    assert url is not None
    return response_in(url)


def response_in(url: str) -> dict[str, str]:
    """Return the authorisation response in the URL a browser was sent to."""
    return dict(parse_qsl(urlsplit(url).query))


async def redeem(
    ground: Ground,
    request: Pushed,
    code: str,
    party: Party | None = None,
    *,
    prover: Prover | None = None,
    **changed: str | None,
) -> httpx.Response:
    """Redeem a code as ``party``, the request's own client unless another is named."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": request.verifier,
        **changed,
    }
    kept = {name: value for name, value in form.items() if value is not None}
    return await ground.post("/oauth/token", kept, party or request.party, prover=prover)


async def refresh(
    ground: Ground, party: Party, token: str, *, prover: Prover | None = None, **more: str
) -> httpx.Response:
    """Ask for an access token by a refresh token."""
    form = {"grant_type": "refresh_token", "refresh_token": token, **more}
    return await ground.post("/oauth/token", form, party, prover=prover)
