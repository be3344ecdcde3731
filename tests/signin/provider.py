"""An identity provider that says whatever a test wants it to, over real TLS."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc.jwk import ECKey
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.oauth.connection import bound_socket, build_http_server, tls_context
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import make_ca, make_server_certificate
from gateway.signin.attempts import Attempt, Attempts
from gateway.signin.identity import Identity
from gateway.signin.principals import Principals
from gateway.signin.provider import IdentityProvider, RelyingPartySettings
from gateway.signin.relying_party import RelyingParty
from gateway.signin.sessions import Browser
from gateway.signin.tls import trusting
from sdk.signing import SigningKey
from tests.clock import NOW, StandingClock
from tests.parties import claims_in, jws

CLIENT = "the-gateway"
REDIRECT = "https://gateway.test/signin/callback"
STRONG = "urn:test:two-factors"


@dataclass
class Provider:
    """What the provider answers; a test changes it before the answer is asked for."""

    issuer: str = ""
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    published: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    header: dict[str, Any] = field(default_factory=dict[str, Any])
    id_token: str | None = None
    status: int = 200
    body: bytes | None = None
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    key_fetches: int = 0

    def __post_init__(self) -> None:
        self.header = {"alg": "ES256", "kid": self.key.thumbprint()}
        self.published = [self.public(self.key)]

    @staticmethod
    def public(key: ECKey) -> dict[str, Any]:
        """Return a key as it is published."""
        return dict(key.as_dict(private=False, kid=key.thumbprint(), alg="ES256", use="sig"))

    def answers(self, attempt: Attempt, **changed: Any) -> None:
        """Answer with an ID token for ``attempt``; ``changed`` claims, None removes one."""
        claims = {
            "iss": self.issuer,
            "sub": "p-1",
            "aud": CLIENT,
            "iat": NOW,
            "exp": NOW + 300,
            "auth_time": NOW,
            "nonce": attempt.nonce,
            **changed,
        }
        self.claims = {name: value for name, value in claims.items() if value is not None}

    def app(self) -> Starlette:
        """Return the provider's application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._describe),
                Route("/keys", self._keys),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _describe(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_response_iss_parameter_supported": True,
                **self.metadata,
            }
        )

    async def _keys(self, _: Request) -> Response:
        self.key_fetches += 1
        return JSONResponse({"keys": self.published})

    async def _token(self, request: Request) -> Response:
        body = (await request.body()).decode()
        self.asked.append({name: values[0] for name, values in parse_qs(body).items()})
        if self.body is not None:
            return Response(self.body, self.status, media_type="application/json")
        token = self.id_token or jws(self.header, self.claims, self.key)
        answer = {"access_token": "opaque", "token_type": "Bearer", "id_token": token}
        return JSONResponse(answer, self.status)


@dataclass
class World:
    """A relying party and its provider."""

    provider: Provider
    party: RelyingParty
    attempts: Attempts
    clock: StandingClock
    settings: RelyingPartySettings

    def attempt(self, max_age: int = 60) -> Attempt:
        """Begin a sign-in."""
        return self.attempts.begin(
            Browser("a" * 43, known=True), max_age=max_age, return_to="/interaction/x"
        )

    async def identity(self, attempt: Attempt, **answer: str) -> Identity:
        """Return who signed in by an answer with a code and the provider's name."""
        whole = {"code": "c", "state": attempt.state, "iss": self.provider.issuer, **answer}
        return await self.party.identity(attempt, {k: v for k, v in whole.items() if v})

    async def sign_in_query(self, attempt: Attempt, **how: bool) -> dict[str, str]:
        """Return the parameters a browser is sent to the provider with."""
        asked = {"strong": False, "again": False, **how}
        url = await self.party.sign_in_url(attempt, language="zh", **asked)
        return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def certify(folder: Path) -> None:
    """Write what a provider shows by TLS, and whom to trust for it, into ``folder``."""
    ca = make_ca("test root", _real_now())
    ca.write(folder / "ca.pem", folder / "ca.key")
    make_server_certificate(ca, _real_now()).write(folder / "server.pem", folder / "server.key")


@asynccontextmanager
async def running_world(engine: Engine, folder: Path) -> AsyncGenerator[World]:
    """Run a provider with the certificate in ``folder`` and give it with a relying party."""
    clock = StandingClock()
    provider = Provider()
    bound = bound_socket("127.0.0.1", 0)
    provider.issuer = f"https://localhost:{bound.getsockname()[1]}"
    tls = tls_context(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    server = build_http_server(provider.app(), tls)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    settings = RelyingPartySettings(
        issuer=provider.issuer,
        client_id=CLIENT,
        key=SigningKey.read(make_assertion_key().key),
        strong_acrs=frozenset({STRONG}),
        redirect_uri=REDIRECT,
        tls=trusting(folder / "ca.pem"),
    )
    reached = IdentityProvider(settings, clock)
    try:
        party = RelyingParty(settings, reached, clock, Principals(bytes(32)))
        yield World(provider, party, Attempts(engine, clock), clock, settings)
    finally:
        await reached.close()
        server.stop()
        await task


def _real_now() -> int:
    import time

    return int(time.time())


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return a JWT without a signature."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    return b".".join((*parts, b"")).decode()


def assertion_claims(form: Mapping[str, str]) -> dict[str, Any]:
    """Return what the relying party's assertion claims."""
    return claims_in(form["client_assertion"])
