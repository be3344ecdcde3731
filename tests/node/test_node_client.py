"""A Node client gets a bound token, calls over mutual TLS and reads answers and refusals.

The token endpoint is the gateway's own. The gRPC side is a server of this test, which
checks what arrives on the wire; the whole gateway is called by the tests of serving.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

from creditgate.refusal import DOMAIN
from creditgate.v1.credit_record_service_pb2 import (
    GetSubjectRecordsRequest,
    GetSubjectRecordsResponse,
)
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authenticate.claims import CERTIFICATE, Confirmation
from gateway.authenticate.token import TokenVerifier
from tests.node.conftest import NodeClient
from tests.oauth.world import AUDIENCE, CLIENT, READ, World
from tests.stores import SqliteStores, engines_of

SUBJECT = "910000001234567ABX"
SCRIPT = "get_subject_records.mjs"


@dataclass
class Wire:
    """Keeps what arrived; answers, or refuses with ``refusal``."""

    refusal: status_pb2.Status | None = None
    requests: list[GetSubjectRecordsRequest] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def get_subject_records(
        self,
        request: GetSubjectRecordsRequest,
        context: grpc.aio.ServicerContext[GetSubjectRecordsRequest, GetSubjectRecordsResponse],
    ) -> GetSubjectRecordsResponse:
        """Answer with one record, or refuse."""
        self.requests.append(request)
        metadata = dict(context.invocation_metadata() or ())
        self.tokens.append(str(metadata["authorization"]).removeprefix("Bearer "))
        if self.refusal is not None:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                self.refusal.message,
                (("grpc-status-details-bin", self.refusal.SerializeToString()),),
            )
        answer = GetSubjectRecordsResponse()
        answer.records.add(subject=request.subject, content=bytes((0, 255)))
        answer.receipt.charged_micro_yuan = (1 << 60) + 1
        return answer

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server serves this by."""
        method = grpc.unary_unary_rpc_method_handler(
            self.get_subject_records,
            request_deserializer=GetSubjectRecordsRequest.FromString,
            response_serializer=GetSubjectRecordsResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(
            "creditgate.v1.CreditRecordService", {"GetSubjectRecords": method}
        )


@dataclass(frozen=True)
class Served:
    """A written serve.json and what stands behind it."""

    file: Path
    issuer: str
    wire: Wire
    world: World


@pytest.fixture
async def served(sqlite_stores: SqliteStores, tmp_path: Path) -> AsyncIterator[Served]:
    """A token endpoint and a gRPC server on loopback."""
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        world = World(tmp_path, engines.authority)
        wire = Wire()
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((wire.handler(),))
        port = server.add_secure_port("127.0.0.1:0", server_tls(tmp_path))
        await server.start()
        async with world.serving() as issuer:
            file = tmp_path / "serve.json"
            file.write_text(json.dumps(serve_json(world, f"127.0.0.1:{port}", issuer)))
            yield Served(file, issuer, wire, world)
        await server.stop(None)


def server_tls(folder: Path) -> grpc.ServerCredentials:
    """Return TLS settings that ask every client for a certificate of the test CA."""
    key, certificate, ca = (
        (folder / name).read_bytes() for name in ("server.key", "server.pem", "ca.pem")
    )
    return grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=ca, require_client_auth=True
    )


def serve_json(world: World, address: str, issuer: str) -> dict[str, object]:
    """Return what a served gateway writes down for its clients."""
    identity = world.identity
    (key,) = json.loads(identity.assertion_key.jwks)["keys"]
    client = {
        "certificate": str(identity.folder / "certificate.pem"),
        "key": str(identity.folder / "key.pem"),
        "signing_key": str(identity.folder / "signing.pem"),
        "signing_key_id": key["kid"],
        "scopes": [READ],
    }
    return {
        "grpc": address,
        "https": issuer,
        "ca": str(world.folder / "ca.pem"),
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth/token",
        "clients": {CLIENT: client},
    }


async def test_node_calls_with_a_token_bound_to_its_certificate(
    served: Served, node_client: NodeClient
) -> None:
    done = await asyncio.to_thread(
        node_client, SCRIPT, served.file, SUBJECT, "PURPOSE_CREDIT_APPROVAL"
    )
    assert done.returncode == 0, done.stderr
    (request,), (token,) = served.wire.requests, served.wire.tokens
    assert request.subject == SUBJECT
    assert request.purpose == Purpose.PURPOSE_CREDIT_APPROVAL
    assert len(request.request_id) == 36
    verified = TokenVerifier(served.issuer, AUDIENCE).verify(
        token,
        Confirmation(CERTIFICATE, served.world.identity.certificate.thumbprint),
        served.world.clock.now(),
        served.world.snapshot(),
    )
    assert verified.client_id == CLIENT
    assert READ in verified.scopes


async def test_node_prints_the_answer_to_the_last_bit(
    served: Served, node_client: NodeClient
) -> None:
    done = await asyncio.to_thread(node_client, SCRIPT, served.file, SUBJECT)
    answer = json.loads(done.stdout)
    assert answer["records"] == [{"subject": SUBJECT, "content": "AP8="}]
    assert answer["receipt"]["chargedMicroYuan"] == str((1 << 60) + 1)


async def test_node_prints_why_a_call_is_refused(served: Served, node_client: NodeClient) -> None:
    served.wire.refusal = status_pb2.Status(code=code_pb2.PERMISSION_DENIED, message="No licence.")
    served.wire.refusal.details.add().Pack(
        error_details_pb2.ErrorInfo(reason="NO_LICENCE", domain=DOMAIN)
    )
    violations = error_details_pb2.BadRequest()
    violations.field_violations.add(field="subject", description="18 characters")
    served.wire.refusal.details.add().Pack(violations)
    done = await asyncio.to_thread(node_client, SCRIPT, served.file, SUBJECT)
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout) == {
        "status": "PERMISSION_DENIED",
        "message": "No licence.",
        "reason": "NO_LICENCE",
        "violations": [{"field": "subject", "description": "18 characters"}],
    }


async def test_node_says_when_it_gets_no_token(served: Served, node_client: NodeClient) -> None:
    other = served.world.newcomer("stranger")
    (served.world.identity.folder / "signing.pem").write_bytes(other.assertion_key.key)
    done = await asyncio.to_thread(node_client, SCRIPT, served.file, SUBJECT)
    assert done.returncode == 1
    assert done.stderr.startswith("no token, HTTP 4")
    assert "invalid_client" in done.stderr
    assert not served.wire.requests
