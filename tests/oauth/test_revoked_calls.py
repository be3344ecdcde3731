"""A revoked token stops the very next call, and whatever of an earlier one still goes on (G4)."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from gateway.meter.tables import USAGE
from sdk.connection import connect
from sdk.refusals import explain
from sdk.tokens import AsyncTokenSource, TokenRefused
from tests.installation import (
    OPERATOR_CLIENT,
    PUBLISHER,
    PURPOSE,
    Gateway,
    Installation,
    company,
    eventually,
)
from tests.oauth.assertions import ASSERTION_TYPE, signed
from tests.server.calls import draft, publish, query


@asynccontextmanager
async def calling(gateway: Gateway) -> AsyncGenerator[tuple[grpc.aio.Channel, str]]:
    """Give a channel of the operator's client and the token it calls with."""
    source = AsyncTokenSource(gateway.credentials())

    async def given() -> bool:
        try:
            return bool(await source.token())
        except TokenRefused as refused:
            # While another gateway starts in this process, a busy machine may let its lease end.
            assert refused.error == "temporarily_unavailable"
            return False

    await eventually(given)
    async with await connect(gateway.credentials(), tokens=source) as channel:
        yield channel, await source.token()


async def give_up(gateway: Gateway, token: str) -> None:
    """Have the client revoke its token."""
    credentials = gateway.credentials()
    now = int(time.time())
    claims = {
        "iss": OPERATOR_CLIENT,
        "sub": OPERATOR_CLIENT,
        "aud": credentials.issuer,
        "jti": secrets.token_urlsafe(12),
        "iat": now,
        "exp": now + 60,
    }
    key = ECKey.import_key(credentials.signing_key.read_bytes())
    form = {
        "token": token,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": signed(claims, key, alg="ES256"),
    }
    async with httpx.AsyncClient(verify=credentials.tls()) as http:
        answer = await http.post(f"{credentials.issuer}/oauth/revoke", data=form)
    assert answer.status_code == 200, answer.text


async def reason(awaitable: Any) -> str | None:
    """Return why a call is refused; None when it is served."""
    try:
        await awaitable
    except grpc.aio.AioRpcError as error:
        return explain(error).reason
    return None


async def test_every_gateway_of_a_store_refuses_a_token_within_a_second_of_its_revocation(
    installation: Installation,
) -> None:
    async with (
        installation.running() as first,
        installation.running(issuer=first.running.issuer) as second,
        calling(first) as (channel, token),
        calling(first) as (untouched, _),
    ):
        credentials = first.credentials().model_copy(update={"grpc": second.running.grpc})
        source = AsyncTokenSource(first.credentials())
        held = await source.token()
        async with await connect(credentials, tokens=source) as elsewhere:
            assert await reason(query(channel)) is None
            assert await reason(query(elsewhere)) is None
            for revoked, asked in ((token, channel), (held, elsewhere)):
                await give_up(first, revoked)
                durable = time.monotonic()
                while (told := await reason(query(asked))) is None:
                    assert time.monotonic() < durable + 1.0
                assert told == "TOKEN_REVOKED"
        assert await reason(query(untouched)) is None


async def test_an_open_stream_ends_with_its_token(sqlite_store: tuple[str, Path]) -> None:
    installation = Installation(*sqlite_store, settings={"chunk_subjects": 1})
    installation.furnish()
    request = records_pb.BatchGetSubjectRecordsRequest(
        subjects=[company(number) for number in range(5_000)], purpose=PURPOSE, request_id="r-1"
    )
    async with installation.running() as gateway, calling(gateway) as (channel, token):
        answers = aiter(
            records_grpc.CreditRecordServiceStub(channel).BatchGetSubjectRecords(request)
        )
        await anext(answers)
        await give_up(gateway, token)

        async def read_on() -> None:
            async for _ in answers:
                pass

        assert await reason(read_on()) == "TOKEN_REVOKED"
    installation.close()


async def test_an_answer_that_waited_to_be_metered_is_refused_once_its_token_is_revoked(
    embedded: Installation,
) -> None:
    async with embedded.running() as gateway:
        async with gateway.channel(PUBLISHER) as publisher:
            await publish(publisher, [draft("r-1", company(1))])
        async with calling(gateway) as (channel, token):
            with embedded.engines.records.begin():
                # Nothing can be metered while another holds the store's write lock.
                asked = asyncio.create_task(reason(query(channel)))
                await asyncio.sleep(0.2)
                await give_up(gateway, token)
                await asyncio.sleep(0.4)
            assert await asked == "TOKEN_REVOKED"
    with embedded.engines.records.connect() as connection:
        assert not list(connection.execute(select(USAGE)))


@pytest.mark.parametrize("revoked", [True, False])
async def test_revocations_outlive_the_process_that_made_them(
    embedded: Installation, revoked: bool
) -> None:
    async with embedded.running() as gateway:
        source = AsyncTokenSource(gateway.credentials())
        token = await source.token()
        if revoked:
            await give_up(gateway, token)
    port = int(gateway.running.issuer.rpartition(":")[2])
    async with embedded.running(https_port=port) as again:
        credentials = again.credentials()
        async with await connect(credentials, tokens=source) as channel:
            assert (await reason(query(channel)) == "TOKEN_REVOKED") is revoked
