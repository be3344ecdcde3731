"""A small installation: authority, keys, certificates and servers on loopback."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from creditgate.uscc import check_character
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.oauth.app import build_app
from gateway.oauth.connection import bound_socket, build_http_server, tls_context
from gateway.oauth.consent_request import TermsFaults
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.dpop_nonces import DpopNonces
from gateway.oauth.keys import SigningKeyBook
from gateway.oauth.replay import ReplayCache, SqlReplayCache
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.oauth.revocations import RevocationBook
from gateway.oauth.rfc8414 import Endpoints
from gateway.oauth.rotation import issue_signing_key
from gateway.oauth.signing import SigningKeys
from gateway.pki.client_keys import AssertionKey, make_assertion_key
from gateway.pki.development import (
    Issued,
    make_ca,
    make_client_certificate,
    make_server_certificate,
)
from operators.authority import Authority
from operators.kept import Kept
from operators.log import Draft
from operators.model import Client, Operator, ScopeGrant
from operators.sql import SqlAuthorityLog

AUDIENCE = "https://gateway.test/credit"
TOKEN_SECONDS = 240
GRANT_SECONDS = 86_400
READ = "credit.records:read"
BROWSE = "catalogue:read"
CLIENT = "alpha-one"
OPERATOR = "alpha"
ADMINISTRATOR = "office"
Thing = Operator | Client | ScopeGrant
on_both_stores = pytest.mark.usefixtures("stores")
"""For a test that asks what is written, told or decided by the store, not by the server."""


@dataclass
class SetClock:
    """A clock that stands where it is set (seconds, UTC)."""

    seconds: int

    def now(self) -> int:
        return self.seconds


@dataclass(frozen=True)
class Snapshot:
    """Authority as of one moment."""

    authority: Authority
    signing_keys: SigningKeyBook
    revocations: RevocationBook = field(default_factory=RevocationBook.empty)


@dataclass(frozen=True)
class Identity:
    """A client's own keys and the files they lie in."""

    client_id: str
    certificate: Issued
    assertion_key: AssertionKey
    folder: Path

    @classmethod
    def make(cls, client_id: str, ca: Issued, folder: Path, now: int) -> "Identity":
        certificate = make_client_certificate(ca, client_id, now)
        return cls(client_id, certificate, make_assertion_key(), folder).written()

    def written(self) -> "Identity":
        """Write the keys into the folder."""
        self.certificate.write(self.folder / "certificate.pem", self.folder / "key.pem")
        (self.folder / "signing.pem").write_bytes(self.assertion_key.key)
        return self


@dataclass(frozen=True)
class Keys:
    """The certificates and keys that every world starts with: to make them takes as long as all
    else in it."""

    ca: Issued
    server: Issued
    clients: Mapping[str, tuple[Issued, AssertionKey]]

    @classmethod
    @cache
    def made(cls) -> "Keys":
        """Return those of this process, valid from its start for more than a year."""
        now = int(time.time())
        ca = make_ca("test root", now)
        clients = {
            client_id: (make_client_certificate(ca, client_id, now), make_assertion_key())
            for client_id in (CLIENT, ADMINISTRATOR)
        }
        return cls(ca, make_server_certificate(ca, now), clients)

    def identity(self, client_id: str, folder: Path) -> Identity:
        """Return a client's own keys, written into a folder."""
        return Identity(client_id, *self.clients[client_id], folder / client_id).written()


def client_of(identity: Identity, role: ClientRole.ValueType, operator_id: str) -> Client:
    """Return the client that has an identity's keys."""
    return Client(
        client_id=identity.client_id,
        role=role,
        operator_id=operator_id,
        jwks=identity.assertion_key.jwks,
        certificate_thumbprints=frozenset({identity.certificate.thumbprint}),
    )


@dataclass
class World:
    """One operator with one client, and an administrator's client."""

    folder: Path
    engine: Engine
    clock: SetClock = field(default_factory=lambda: SetClock(int(time.time())))
    rotate_before: int = 0
    terms_faults: TermsFaults | None = None

    def __post_init__(self) -> None:
        now = self.clock.now()
        made = Keys.made()
        self.ca = made.ca
        self.ca.write(self.folder / "ca.pem", self.folder / "ca.key")
        made.server.write(self.folder / "server.pem", self.folder / "server.key")
        self.tls = tls_context(
            self.folder / "server.pem", self.folder / "server.key", self.folder / "ca.pem"
        )
        self.log = SqlAuthorityLog(self.engine)
        self.keys = SigningKeys(self.folder / "keys")
        self.nonces = DpopNonces.kept_in(self.folder / "keys" / "dpop-nonces.key")
        self.identity = made.identity(CLIENT, self.folder)
        self.administrator = made.identity(ADMINISTRATOR, self.folder)
        self._open: dict[Issued | None, httpx.AsyncClient] = {}
        self._serving = 0
        self.issue_key()
        base = "910000001234567AB"
        operator = Operator(
            operator_id=OPERATOR,
            display_name="Alpha Invented Credit",
            uscc=base + check_character(base),
            state=OperatorState.OPERATOR_STATE_ACTIVE,
        )
        clients = (
            client_of(self.identity, ClientRole.CLIENT_ROLE_OPERATOR, OPERATOR),
            client_of(self.administrator, ClientRole.CLIENT_ROLE_ADMINISTRATOR, ""),
        )
        grants = (
            ScopeGrant(grant_id=grant_id, grantee=grantee, scope=scope, valid_from=now)
            for grant_id, grantee, scope in (
                ("grant-read", OPERATOR, READ),
                ("grant-attest", OPERATOR, BROWSE),
                ("grant-office", ADMINISTRATOR, "operators:create"),
            )
        )
        self._append(
            Draft("operator", OPERATOR, 0, operator.as_document()),
            *(Draft("client", client.client_id, 0, client.as_document()) for client in clients),
            *(Draft("scope_grant", grant.grant_id, 0, grant.as_document()) for grant in grants),
        )

    def newcomer(self, client_id: str) -> Identity:
        """Return an identity certified by the CA, registered nowhere yet."""
        return Identity.make(client_id, self.ca, self.folder / client_id, self.clock.now())

    def issue_key(self) -> str:
        """Issue a signing key."""
        return issue_signing_key(
            self.log,
            self.keys,
            algorithm="ES256",
            changed_by=ADMINISTRATOR,
            now=self.clock.now(),
            reason="test",
        )

    def record(self, kind: str, id_: str, document: Kept) -> None:
        """Log the next version of a thing."""
        history = self.log.history(kind=kind, id=id_, after=0, limit=1000)
        self._append(Draft(kind, id_, len(history), document.as_document()))

    def _append(self, *drafts: Draft) -> None:
        self.log.append(
            drafts, changed_by=ADMINISTRATOR, changed_at=self.clock.now(), reason="test"
        )

    def register(self, identity: Identity, role: ClientRole.ValueType, operator_id: str) -> None:
        """Register a client with its keys."""
        self.record("client", identity.client_id, client_of(identity, role, operator_id))

    def grant(self, grant_id: str, grantee: str, scope: str, until: int | None = None) -> None:
        """Grant a scope from now on."""
        self.record(
            "scope_grant",
            grant_id,
            ScopeGrant(
                grant_id=grant_id,
                grantee=grantee,
                scope=scope,
                valid_from=self.clock.now(),
                valid_until=until,
            ),
        )

    def change(self, kind: str, id_: str, **fields: object) -> None:
        """Change some fields of a thing that exists."""
        authority = self.snapshot().authority
        things: Mapping[str, Mapping[str, Thing]] = {
            "operator": authority.operators,
            "client": authority.clients,
            "scope_grant": authority.grants,
        }
        self.record(kind, id_, things[kind][id_].model_copy(update=fields))

    def snapshot(self) -> Snapshot:
        """Return authority as of now."""
        changes = self.log.since(0)
        revoked = SqlRevocationLog(self.engine).since(0)
        return Snapshot(
            Authority.empty().advanced(changes),
            SigningKeyBook.empty().advanced(changes),
            RevocationBook.empty().advanced(revoked, self.clock.now()),
        )

    def context(self, issuer: str, replay: ReplayCache | None = None) -> AuthorizationContext:
        """Return what a server of this world stands on."""
        return AuthorizationContext(
            authority=self.snapshot,
            clock=self.clock,
            keys=self.keys,
            replay=replay or SqlReplayCache(self.engine),
            endpoints=Endpoints(issuer),
            audience=AUDIENCE,
            token_seconds=TOKEN_SECONDS,
            grant_seconds=GRANT_SECONDS,
            rotate_before=self.rotate_before,
            engine=self.engine,
            nonces=self.nonces,
            terms_faults=self.terms_faults,
        )

    @asynccontextmanager
    async def serving(self, replay: ReplayCache | None = None) -> AsyncGenerator[str]:
        """Run a server and give its issuer URL."""
        bound = bound_socket("127.0.0.1", 0)
        issuer = f"https://localhost:{bound.getsockname()[1]}"
        app = build_app(self.context(issuer, replay))
        server = build_http_server(app, self.tls)
        task = asyncio.create_task(server.serve(sockets=[bound]))
        self._serving += 1
        try:
            yield issuer
        finally:
            self._serving -= 1
            if not self._serving:
                await self._close()
            server.stop()
            await task

    async def _close(self) -> None:
        while self._open:
            await self._open.popitem()[1].aclose()

    def http(self, certificate: Issued | None) -> httpx.AsyncClient:
        """Return the client that shows ``certificate``, open while a server runs: a connection
        takes four times as long as a request."""
        assert self._serving
        if certificate not in self._open:
            self._open[certificate] = httpx.AsyncClient(verify=self.trust(certificate))
        return self._open[certificate]

    def trust(self, certificate: Issued | None) -> ssl.SSLContext:
        """Return a client's TLS settings, with or without a certificate of its own."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if certificate is not None:
            certificate.write(self.folder / "shown.pem", self.folder / "shown.key")
            context.load_cert_chain(self.folder / "shown.pem", self.folder / "shown.key")
        return context

    async def post(
        self,
        issuer: str,
        form: Mapping[str, Any],
        certificate: Issued | None,
        path: str = "/oauth/token",
    ) -> httpx.Response:
        """Ask an endpoint over a connection that shows ``certificate``."""
        return await self.http(certificate).post(f"{issuer}{path}", data=dict(form))
