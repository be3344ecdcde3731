"""Credentials and their status between regions, over real connections (G4)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import pytest_asyncio

from creditgate.v1 import licence_credential_service_pb2 as pb
from creditgate.v1.licence_credential_service_pb2_grpc import LicenceCredentialServiceStub
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.clock import SystemClock
from gateway.federation.credentials.following import StatusLists
from gateway.federation.credentials.status_list import LicenceStatus
from gateway.federation.credentials.verifying import ShownLicences
from gateway.federation.trust.book import Region
from gateway.federation.trust.chain import AnchorTrust
from gateway.federation.trust.description import known_region
from gateway.federation.trust.resolver import ChainResolver
from operators.jwks import key_thumbprints
from operators.model import CLIENT, OPERATOR
from sdk.refusals import explain
from tests.federating import Anchor, RegionGateway, federation
from tests.installation import OPERATOR_CLIENT, OPERATOR_ID, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
WITHIN = 1.0
Pair = tuple[Anchor, RegionGateway, RegionGateway]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Pair]:
    """An anchor and two regions; tests leave them as they were."""
    async with federation(tmp_path_factory.mktemp("pair"), "one", "two") as (anchor, regions):
        yield anchor, regions["one"], regions["two"]


class Book:
    """The book of a region that knows one other."""

    def __init__(self, region: Region) -> None:
        self._region = region

    def regions(self) -> list[Region]:
        return [self._region]

    def region(self, entity_id: str) -> Region:
        assert entity_id == self._region.entity_id
        return self._region

    def own(self) -> Region:
        raise NotImplementedError

    def stands(self, entity_id: str) -> bool:
        return entity_id == self._region.entity_id


def described(anchor: Anchor, region: RegionGateway) -> Region:
    """Return a region as its chain, resolved anew, describes it."""
    trust = AnchorTrust(anchor.entity_id, anchor.home.key().jwks)
    resolver = ChainResolver(trust, anchor.home.ca.read_text(), SystemClock())
    try:
        known = known_region(resolver.chain(region.entity_id))
    finally:
        resolver.close()
    return Region(
        entity_id=known.entity_id,
        operator_id="region-one",
        client_id=known.client_id,
        grpc=known.grpc,
        issuer=known.issuer,
        roots=known.roots.encode(),
        certificate_thumbprints=known.certificate_thumbprints,
        codes=known.codes,
        log_keys={},
        jwks=known.jwks,
        document_keys=known.document_keys,
        catalogue=known.catalogue,
        catalogue_version=known.catalogue_version,
        stands_until=known.stands_until,
    )


@asynccontextmanager
async def followed(region: Region) -> AsyncGenerator[StatusLists]:
    lists = StatusLists(Book(region), 5.0, SystemClock())
    await lists.step()
    try:
        yield lists
    finally:
        await lists.stop()


async def fetched(region: RegionGateway, **asked: Any) -> pb.GetLicenceCredentialResponse:
    async with region.gateway.channel(OPERATOR_CLIENT) as channel:
        stub = LicenceCredentialServiceStub(channel)
        return await stub.GetLicenceCredential(pb.GetLicenceCredentialRequest(**asked))


async def test_a_suspension_reaches_a_region_that_follows_within_a_second(pair: Pair) -> None:
    anchor, one, _ = pair
    async with followed(await _in_thread(described, anchor, one)) as lists:

        async def valid() -> bool:
            return status(lists, one) == LicenceStatus.VALID

        await eventually(valid)
        log = one.installation.log
        firm = log.history(kind=OPERATOR, id=OPERATOR_ID, after=0, limit=99)[-1].document
        one.installation.suspend()

        async def suspended() -> bool:
            return status(lists, one) == LicenceStatus.SUSPENDED

        assert await eventually(suspended) < WITHIN
        one.installation.put(
            OPERATOR, OPERATOR_ID, {**firm, "state": OperatorState.OPERATOR_STATE_ACTIVE}
        )
        await eventually(valid)


def status(lists: StatusLists, region: RegionGateway) -> LicenceStatus | None:
    from creditgate.refusal import Refused

    try:
        # The licence of operator alpha was the first.
        return lists.current(region.entity_id).status(0)
    except Refused:
        return None


async def _in_thread(function: Any, *arguments: Any) -> Any:
    import asyncio

    return await asyncio.to_thread(function, *arguments)


async def test_an_operator_holds_a_credential_that_no_region_can_present_for_it(
    pair: Pair,
) -> None:
    anchor, one, _ = pair
    answer = await fetched(one)
    region = await _in_thread(described, anchor, one)
    async with followed(region) as lists:

        async def known() -> bool:
            return status(lists, one) is not None

        await eventually(known)
        reader = ShownLicences(lists, SystemClock())
        # It is bound to the operator's key, not to the region's.
        assert not reader.stands(answer.credential, region)
        client = one.installation.log.history(kind=CLIENT, id=OPERATOR_CLIENT, after=0, limit=9)[-1]
        held = region._replace(jwks=str(client.document["jwks"]))
        licence = reader.shown(answer.credential, held)
        assert (licence.operator_id, licence.number) == (OPERATOR_ID, "L-ALPHA")
        assert licence.until == answer.expire_time.seconds


async def test_a_credential_is_given_for_the_callers_own_licence_and_keys_alone(
    pair: Pair,
) -> None:
    _, one, _ = pair
    client = one.installation.log.history(kind=CLIENT, id=OPERATOR_CLIENT, after=0, limit=9)[-1]
    (own,) = key_thumbprints(str(client.document["jwks"]))
    assert (await fetched(one, licence="L-ALPHA", key_thumbprint=own)).credential
    for asked, reason in [
        ({"licence": "R-region-two"}, "LICENCE_CREDENTIAL_INVALID"),
        ({"licence": "none"}, "LICENCE_CREDENTIAL_INVALID"),
        ({"key_thumbprint": "x" * 43}, "INVALID_REQUEST"),
    ]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await fetched(one, **asked)
        assert explain(refused.value).reason == reason
