"""An authorisation server of another maker, for the client's part of the profile."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from joserfc import jws
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.oauth.connection import bound_socket, build_http_server
from sdk.credentials import Credentials
from tests.oauth.world import World


class Asked(NamedTuple):
    """What was asked: where, with which form, and the claims of assertion and proof in it."""

    path: str
    query: str
    form: Mapping[str, str]
    assertion: Mapping[str, Any]
    proof: Mapping[str, Any]


class AnotherServer:
    """Gives every client a token or a request_uri, and a new nonce with each answer.

    ``host`` is the name in its issuer; ``aliased`` gives its endpoints aliases for mTLS;
    ``answer`` is added to what the token endpoint gives; ``changed`` replaces members of
    its metadata.
    """

    def __init__(
        self,
        world: World,
        *,
        host: str = "localhost",
        aliased: bool = False,
        answer: Mapping[str, str] = {"token_type": "Bearer"},
        **changed: str,
    ) -> None:
        self._world = world
        self._answer = answer
        self._changed = changed
        self._aliased = aliased
        self._bound = bound_socket("0.0.0.0", 0)
        # So that whoever comes before the server is up waits for it.
        self._bound.listen()
        self.issuer = f"https://{host}:{self._bound.getsockname()[1]}"
        self.asked: list[Asked] = []

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[Credentials]:
        """Serve, and give credentials of a client that knows it."""
        routes = [
            Route("/.well-known/oauth-authorization-server", self._describe),
            Route("/{path:path}", self._give, methods=["POST"]),
        ]
        server = build_http_server(Starlette(routes=routes), self._world.tls)
        task = asyncio.create_task(server.serve(sockets=[self._bound]))
        folder = self._world.identity.folder
        try:
            yield Credentials(
                client_id=self._world.identity.client_id,
                certificate=folder / "certificate.pem",
                key=folder / "key.pem",
                signing_key=folder / "signing.pem",
                ca=self._world.folder / "ca.pem",
                grpc="localhost:1",
                issuer=self.issuer,
            )
        finally:
            server.stop()
            await task

    async def _describe(self, _: Request) -> Response:
        described: dict[str, object] = {
            "issuer": self.issuer,
            "token_endpoint": f"{self.issuer}/token",
            "authorization_endpoint": f"{self.issuer}/approve",
            "pushed_authorization_request_endpoint": f"{self.issuer}/push",
            "revocation_endpoint": f"{self.issuer}/revoke",
        }
        if self._aliased:
            described["mtls_endpoint_aliases"] = {
                name: f"{self.issuer}/mtls{path}"
                for name, path in (
                    ("token_endpoint", ""),
                    ("pushed_authorization_request_endpoint", "/push"),
                    ("revocation_endpoint", "/revoke"),
                )
            }
        return JSONResponse({**described, **self._changed})

    async def _give(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append(
            Asked(
                request.url.path,
                request.url.query,
                form,
                claims_in(form["client_assertion"]),
                claims_in(request.headers.get("dpop")),
            )
        )
        nonce = {"DPoP-Nonce": f"nonce-{len(self.asked)}"}
        if request.url.path.endswith("/push"):
            return JSONResponse({"request_uri": f"urn:{nonce}", "expires_in": 60}, 201, nonce)
        given = {"access_token": "t", "expires_in": 60, **self._answer}
        return JSONResponse(given, headers=nonce)


def claims_in(jwt: str | None) -> Mapping[str, Any]:
    """Return the claims of a JWT, not verified; none without JWT."""
    if jwt is None:
        return {}
    payload = jws.extract_compact(jwt.encode()).payload
    return json.loads(payload)
