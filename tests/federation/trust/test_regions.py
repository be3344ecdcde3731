"""Regions that trust one another, over real connections (G4, G10)."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio

from creditgate.v1 import conformance_service_pb2 as conformance_pb
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.federation.trust.chain import AnchorTrust, verified_chain
from gateway.federation.trust.entity_key import EntityKey
from gateway.federation.trust.statement import (
    REGION_METADATA,
    STATEMENT_TYPE,
    StatementInvalid,
    configuration_url,
)
from operators.model import OPERATOR
from operators.regions import REGION, REGION_ADMISSION
from sdk.refusals import explain
from tests.federating import (
    DISTRICTS,
    Anchor,
    RegionGateway,
    admitted,
    federation,
    running_anchor_at,
    running_region,
)
from tests.installation import Installation, eventually
from tests.stores import PostgresStores

pytestmark = pytest.mark.asyncio(loop_scope="module")
WITHIN = 1.0
"""The bound of G4, in seconds."""


@asynccontextmanager
async def asking(one: RegionGateway, two: RegionGateway, token: str = "") -> AsyncGenerator[Any]:
    """Give what asks ``two`` for its statement, as ``one``, and tells how that ended."""
    token = token or await one.token_at(two)
    async with one.channel_to(two) as channel:
        stub = FederationServiceStub(channel)

        async def ask() -> str:
            try:
                await stub.GetRegionStatement(
                    pb.GetRegionStatementRequest(), metadata=(("authorization", f"Bearer {token}"),)
                )
            except grpc.aio.AioRpcError as error:
                return explain(error).reason or error.code().name
            return "OK"

        yield ask


async def until(ask: Any, outcome: str, seconds: float) -> float:
    async def ended() -> bool:
        return await ask() == outcome

    return await eventually(ended, seconds)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[tuple[Anchor, RegionGateway, RegionGateway]]:
    """An anchor and two regions, each admitted by the other; tests leave them as they were."""
    folder = tmp_path_factory.mktemp("pair")
    async with federation(folder, "one", "two") as (anchor, regions):
        yield anchor, regions["one"], regions["two"]


Pair = tuple[Anchor, RegionGateway, RegionGateway]


async def test_a_region_is_cut_off_and_restored_within_a_second_of_the_news(pair: Pair) -> None:
    anchor, one, two = pair
    async with asking(one, two) as ask:
        assert await ask() == "OK"
        anchor.cut_off(one.entity_id)
        assert await until(ask, "REGION_NOT_TRUSTED", 5) < WITHIN
        assert (await one.token_answer(two)).json()["error"] == "invalid_client"
        # The other way: it does not ask a region that is cut off either.
        anchor.restore(one.entity_id)
        await until(ask, "OK", 5)
        assert (await one.token_answer(two)).is_success


async def test_a_region_taken_out_of_the_register_does_not_stand(pair: Pair) -> None:
    anchor, one, two = pair
    async with asking(one, two) as ask:
        anchor.withdraw(one.entity_id)
        assert await until(ask, "REGION_NOT_TRUSTED", 5) < WITHIN
        anchor.enrol(await one.configuration(), (DISTRICTS["one"],))
        await until(ask, "OK", 5)


async def test_a_dismissed_region_cannot_ask_and_neither_can_one_whose_operator_is_suspended(
    pair: Pair,
) -> None:
    _, one, two = pair
    log = two.installation.log
    async with asking(one, two) as ask:
        state = {"state": OperatorState.OPERATOR_STATE_SUSPENDED}
        operator = log.history(kind=OPERATOR, id="region-one", after=0, limit=9)[-1].document
        two.installation.put(OPERATOR, "region-one", {**operator, **state})
        assert await until(ask, "OPERATOR_SUSPENDED", 5) < WITHIN
        two.installation.put(OPERATOR, "region-one", dict(operator))
        await until(ask, "OK", 5)
        admission = log.history(kind=REGION_ADMISSION, id=one.client_id, after=0, limit=9)[-1]
        dismissed = {**admission.document, "dismissed_at": two.installation.clock.now()}
        two.installation.put(REGION_ADMISSION, one.client_id, dismissed)
        assert await until(ask, "CLIENT_NOT_ACTIVE", 5) < WITHIN
        two.installation.put(REGION_ADMISSION, one.client_id, dict(admission.document))
        await until(ask, "OK", 5)


async def test_a_region_shows_the_chain_that_makes_it_believed(pair: Pair) -> None:
    anchor, one, two = pair
    token = await one.token_at(two)
    metadata = (("authorization", f"Bearer {token}"),)
    trust = AnchorTrust(anchor.entity_id, anchor.home.key().jwks)
    async with one.channel_to(two) as channel:
        stub = FederationServiceStub(channel)
        for entity_id in ("", two.entity_id, one.entity_id):
            answer = await stub.GetRegionStatement(
                pb.GetRegionStatementRequest(entity_id=entity_id), metadata=metadata
            )
            chain = verified_chain(answer.trust_chain, trust, int(time.time()))
            assert chain.entity_id == entity_id or two.entity_id
            assert answer.entity_statement == answer.trust_chain[0]
            assert answer.expire_time.seconds == chain.expires_at
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetRegionStatement(
                pb.GetRegionStatementRequest(entity_id="https://nobody.example"), metadata=metadata
            )
        assert explain(refused.value).reason == "REGION_NOT_TRUSTED"


async def test_no_other_region_and_no_operator_gets_in_as_a_region(pair: Pair) -> None:
    _, one, two = pair
    own = one.own()
    form = {
        "grant_type": "client_credentials",
        "client_id": own.client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    # Signed by its own key, over a connection that shows another certificate of its authority.
    operator = one.installation.home.profile("alpha-one").parent
    context = ssl.create_default_context(cafile=two.installation.home.ca)
    context.load_cert_chain(operator / "certificate.pem", operator / "key.pem")
    async with httpx.AsyncClient(verify=context) as http:
        answer = await http.post(
            f"{two.entity_id}/oauth/token",
            data={**form, "client_assertion": own.assertion(two.entity_id)},
        )
        assert answer.json()["error"] == "invalid_client"
    # Signed by another key, over its own connection.
    context = ssl.create_default_context(cafile=two.installation.home.ca)
    context.load_cert_chain(own.certificate, own.key)
    async with httpx.AsyncClient(verify=context) as http:
        forged = own.entity_key.sign(json.loads(_payload(own.assertion(two.entity_id))), "JWT")
        answer = await http.post(
            f"{two.entity_id}/oauth/token", data={**form, "client_assertion": forged}
        )
        assert answer.json()["error"] == "invalid_client"


def _payload(token: str) -> bytes:
    from base64 import urlsafe_b64decode

    body = token.split(".")[1]
    return urlsafe_b64decode(body + "=" * (-len(body) % 4))


async def test_a_region_that_cannot_hear_the_anchor_or_a_peer_refuses_after_its_lease(
    tmp_path: Path,
) -> None:
    lease = 3
    async with running_region_alone(tmp_path, federation_lease_seconds=lease) as (stop, region):
        assert await standing(region) == "REGION_NOT_TRUSTED"
        started = time.monotonic()
        await stop()

        async def unknown() -> bool:
            return await standing(region) == "FEDERATION_UNKNOWN"

        await eventually(unknown, 10)
        assert time.monotonic() - started < lease + WITHIN


@asynccontextmanager
async def running_region_alone(
    folder: Path, **settings: Any
) -> AsyncGenerator[tuple[Any, RegionGateway]]:
    """Run one region and an anchor that can be stopped; its own client stands for a peer."""
    anchor_context = running_anchor_at(folder / "anchor")
    anchor = await anchor_context.__aenter__()
    stopped = False

    async def stop() -> None:
        nonlocal stopped
        stopped = True
        await anchor_context.__aexit__(None, None, None)

    installation = Installation("sqlite", folder / "one", settings=anchor.settings())
    try:
        async with running_region(installation, anchor, (DISTRICTS["one"],), **settings) as region:
            region.admit(region, "region-self")
            await eventually(lambda: region.knows(region), 10)

            async def heard() -> bool:
                return await standing(region) != "FEDERATION_UNKNOWN"

            await eventually(heard, 10)
            yield stop, region
    finally:
        installation.close()
        if not stopped:
            await stop()


async def standing(region: RegionGateway) -> str:
    """Return how a gateway refuses a region's client: that of a region which cannot stand."""
    answer = await region.token_answer(region)
    body = answer.json()
    return body.get("reason") or "REGION_NOT_TRUSTED"


async def test_a_peer_relays_the_news_of_an_anchor_that_cannot_be_reached(tmp_path: Path) -> None:
    async with federation(tmp_path, "one", "two", federation_lease_seconds=3) as (anchor, regions):
        one, two = regions["one"], regions["two"]
        # Shut off from the anchor, the third hears through its peers alone.
        settings = anchor.settings()
        installation = Installation("sqlite", tmp_path / "three", settings=settings)
        installation.furnish()
        async with running_region(installation, anchor, (DISTRICTS["three"],)) as three:
            await eventually(lambda: three.knows(one), 10)
            await eventually(lambda: three.knows(two), 10)
        blind = {**settings, "federation_anchor_ca": one.installation.home.ca}
        apart = Installation("sqlite", tmp_path / "three", settings=blind)
        async with apart.running(
            federation_lease_seconds=3,
            https_port=int(three.entity_id.rsplit(":", 1)[1]),
        ) as gateway:
            third = RegionGateway(gateway)
            third.admit(one, "region-one")

            async def may_ask() -> bool:
                return await one.may_ask(third)

            await eventually(may_ask, 15)
            async with asking(one, third) as ask:
                assert await ask() == "OK"
                anchor.cut_off(one.entity_id)
                assert await until(ask, "REGION_NOT_TRUSTED", 5) < WITHIN + 1
        apart.close()
        installation.close()


async def test_what_a_region_changes_about_itself_is_known_elsewhere(pair: Pair) -> None:
    _, one, two = pair
    changes = two.installation.log.history(kind=REGION, id=one.client_id, after=0, limit=99)
    described = changes[-1].document
    assert described["codes"] == [DISTRICTS["one"]]
    assert described["certificate_thumbprints"] == one.own().thumbprints
    assert set(described["log_keys"]) >= {"disclosure", "usage"}  # type: ignore[arg-type]
    configuration = json.loads(_payload(await one.configuration()))
    metadata = configuration["metadata"][REGION_METADATA]
    assert json.loads(str(described["jwks"])) == metadata["jwks"]
    assert json.loads(str(described["document_keys"])) == metadata["document_keys"]
    # Nothing is written while nothing changes, but for chains that soon expire.
    await asyncio.sleep(1.5)
    assert two.installation.log.history(kind=REGION, id=one.client_id, after=0, limit=99) == changes


async def test_a_gateway_in_no_federation_serves_nothing_of_it(embedded: Installation) -> None:
    async with embedded.running() as gateway:
        region = RegionGateway(gateway)
        async with region.http() as http:
            for path in (configuration_url(""), "/federation/news", "/federation/catalogue"):
                assert (await http.get(path)).status_code == httpx.codes.NOT_FOUND
        assert not embedded.home.federation_key.exists()


async def test_the_catalogue_is_shown_with_its_version(pair: Pair) -> None:
    _, one, _ = pair
    async with one.http() as http:
        shown = (await http.get("/federation/catalogue")).json()
    assert {item["code"] for item in shown["items"]} == {"penalty", "tax", "supervision"}
    assert shown["version"]


async def test_an_open_stream_of_a_region_ends_when_it_is_cut_off(pair: Pair) -> None:
    anchor, one, two = pair
    token = await one.token_at(two)
    request = conformance_pb.WatchDisclosuresRequest(
        coverage=conformance_pb.WatchCoverage.WATCH_COVERAGE_SERVED
    )
    request.heartbeat_interval.seconds = 1
    async with one.channel_to(two) as channel:
        call = ConformanceServiceStub(channel).WatchDisclosures(
            request, metadata=(("authorization", f"Bearer {token}"),)
        )
        assert await call.read()
        anchor.cut_off(one.entity_id)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            async with asyncio.timeout(5):
                while True:
                    await call.read()
        assert explain(ended.value).reason == "REGION_NOT_TRUSTED"
    anchor.restore(one.entity_id)

    async def again() -> bool:
        return await one.may_ask(two)

    await eventually(again)


async def test_a_region_changes_its_federation_key_through_the_anchor(pair: Pair) -> None:
    """Until the anchor states the new key, what the region signs with it is not believed."""
    anchor, one, two = pair
    trust = AnchorTrust(anchor.entity_id, anchor.home.key().jwks)
    now = int(time.time())
    newer = EntityKey.kept_in(one.installation.home.keys / "newer.pem")
    claims = json.loads(_payload(await one.configuration()))
    signed = newer.sign({**claims, "jwks": newer.jwks}, STATEMENT_TYPE)
    async with httpx.AsyncClient(verify=_trusting(anchor)) as http:

        async def stated() -> str:
            answer = await http.get(
                f"{anchor.entity_id}/federation/fetch", params={"sub": one.entity_id}
            )
            return answer.text

        top = (await http.get(configuration_url(anchor.entity_id))).text
        with pytest.raises(StatementInvalid):
            verified_chain([signed, await stated(), top], trust, now)
        anchor.enrol(signed, (DISTRICTS["one"],))
        chain = verified_chain([signed, await stated(), top], trust, now)
        assert chain.entity_id == one.entity_id
        # What it signed with the key from before is not believed any more.
        with pytest.raises(StatementInvalid):
            verified_chain([await one.configuration(), await stated(), top], trust, now)
    assert await until(partial(_standing_of, one, two), "invalid_client", 5) < WITHIN
    anchor.enrol(await one.configuration(), (DISTRICTS["one"],))
    await until(partial(_standing_of, one, two), "", 5)


async def _standing_of(one: RegionGateway, two: RegionGateway) -> str:
    return (await one.token_answer(two)).json().get("error", "")


def _trusting(anchor: Anchor) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=anchor.home.ca)


async def test_every_process_of_a_region_hears_of_a_cut_off_within_a_second(
    tmp_path: Path, postgres_stores: PostgresStores
) -> None:
    async with running_anchor_at(tmp_path / "anchor") as anchor:
        asking_one = Installation("sqlite", tmp_path / "one", settings=anchor.settings())
        asking_one.furnish()
        with postgres_stores.database() as (database, home):
            answering = Installation(database, home, settings=anchor.settings())
            answering.furnish()
            async with (
                running_region(asking_one, anchor, (DISTRICTS["one"],)) as one,
                running_region(answering, anchor, (DISTRICTS["two"],)) as two,
                answering.running(issuer=two.entity_id) as beside,
            ):
                admitted(answering, one.entity_id, "region-one")

                async def may_ask() -> bool:
                    return await one.may_ask(two)

                await eventually(may_ask, 15)
                both = [two, RegionGateway(beside)]
                token = await one.token_at(two)
                async with (
                    asking(one, both[0], token) as first,
                    asking(one, both[1], token) as other,
                ):
                    await until(other, "OK", 5)
                    assert await first() == "OK"
                    anchor.cut_off(one.entity_id)
                    took = await asyncio.gather(
                        *(until(ask, "REGION_NOT_TRUSTED", 5) for ask in (first, other))
                    )
                    assert max(took) < WITHIN
                # One of the processes follows the chains for both.
                changes = answering.log.history(kind=REGION, id=one.client_id, after=0, limit=9)
                assert len(changes) == 1
            answering.close()
        asking_one.close()
