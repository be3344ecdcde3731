"""Clients whose tokens are bound to a key, calling over a proxy's connection (RFC 9449)."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
from joserfc.jwk import ECKey

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import make_client_certificate
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant
from operators.roles import scopes_of_role
from sdk.credentials import KeyCredentials
from sdk.refusals import Refusal, explain
from sdk.tokens import AsyncTokenSource
from tests.installation import OPERATOR_ID, PURPOSE, Gateway, Installation, company
from tests.oauth.proofs import proof_of

GET = "/creditgate.v1.CreditRecordService/GetSubjectRecords"
Metadata = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class KeyHolder:
    """A client with no certificate of its own, and the files of its keys."""

    installation: Installation
    client_id: str
    folder: Path

    @classmethod
    def enrol(
        cls,
        installation: Installation,
        client_id: str = "alpha-keyed",
        role: ClientRole.ValueType = ClientRole.CLIENT_ROLE_OPERATOR,
    ) -> "KeyHolder":
        """Register it: for operator alpha, or with all scopes of another role."""
        now = installation.clock.now()
        folder = installation.home.root / "key-holders" / client_id
        ca = installation.home.development_ca()
        make_client_certificate(ca, "proxy", now).write(folder / "proxy.pem", folder / "proxy.key")
        assertion_key = make_assertion_key()
        (folder / "signing.pem").write_bytes(assertion_key.key)
        (folder / "dpop.pem").write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
        of_operator = role == ClientRole.CLIENT_ROLE_OPERATOR
        client = Client(
            client_id=client_id,
            role=role,
            operator_id=OPERATOR_ID if of_operator else "",
            jwks=assertion_key.jwks,
            binding="dpop",
            certificate_thumbprints=frozenset(),
        )
        installation.keep(CLIENT, client_id, client)
        for number, scope in enumerate(() if of_operator else sorted(scopes_of_role(role))):
            grant_id = f"{client_id}-{number}"
            grant = ScopeGrant(
                grant_id=grant_id, grantee=client_id, scope=scope, valid_from=now - 1
            )
            installation.keep(SCOPE_GRANT, grant_id, grant)
        return cls(installation, client_id, folder)

    @property
    def key(self) -> ECKey:
        """The key its tokens are bound to."""
        return ECKey.import_key((self.folder / "dpop.pem").read_bytes())

    def credentials(self, gateway: Gateway, **changed: Any) -> KeyCredentials:
        """Return its credentials, with the certificate of a proxy."""
        settings = {
            "client_id": self.client_id,
            "signing_key": self.folder / "signing.pem",
            "ca": self.installation.home.ca,
            "grpc": gateway.running.grpc,
            "issuer": gateway.running.issuer,
            "dpop_key": self.folder / "dpop.pem",
            "certificate": self.folder / "proxy.pem",
            "key": self.folder / "proxy.key",
            **changed,
        }
        return KeyCredentials.model_validate(settings)

    async def token(self, gateway: Gateway) -> str:
        """Return an access token, asked for without any certificate."""
        tokens = AsyncTokenSource(self.credentials(gateway, certificate=None, key=None))
        try:
            return await tokens.token()
        finally:
            await tokens.close()

    def proof(self, uri: str, token: str, nonce: str | None, **changed: Any) -> str:
        """Return a proof for a call, as of now."""
        return proof_of(self.key, uri, int(time.time()), token, nonce=nonce, **changed)

    @asynccontextmanager
    async def plain_channel(self, gateway: Gateway) -> AsyncGenerator[grpc.aio.Channel]:
        """Give the proxy's connection, which adds nothing to calls."""
        tls = grpc.ssl_channel_credentials(
            self.installation.home.ca.read_bytes(),
            (self.folder / "proxy.key").read_bytes(),
            (self.folder / "proxy.pem").read_bytes(),
        )
        async with grpc.aio.secure_channel(gateway.running.grpc, tls) as channel:
            yield channel


def question() -> bytes:
    """Return a question that is answered, however often it is asked."""
    return records_pb.GetSubjectRecordsRequest(
        subject=company(1), purpose=PURPOSE, request_id=str(uuid4())
    ).SerializeToString()


async def ask(
    channel: grpc.aio.Channel, metadata: Metadata, method: str = GET
) -> tuple[Refusal | None, str | None]:
    """Call with metadata as they are; return the refusal, if any, and the nonce given."""
    call = channel.unary_unary(method)(question(), metadata=tuple(metadata), timeout=10)
    refusal: Refusal | None = None
    try:
        await call
    except grpc.aio.AioRpcError as error:
        refusal = explain(error)
    nonces = [str(value) for key, value in await call.trailing_metadata() if key == "dpop-nonce"]
    assert len(nonces) <= 1
    return refusal, nonces[0] if nonces else None


async def first_nonce(channel: grpc.aio.Channel) -> str:
    """Return the nonce that any answer to a proof brings."""
    _, nonce = await ask(channel, [("authorization", "DPoP x"), ("dpop", "x")])
    assert nonce is not None
    return nonce
