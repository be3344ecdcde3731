"""The code flow as a client, a browser and a person go through it, over real HTTPS."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc.jwk import ECKey

from gateway.oauth.authorization_desk import AuthorizationDesk
from gateway.oauth.interactions import Approval
from gateway.oauth.pushed_requests import SqlPushedRequests
from gateway.oauth.revocation_log import SqlRevocationLog
from tests.oauth.assertions import claims_of, form_of, signed
from tests.oauth.proofs import proof_of
from tests.oauth.world import CLIENT, READ, Identity, World

REDIRECT: Final = "https://client.test/back?kept=1"
PERSON: Final = "representative:wang"
ACR: Final = "urn:creditgate:acr:strong"
VERIFIER: Final = secrets.token_urlsafe(48)
WITH_CODE: Final = frozenset({"client_credentials", "authorization_code", "refresh_token"})
Answer = dict[str, str]


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def request_parameters(**changed: str | None) -> dict[str, str]:
    """Return a good authorisation request; ``changed`` replaces parameters, None removes."""
    asked = {
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": READ,
        "state": "st-1",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **changed,
    }
    return {name: value for name, value in asked.items() if value is not None}


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and error code of a refusal."""
    return response.status_code, response.json()["error"]


def answer_in(url: str) -> Answer:
    """Return what an authorisation response tells, each parameter once."""
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}


@dataclass
class CodeFlow:
    """One client's way through a server; ``http`` shows the client's certificate."""

    world: World
    issuer: str
    http: httpx.AsyncClient
    identity: Identity
    desk: AuthorizationDesk

    def authentication(self) -> dict[str, str]:
        """Return the parameters the client authenticates by."""
        claims = claims_of(self.identity, self.issuer, self.world.clock.now())
        key = ECKey.import_key(self.identity.assertion_key.key)
        form = form_of(signed(claims, key, alg="ES256"), client_id=self.identity.client_id)
        del form["grant_type"]
        return form

    def proof(self, path: str, key: ECKey | None) -> dict[str, str]:
        """Return the header with a proof for an endpoint; none without key."""
        if key is None:
            return {}
        now = self.world.clock.now()
        nonce = self.world.nonces.current(now)
        return {"DPoP": proof_of(key, f"{self.issuer}/oauth/{path}", now, nonce=nonce)}

    async def post(
        self, path: str, form: dict[str, str], key: ECKey | None = None
    ) -> httpx.Response:
        """Post to an endpoint as the client."""
        return await self.http.post(
            f"{self.issuer}/oauth/{path}",
            data={**self.authentication(), **form},
            headers=self.proof(path, key),
        )

    async def push(self, key: ECKey | None = None, /, **changed: str | None) -> httpx.Response:
        """Push a request (RFC 9126)."""
        return await self.post("par", request_parameters(**changed), key)

    async def pushed(self, **changed: str | None) -> str:
        """Push a good request and return its request_uri."""
        response = await self.push(**changed)
        assert response.status_code == 201, response.text
        return response.json()["request_uri"]

    async def browse(self, request_uri: str, **more: str) -> httpx.Response:
        """Come to the authorisation endpoint as a browser."""
        query = {"client_id": self.identity.client_id, "request_uri": request_uri, **more}
        return await self.http.get(f"{self.issuer}/oauth/authorize", params=query)

    async def opened(self, request_uri: str) -> str:
        """Come as a browser and return the id of the interaction it is sent to."""
        response = await self.browse(request_uri)
        assert response.status_code == 303, response.text
        before, _, interaction_id = response.headers["location"].rpartition("/")
        assert before == f"{self.issuer}/interaction"
        return interaction_id

    def approved(self, interaction_id: str, **changed: Any) -> str | None:
        """Approve as a person; return where the browser goes."""
        asked = self.desk.asked(interaction_id)
        assert asked is not None
        approval: dict[str, Any] = {
            "principal": PERSON,
            "scopes": asked.scopes,
            "details": asked.details,
            "auth_time": self.world.clock.now() - 5,
            "acr": ACR,
            **changed,
        }
        return self.desk.approve(interaction_id, Approval(**approval))

    async def code(self, **changed: str | None) -> str:
        """Go all the way to a code."""
        url = self.approved(await self.opened(await self.pushed(**changed)))
        assert url is not None
        return answer_in(url)["code"]

    async def redeem(
        self, code: str, key: ECKey | None = None, /, **changed: str | None
    ) -> httpx.Response:
        """Redeem a code; ``changed`` replaces parameters, None removes."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
            **changed,
        }
        return await self.post("token", {k: v for k, v in form.items() if v is not None}, key)

    async def tokens(self, **changed: str | None) -> dict[str, Any]:
        """Go all the way to tokens."""
        response = await self.redeem(await self.code(**changed))
        assert response.status_code == 200, response.text
        return response.json()

    async def refresh(self, refresh_token: str, **more: str) -> httpx.Response:
        """Use a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **more}
        return await self.post("token", form)


def revoked(world: World) -> list[str]:
    """Return the ids of all that was revoked, in order."""
    return [entry.revocation.id for entry in SqlRevocationLog(world.engine).since(0)]


def enrol(world: World, **changed: Any) -> None:
    """Let the world's client use the code flow."""
    fields: dict[str, Any] = {
        "grant_types": WITH_CODE,
        "redirect_uris": frozenset({REDIRECT}),
        **changed,
    }
    world.change("client", CLIENT, **fields)


@asynccontextmanager
async def flowing(world: World, **changed: Any) -> AsyncGenerator[CodeFlow]:
    """Run a server for the world's client, enrolled with the fields ``changed``."""
    enrol(world, **changed)
    async with (
        world.serving() as issuer,
        httpx.AsyncClient(verify=world.trust(world.identity.certificate)) as http,
    ):
        desk = AuthorizationDesk(world.context(issuer), SqlPushedRequests(world.engine))
        yield CodeFlow(world, issuer, http, world.identity, desk)
