"""An installation of several processes under load, and taking authority away from it."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from joserfc.jwk import ECKey

from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import operator_service_pb2_grpc as operator_grpc
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.demo.ports import free_port
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import make_client_certificate
from operators.authority import Authority
from sdk.connection import connect
from sdk.credentials import Credentials
from sdk.tokens import AsyncTokenSource
from tests.authority.hammer import ALL_TOLD, TARGETS, Target, Told, proof
from tests.installation import Gateway, Installation

OFFICE: Final = "office"
READ: Final = "credit.records:read"
REASON: Final = "taken away under load"
_ANSWER_SECONDS: Final = 30


@dataclass(frozen=True)
class Served:
    """One process of the gateway; ``https`` is where its authorisation server answers."""

    gateway: Gateway
    https: str


@dataclass(frozen=True)
class Loaded:
    """Processes of one installation, and a process of clients hammering each of them."""

    installation: Installation
    processes: tuple[Served, ...]
    tokens: Mapping[str, str]
    hammer: Process

    async def told(self) -> dict[tuple[str, int], Told]:
        """Return what became of each operator's client at each process so far."""
        assert self.hammer.stdin is not None
        self.hammer.stdin.write(b"tell\n")
        told = ALL_TOLD.validate_json(await heard(self.hammer))
        return {(one.operator, one.process): one for one in told}

    @asynccontextmanager
    async def office(
        self, process: int
    ) -> AsyncGenerator["operator_grpc.OperatorServiceAsyncStub"]:
        """Give the administrator's methods at one process."""
        credentials = self.processes[process].gateway.credentials(OFFICE)
        async with await connect(credentials) as channel:
            yield operator_grpc.OperatorServiceStub(channel)


async def heard(process: Process) -> bytes:
    """Return the next line a process says."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), _ANSWER_SECONDS)
    assert line, "the process ended; its log says why"
    return line


Withdrawal = Callable[[Loaded, str, int], Coroutine[Any, Any, None]]
"""Takes something away from a client at one process; returns once that is acknowledged."""


async def withdraw_scope(loaded: Loaded, client: str, process: int) -> None:
    """Withdraw the scope the client calls with."""
    (grant_id,) = (
        grant.grant_id
        for grant in authority_of(loaded.installation).grants_of[client]
        if grant.scope == READ
    )
    async with loaded.office(process) as office:
        await office.WithdrawScopes(pb.WithdrawScopesRequest(grant_ids=[grant_id], reason=REASON))


async def suspend_operator(loaded: Loaded, client: str, process: int) -> None:
    """Suspend the client's operator."""
    async with loaded.office(process) as office:
        await office.SuspendOperator(pb.SuspendOperatorRequest(operator_id=client, reason=REASON))


async def remove_client(loaded: Loaded, client: str, process: int) -> None:
    """Remove the client."""
    async with loaded.office(process) as office:
        await office.RemoveClient(
            pb.RemoveClientRequest(client_id=client_id_of(client), reason=REASON)
        )


async def remove_certificate(loaded: Loaded, client: str, process: int) -> None:
    """Replace the client's certificate and keep its key."""
    installation = loaded.installation
    successor = make_client_certificate(
        installation.home.development_ca(), client, installation.clock.now()
    )
    known = authority_of(installation).clients[client_id_of(client)]
    await _rotate(loaded, client, process, known.jwks, successor.thumbprint)


async def remove_key(loaded: Loaded, client: str, process: int) -> None:
    """Replace the key the client signs its assertions with and keep its certificate."""
    known = authority_of(loaded.installation).clients[client_id_of(client)]
    (thumbprint,) = known.certificate_thumbprints
    await _rotate(loaded, client, process, make_assertion_key().jwks, thumbprint)


async def revoke_token(loaded: Loaded, client: str, process: int) -> None:
    """Have the client revoke its own access token (RFC 7009)."""
    served = loaded.processes[process]
    credentials = served.gateway.credentials(client_id_of(client))
    async with httpx.AsyncClient(verify=credentials.tls()) as http:
        response = await http.post(
            f"{served.https}/oauth/revoke",
            data={"token": loaded.tokens[client], **_proof(credentials)},
        )
    assert response.status_code == 200, response.text


async def _rotate(loaded: Loaded, client: str, process: int, jwks: str, thumbprint: str) -> None:
    client_id = client_id_of(client)
    version = authority_of(loaded.installation).clients[client_id].version
    request = pb.RotateClientKeysRequest(
        client_id=client_id,
        jwks=jwks,
        certificate_thumbprints=[thumbprint],
        etag=str(version),
        reason=REASON,
    )
    async with loaded.office(process) as office:
        await office.RotateClientKeys(request)


def _proof(credentials: Credentials) -> dict[str, str]:
    key = ECKey.import_key(credentials.signing_key.read_bytes())
    return proof(credentials.client_id, credentials.issuer, key)


def authority_of(installation: Installation) -> Authority:
    """Return authority as the store has it now."""
    return Authority.empty().advanced(installation.log.since(0))


def client_id_of(operator_id: str) -> str:
    """Return the one client of an operator of these tests."""
    return f"{operator_id}-one"


def enrol(installation: Installation, operators: Iterable[str]) -> None:
    """License operators and register a client of each."""
    for operator_id in operators:
        installation.license(operator_id, f"L-{operator_id.upper()}")
        installation.enrol(client_id_of(operator_id), ClientRole.CLIENT_ROLE_OPERATOR, operator_id)


@asynccontextmanager
async def loaded(
    installation: Installation, operators: Mapping[str, str], processes: int
) -> AsyncGenerator[Loaded]:
    """Serve ``processes`` processes, each hammered by the client of every operator.

    ``operators`` says what each one's client asks for; see `Target`.
    """
    # Known before the processes start, so that all can name one issuer.
    ports = [free_port() for _ in range(processes)]
    issuer = f"https://127.0.0.1:{ports[0]}"
    async with AsyncExitStack() as stack:
        started = await asyncio.gather(
            *(
                stack.enter_async_context(installation.process(https_port=port, issuer=issuer))
                for port in ports
            )
        )
        served = tuple(
            Served(one.gateway, f"https://127.0.0.1:{port}")
            for one, port in zip(started, ports, strict=True)
        )
        tokens = {name: await _token(served[0].gateway, name) for name in operators}
        hammer = await stack.enter_async_context(_hammering(served, operators, tokens))
        yield Loaded(installation, served, tokens, hammer)


async def _token(gateway: Gateway, operator_id: str) -> str:
    source = AsyncTokenSource(gateway.credentials(client_id_of(operator_id)))
    try:
        return await source.token()
    finally:
        await source.close()


@asynccontextmanager
async def _hammering(
    processes: Sequence[Served], operators: Mapping[str, str], tokens: Mapping[str, str]
) -> AsyncGenerator[Process]:
    targets = [
        _target(served, number, name, asks, tokens[name])
        for number, served in enumerate(processes)
        for name, asks in operators.items()
    ]
    hammer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.authority.hammer", stdin=PIPE, stdout=PIPE
    )
    assert hammer.stdin is not None
    try:
        hammer.stdin.write(TARGETS.dump_json(targets) + b"\n")
        assert await heard(hammer) == b"ready\n"
        yield hammer
    finally:
        hammer.kill()
        await hammer.wait()


def _target(served: Served, process: int, name: str, asks: str, token: str) -> Target:
    credentials = served.gateway.credentials(client_id_of(name))
    return Target.model_validate(
        {
            **credentials.model_dump(include={"ca", "certificate", "key", "signing_key", "issuer"}),
            "operator": name,
            "client": credentials.client_id,
            "process": process,
            "asks": asks,
            "address": f"{served.https}/oauth/token" if asks == "token" else credentials.grpc,
            "token": token,
        }
    )
