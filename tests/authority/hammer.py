"""A process of clients under load: ``python -m tests.authority.hammer``.

Reads its targets as one JSON line and says "ready" once each has been served. Every target
is then asked over and over. At each line of input it prints what became of each; it ends
with its input. Instants are of the monotonic clock that all processes of a host share.
"""

import asyncio
import secrets
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal
from uuid import uuid4

import grpc
import httpx
import uvloop
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import BaseModel, TypeAdapter

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from sdk.refusals import explain
from tests.installation import PURPOSE, company

READY_SECONDS = 20
CALL_SECONDS = 1.5
# What is refused is asked again at once, but leaves the machine to what is served.
REFUSED_PAUSE = 0.01


class Target(BaseModel):
    """One operator's client at one process of the gateway.

    ``asks`` is what it does: "records" calls GetSubjectRecords at ``address`` (host:port)
    with ``token``; "token" asks the token endpoint ``address`` (URL) of ``issuer`` for a
    token, each time with a new assertion. Paths are PEM files.
    """

    operator: str
    client: str
    process: int
    asks: Literal["records", "token"]
    address: str
    ca: Path
    certificate: Path
    key: Path
    token: str = ""
    issuer: str = ""
    signing_key: Path = Path()


class Told(BaseModel):
    """What became of a target so far.

    ``last`` is when the client began the call that was answered last (monotonic clock),
    ``reason`` why its newest call was refused, "" when it was answered.
    """

    operator: str
    process: int
    answered: int = 0
    refused: int = 0
    last: float = 0.0
    reason: str = "not asked yet"


TARGETS = TypeAdapter(list[Target])
ALL_TOLD = TypeAdapter(list[Told])


async def records_asker(target: Target, stack: AsyncExitStack) -> Callable[[], Awaitable[str]]:
    """Return what makes one call and returns why it was refused, "" when it was answered."""
    tls = grpc.ssl_channel_credentials(
        target.ca.read_bytes(), target.key.read_bytes(), target.certificate.read_bytes()
    )
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = await stack.enter_async_context(
        grpc.aio.secure_channel(target.address, tls, options=options)
    )
    metadata = (("authorization", f"Bearer {target.token}"),)
    stub = records_grpc.CreditRecordServiceStub(channel)

    async def ask() -> str:
        request = records_pb.GetSubjectRecordsRequest(
            subject=company(1), purpose=PURPOSE, request_id=str(uuid4())
        )
        try:
            await stub.GetSubjectRecords(request, metadata=metadata, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            told = explain(error)
            return told.reason or told.status
        return ""

    return ask


def proof(client: str, issuer: str, key: ECKey) -> dict[str, str]:
    """Return the form fields that authenticate a client by private_key_jwt."""
    now = int(time.time())
    claims = {
        "iss": client,
        "sub": client,
        "aud": issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + 60,
    }
    return {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "ES256"}, claims, key),
    }


async def token_asker(target: Target, stack: AsyncExitStack) -> Callable[[], Awaitable[str]]:
    """Return what asks for one token and returns the error, "" when it was given."""
    tls = ssl.create_default_context(cafile=target.ca)
    tls.load_cert_chain(target.certificate, target.key)
    http = await stack.enter_async_context(httpx.AsyncClient(verify=tls, timeout=CALL_SECONDS))
    key = ECKey.import_key(target.signing_key.read_bytes())

    async def ask() -> str:
        form = {
            "grant_type": "client_credentials",
            **proof(target.client, target.issuer, key),
        }
        try:
            response = await http.post(target.address, data=form)
        except httpx.HTTPError as error:
            return type(error).__name__
        return "" if response.is_success else response.json()["error"]

    return ask


ASKERS = {"records": records_asker, "token": token_asker}


async def hammer(ask: Callable[[], Awaitable[str]], told: Told, served: asyncio.Event) -> None:
    """Ask without pause; set ``served`` at the first answer."""
    while True:
        began = time.monotonic()
        told.reason = await ask()
        if told.reason:
            told.refused += 1
            await asyncio.sleep(REFUSED_PAUSE)
        else:
            told.answered += 1
            told.last = began
            served.set()


async def main() -> None:
    """Hammer until standard input ends."""
    targets = TARGETS.validate_json(sys.stdin.readline())
    all_told = [Told(operator=target.operator, process=target.process) for target in targets]
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        served = [asyncio.Event() for _ in targets]
        asking = [
            group.create_task(hammer(await ASKERS[target.asks](target, stack), told, event))
            for target, told, event in zip(targets, all_told, served, strict=True)
        ]
        try:
            async with asyncio.timeout(READY_SECONDS):
                for event in served:
                    await event.wait()
        except TimeoutError:
            raise SystemExit(f"not served: {all_told}") from None
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(ALL_TOLD.dump_json(all_told).decode(), flush=True)
        for task in asking:
            task.cancel()


if __name__ == "__main__":
    uvloop.run(main())
