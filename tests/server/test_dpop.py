"""Calls with tokens bound to a key: one proof each, used once everywhere (RFC 9449)."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import text

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import disclosure_service_pb2_grpc as disclosure_grpc
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.oauth.dpop_nonces import DpopNonces
from operators.model import CLIENT
from sdk.connection import connect
from sdk.deliveries import Delivery
from sdk.refusals import explain
from sdk.tokens import AsyncTokenSource, TokenRefused, TokenSource
from tests.examples import rarely_on_postgresql, rarely_on_sqlite
from tests.installation import PURPOSE, Gateway, Installation, company, eventually, furnished
from tests.oauth.proofs import new_key, proof_of
from tests.server.calls import draft, publish, query
from tests.server.delivering import ALL, SETTINGS, Stored, asked, furnish
from tests.server.keyed import GET, KeyHolder, Metadata, ask, first_nonce
from tests.server.test_transport import MovableClock
from tests.stores import SqliteStores

PUBLISHER_ROLE = ClientRole.CLIENT_ROLE_PUBLISHER
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(sqlite_stores: SqliteStores) -> AsyncIterator[Gateway]:
    """One gateway for the tests that are of their own clients alone."""
    with furnished(sqlite_stores) as installation:
        async with installation.running() as gateway:
            yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def holder(standing: Gateway) -> KeyHolder:
    """A client of the test's own, of which the gateway has heard."""
    enrolled = KeyHolder.enrol(standing.installation, f"alpha-{uuid4().hex}")

    async def is_known() -> bool:
        try:
            return bool(await enrolled.token(standing))
        except TokenRefused:
            return False

    await eventually(is_known)
    return enrolled


@rarely_on_postgresql
async def test_client_behind_a_proxy_is_served_by_its_key(installation: Installation) -> None:
    operator = KeyHolder.enrol(installation)
    publisher = KeyHolder.enrol(installation, "keyed-publisher", PUBLISHER_ROLE)
    async with (
        installation.running() as gateway,
        await connect(publisher.credentials(gateway)) as publishing,
        await connect(operator.credentials(gateway)) as asking,
    ):
        await publish(publishing, [draft("r-1", company(1))])
        await publish(publishing, [draft("r-2", company(1))])
        for _ in range(2):
            answer = await query(asking, company(1))
            assert len(answer.records) == 2
        request = records_pb.BatchGetSubjectRecordsRequest(
            subjects=[company(1), company(2)], purpose=PURPOSE, request_id="batch-1"
        )
        batch = records_grpc.CreditRecordServiceStub(asking).BatchGetSubjectRecords(request)
        assert len([answer async for answer in batch]) == 1


async def test_stream_of_answers_may_be_a_clients_first_call(
    standing: Gateway, holder: KeyHolder
) -> None:
    request = records_pb.BatchGetSubjectRecordsRequest(
        subjects=[company(1)], purpose=PURPOSE, request_id="batch-1"
    )
    async with await connect(holder.credentials(standing)) as channel:
        batch = records_grpc.CreditRecordServiceStub(channel).BatchGetSubjectRecords(request)
        assert len([answer async for answer in batch]) == 1


async def test_delivery_is_opened_and_acknowledged_by_a_clients_first_call(
    embedded: Installation,
) -> None:
    holder = KeyHolder.enrol(embedded)
    async with embedded.running(**SETTINGS) as gateway:
        await furnish(gateway)
        async with (
            await connect(holder.credentials(gateway)) as channel,
            aclosing(Delivery(channel, asked()).records()) as answers,
        ):
            came = [record async for each in answers for record in each.records]
    assert len(came) == ALL
    assert len(Stored(embedded).net) == ALL


@rarely_on_sqlite
async def test_two_processes_use_a_proof_once(installation: Installation) -> None:
    holder = KeyHolder.enrol(installation)
    url = "https://records.test/api"
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(installation.process(grpc_url=url))
        # A token is for the gateways of its issuer.
        issuer = one.gateway.running.issuer
        two = await stack.enter_async_context(installation.process(grpc_url=url, issuer=issuer))
        gateways = [one.gateway, two.gateway]
        channels = [
            await stack.enter_async_context(holder.plain_channel(gateway)) for gateway in gateways
        ]
        token = await holder.token(gateways[0])
        # The nonce of the one process is good at the other.
        nonce = await first_nonce(channels[0])
        proof = holder.proof(url + GET, token, nonce)
        shown = [("authorization", f"DPoP {token}"), ("dpop", proof)]
        first, _ = await ask(channels[0], shown)
        again = [await ask(channel, shown) for channel in channels]
    assert first is None
    assert again[0][0] is not None
    assert again[0][0].reason == "TOKEN_PROOF_INVALID"
    assert again[1][0] is not None
    assert again[1][0].reason == "TOKEN_PROOF_INVALID"


async def _refused(holder: KeyHolder, gateway: Gateway, metadata: Metadata) -> str:
    async with holder.plain_channel(gateway) as channel:
        refusal, _ = await ask(channel, metadata)
    assert refusal is not None
    return f"{refusal.status} {refusal.reason}"


async def test_token_works_only_as_what_it_is_and_with_its_own_proof(
    standing: Gateway, holder: KeyHolder
) -> None:
    async with holder.plain_channel(standing) as channel:
        token = await holder.token(standing)
        certified = AsyncTokenSource(standing.credentials())
        other = await certified.token()
        await certified.close()
        nonce = await first_nonce(channel)
        uri = f"https://{standing.running.grpc}{GET}"

        def shown(token: str, scheme: str = "DPoP", **changed: Any) -> list[tuple[str, str]]:
            proof = holder.proof(uri, token, changed.pop("nonce", nonce), **changed)
            return [("authorization", f"{scheme} {token}"), ("dpop", proof)]

        stranger = proof_of(new_key(), uri, standing.installation.clock.now(), token, nonce=nonce)
        bound = ("authorization", f"DPoP {token}")
        refused: dict[str, tuple[Metadata, str]] = {
            "bound to a key, as Bearer": (
                [("authorization", f"Bearer {token}")],
                "TOKEN_NOT_YOURS",
            ),
            "as Bearer with its proof": (shown(token, "Bearer"), "TOKEN_PROOF_INVALID"),
            "bound to a certificate, as DPoP": (shown(other), "TOKEN_NOT_YOURS"),
            "no proof": ([bound], "TOKEN_PROOF_INVALID"),
            "two proofs": ([*shown(token), shown(token)[1]], "TOKEN_PROOF_INVALID"),
            "no proof but text": ([bound, ("dpop", "x")], "TOKEN_PROOF_INVALID"),
            "another key": ([bound, ("dpop", stranger)], "TOKEN_NOT_YOURS"),
            "another token": ([bound, shown(other)[1]], "TOKEN_PROOF_INVALID"),
            "no token in the proof": (shown(token, ath=None), "TOKEN_PROOF_INVALID"),
            "another verb": (shown(token, htm="GET"), "TOKEN_PROOF_INVALID"),
            "another method": (shown(token, htu=uri + "s"), "TOKEN_PROOF_INVALID"),
            "another gateway": (shown(token, htu=f"https://x.test{GET}"), "TOKEN_PROOF_INVALID"),
            "too old": (shown(token, iat=1_000), "TOKEN_PROOF_INVALID"),
            "no nonce": (shown(token, nonce=None), "TOKEN_PROOF_NONCE"),
            "a nonce of one's own": (shown(token, nonce="mine"), "TOKEN_PROOF_NONCE"),
            "no token at all": ([("authorization", "DPoP ")], "TOKEN_PROOF_INVALID"),
            "a forged token": (shown("a.b.c"), "TOKEN_INVALID"),
        }
        for name, (metadata, reason) in refused.items():
            told = await _refused(holder, standing, metadata)
            assert told == f"UNAUTHENTICATED {reason}", name
        assert (await ask(channel, shown(token)))[0] is None


async def test_every_answer_to_a_proof_brings_a_nonce_and_no_other_does(
    standing: Gateway, holder: KeyHolder
) -> None:
    nonces = DpopNonces.kept_in(standing.installation.home.dpop_nonces)
    async with holder.plain_channel(standing) as channel:
        token = await holder.token(standing)
        uri = f"https://{standing.running.grpc}{GET}"
        bound = ("authorization", f"DPoP {token}")
        challenge, first = await ask(channel, [bound, ("dpop", holder.proof(uri, token, None))])
        served, second = await ask(channel, [bound, ("dpop", holder.proof(uri, token, first))])
        bearer = await ask(channel, [("authorization", "Bearer a.b.c")])
        assert challenge is not None
        assert served is None
        for nonce in (first, second):
            assert nonce is not None
            assert nonces.accepts(nonce, standing.installation.clock.now())
        assert bearer[1] is None


async def test_proof_of_a_caller_that_is_refused_anyway_stays_unused(
    standing: Gateway, holder: KeyHolder
) -> None:
    async with holder.plain_channel(standing) as channel:
        token = await holder.token(standing)
        nonce = await first_nonce(channel)
        uri = f"https://{standing.running.grpc}{GET}"
        for changed, sent in (({"nonce": None}, token), ({"htm": "GET"}, token), ({}, "a.b.c")):
            proof = holder.proof(uri, sent, **{"nonce": nonce, "jti": "one", **changed})
            refused, _ = await ask(channel, [("authorization", f"DPoP {sent}"), ("dpop", proof)])
            assert refused is not None
        proof = holder.proof(uri, token, nonce, jti="one")
        served, _ = await ask(channel, [("authorization", f"DPoP {token}"), ("dpop", proof)])
    assert served is None


@pytest.mark.parametrize("changed", ["removed", "bound to its certificate"])
async def test_client_that_may_no_longer_call_stops_at_the_next_call(
    standing: Gateway, holder: KeyHolder, changed: str
) -> None:
    installation = standing.installation
    async with await connect(holder.credentials(standing)) as channel:
        await query(channel)
        document = installation.log.history(kind=CLIENT, id=holder.client_id, after=0, limit=1)[0]
        news = (
            {"removed_at": installation.clock.now()}
            if changed == "removed"
            else {"binding": "mtls", "certificate_thumbprints": [f"{'B' * 42}A"]}
        )
        installation.put(CLIENT, holder.client_id, {**document.document, **news})
        reason = ""
        while not reason:
            try:
                await query(channel)
            except grpc.aio.AioRpcError as error:
                reason = explain(error).reason
    assert reason == "CLIENT_NOT_ACTIVE"


async def test_stream_lives_on_after_its_proof_and_ends_with_its_client(
    sqlite_store: tuple[str, Path],
) -> None:
    clock, over = MovableClock(), asyncio.Event()
    installation = Installation(*sqlite_store, clock=clock)
    installation.furnish()
    holder = KeyHolder.enrol(installation, "keyed-publisher", PUBLISHER_ROLE)
    async with (
        installation.running() as gateway,
        await connect(holder.credentials(gateway)) as channel,
    ):

        async def batches() -> AsyncIterator[disclosure_pb.PublishRecordsRequest]:
            yield disclosure_pb.PublishRecordsRequest(
                batch_id="b-1", records=[draft("r-1", company(1))]
            )
            clock.ahead = 200
            yield disclosure_pb.PublishRecordsRequest(
                batch_id="b-2", records=[draft("r-2", company(1))]
            )
            client = installation.log.history(kind=CLIENT, id=holder.client_id, after=0, limit=1)
            removed = {**client[0].document, "removed_at": clock.now()}
            installation.put(CLIENT, holder.client_id, removed)
            # Longer than a process may go on with the authority it read.
            await asyncio.sleep(1)
            yield disclosure_pb.PublishRecordsRequest(
                batch_id="b-3", records=[draft("r-3", company(1))]
            )
            await over.wait()

        stub = disclosure_grpc.DisclosureServiceStub(channel)
        # With the nonce that this brings, the next call takes batches once it is admitted.
        await stub.PublishRecords(iter([disclosure_pb.PublishRecordsRequest(batch_id="b-0")]))
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await stub.PublishRecords(batches())
        over.set()
        assert explain(ended.value).reason == "CLIENT_NOT_ACTIVE"
    installation.close()


async def test_requests_are_sent_by_no_call_that_is_not_admitted(
    standing: Gateway, holder: KeyHolder
) -> None:
    taken = 0

    async def batches() -> AsyncIterator[disclosure_pb.PublishRecordsRequest]:
        nonlocal taken
        taken += 1
        yield disclosure_pb.PublishRecordsRequest(batch_id="b-1")

    async with await connect(
        holder.credentials(standing, grpc_url="https://elsewhere.test")
    ) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await disclosure_grpc.DisclosureServiceStub(channel).PublishRecords(batches())
        assert explain(refused.value).reason == "TOKEN_PROOF_INVALID"
    assert taken == 0


async def test_no_proof_is_taken_for_new_when_nobody_can_tell(installation: Installation) -> None:
    holder = KeyHolder.enrol(installation)
    async with (
        installation.running() as gateway,
        await connect(holder.credentials(gateway)) as channel,
    ):
        await query(channel)
        with installation.engines.authority.begin() as connection:
            connection.execute(text("DROP TABLE assertion_jti"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await query(channel)
    told = explain(refused.value)
    assert (told.status, told.reason) == ("UNAVAILABLE", "TEMPORARILY_UNAVAILABLE")


async def test_blocking_source_of_tokens_proves_its_key_too(
    standing: Gateway, holder: KeyHolder
) -> None:
    source = TokenSource(holder.credentials(standing, certificate=None, key=None))
    try:
        assert (await asyncio.to_thread(source.token)).count(".") == 2
    finally:
        source.close()


def _mutated(proof: str, chance: random.Random) -> str:
    place = chance.randrange(len(proof))
    kind = chance.randrange(5)
    if kind == 0:
        return proof[:place] + chr(ord(proof[place]) ^ 1) + proof[place + 1 :]
    if kind == 1:
        return proof[:place]
    if kind == 2:
        return proof[:place] + "".join(chance.choices("AZaz09-_.=,{", k=6)) + proof[place:]
    if kind == 3:
        return proof[:place] + proof[place + 1 :]
    parts = proof.split(".")
    chance.shuffle(parts)
    return ".".join(parts) if parts != proof.split(".") else "."


async def test_mutated_proofs_are_refused_each_in_form(
    standing: Gateway, holder: KeyHolder
) -> None:
    chance = random.Random(20_260_331)
    statuses: set[str] = set()
    async with holder.plain_channel(standing) as channel:
        token = await holder.token(standing)
        nonce = await first_nonce(channel)
        uri = f"https://{standing.running.grpc}{GET}"
        good = holder.proof(uri, token, nonce)
        for _ in range(500):
            mutated = _mutated(good, chance)
            if mutated.strip() == good or not mutated.isprintable():
                continue
            told, _ = await ask(channel, [("authorization", f"DPoP {token}"), ("dpop", mutated)])
            statuses.add("OK" if told is None else told.status)
        served, _ = await ask(channel, [("authorization", f"DPoP {token}"), ("dpop", good)])
    assert statuses == {"UNAUTHENTICATED"}
    assert served is None
