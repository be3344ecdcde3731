"""Three regions on one machine under one anchor, each a process with its own keys and store."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from creditgate.v1 import item_mapping_service_pb2 as mapping_pb
from creditgate.v1 import operator_service_pb2 as operator_pb
from creditgate.v1 import region_service_pb2 as region_pb
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.anchor.home import AnchorHome
from gateway.anchor.register import Register
from gateway.anchor.serving import running_anchor
from gateway.cli.calls import Gateway
from gateway.cli.terms import interval
from gateway.clock import Clock, SystemClock
from gateway.demo import cast
from gateway.demo.enrolment import REASON, Enrolment
from gateway.demo.federation_cast import ASKER, NORTH, REGIONS, InventedRegion, records_of
from gateway.demo.gateway_process import gateway_process
from gateway.demo.ports import free_port
from gateway.demo.seed import acting_as, furnish, publish
from gateway.federation.trust.statement import (
    REGION_METADATA,
    configuration_url,
    self_signed,
)
from gateway.installation.home import Home
from gateway.pki.development import make_ca, make_server_certificate, read_issued
from gateway.server.process import Running
from operators.roles import scopes_of_role

_HOST: Final = "127.0.0.1"
_YEAR: Final = 365 * 86_400
_DAY: Final = 86_400
_PATIENCE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Province:
    """A region of the demo, whose gateway answers."""

    region: InventedRegion
    home: Home
    running: Running

    @property
    def entity_id(self) -> str:
        """Its entity identifier."""
        return self.running.issuer


@dataclass(frozen=True, slots=True)
class Land:
    """The anchor, and the regions by name."""

    anchor: AnchorHome
    provinces: Mapping[str, Province]
    clock: Clock

    def of(self, region: InventedRegion) -> Province:
        """Return a region."""
        return self.provinces[region.name]

    def change(self, changed: Callable[[Register], Register], what: str) -> None:
        """Change the anchor's register, as its people do by `creditgate anchor`."""
        now = self.clock.now()
        self.anchor.change(changed, what=what, about="", by="demo", why=REASON, now=now)


Reached = Callable[[InventedRegion], AbstractAsyncContextManager["Way"]]


@dataclass(slots=True)
class Way:
    """By what address others reach a region's methods, "" for its own; it is told that."""

    address: str = ""
    reached: Callable[[str], object] = lambda _: None


@asynccontextmanager
async def directly(region: InventedRegion) -> AsyncGenerator[Way]:
    """Let a region be reached at its own address."""
    del region
    yield Way()


@asynccontextmanager
async def land(
    folder: Path, regions: Sequence[InventedRegion] = REGIONS, reached: Reached = directly
) -> AsyncGenerator[Land]:
    """Run an anchor and ``regions`` in ``folder`` while the context lasts, furnished and
    enrolled, that have admitted one another and mapped their items.

    Raises GatewayDidNotStart, grpc.RpcError, TimeoutError where they do not find together.
    """
    clock = SystemClock()
    port = free_port()
    anchor = _begun(AnchorHome.at(folder / "anchor"), f"https://{_HOST}:{port}", clock.now())
    keys = anchor.root / "keys.json"
    keys.write_text(json.dumps(dict(anchor.key().jwks)), encoding="utf-8")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_anchor(anchor, _HOST, port))
        settings = {
            "FEDERATION_ANCHOR": anchor.register().entity_id,
            "FEDERATION_ANCHOR_KEYS": str(keys),
            "FEDERATION_ANCHOR_CA": str(anchor.ca),
        }
        started: list[Province] = []
        for region in regions:
            home = Home.at(folder / region.name)
            way = await stack.enter_async_context(reached(region))
            own = {"HTTPS_PORT": str(free_port())}
            if way.address:
                own["GRPC_URL"] = f"https://{way.address}"
            running = await stack.enter_async_context(gateway_process(home, settings | own))
            way.reached(running.grpc)
            started.append(Province(region, home, running))
        made = Land(anchor, {each.region.name: each for each in started}, clock)
        await asyncio.gather(*(_furnished(province, clock) for province in started))
        for province in started:
            await _enrolled(made, province)
        await asyncio.gather(*(_befriended(province, started, clock) for province in started))
        await until(lambda: _all_stand(started))
        yield made


async def until(condition: Callable[[], Awaitable[bool]]) -> float:
    """Wait until ``condition`` is true and return after how many seconds it was.

    Raises TimeoutError.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            if await condition():
                return loop.time() - started
            await asyncio.sleep(_LOOK_SECONDS)


def _begun(home: AnchorHome, entity_id: str, now: int) -> AnchorHome:
    register = Register(entity_id=entity_id, life_seconds=2 * _DAY, number=now)
    home.begin(register, by="demo", now=now)
    make_ca("creditgate demo anchor CA", now).write(home.ca, home.ca_key)
    issued = make_server_certificate(read_issued(home.ca, home.ca_key), now)
    issued.write(home.certificate, home.certificate_key)
    return home


async def _furnished(province: Province, clock: Clock) -> None:
    """Give a region a catalogue, prices, a publisher and records; the north an operator."""
    home = province.home
    async with acting_as(home, cast.ADMINISTRATOR) as administrator:
        _, priced_from = await furnish(administrator, clock)
        enrolment = Enrolment(administrator, home, clock)
        await enrolment.publisher()
        if province.region == NORTH:
            await enrolment.operator(ASKER)
    home.point_profiles_at(province.running.grpc, province.running.issuer, home.ca)
    drafts = records_of(province.region, clock.now())
    if drafts:
        async with acting_as(home, cast.PUBLISHER) as publisher:
            await publish(publisher, drafts)
    await asyncio.sleep(max(0, priced_from - clock.now()))


async def _enrolled(made: Land, province: Province) -> None:
    """Enrol a region by what it says of itself, as the anchor's people do."""

    context = ssl.create_default_context(cafile=province.home.ca)
    async with httpx.AsyncClient(verify=context, trust_env=False) as http:
        answer = await http.get(configuration_url(province.entity_id))
    now = made.clock.now()
    said = self_signed(answer.raise_for_status().text, now)
    roots = str(said.metadata[REGION_METADATA]["tls_roots"])
    codes = (province.region.code,)
    made.change(lambda register: register.enrolled(said.sub, said.jwks, roots, codes, now), "enrol")


async def _befriended(province: Province, all_: list[Province], clock: Clock) -> None:
    """Admit the other regions at one, and map their items."""
    async with acting_as(province.home, cast.ADMINISTRATOR) as administrator:
        for other in all_:
            if other is not province:
                await _admitted(administrator, other, clock)


async def _admitted(administrator: Gateway, other: Province, clock: Clock) -> None:
    region, now = other.region, clock.now()
    operator = operator_pb.Operator(
        operator_id=region.operator_id,
        display_name=f"Invented region {region.name} (虚构)",
        uscc=region.uscc,
        operator_class="region",
    )
    licence = operator_pb.Licence(
        number=f"REGION-{region.name.upper()}",
        operator_id=region.operator_id,
        validity=interval(now, now + _YEAR),
        items=[cast.PENALTY, cast.REGISTRATION],
        purposes=[Purpose.PURPOSE_SUPPLIER_CHECK, Purpose.PURPOSE_CREDIT_APPROVAL],
        regions=["*"],
        daily_record_quota=1_000_000,
    )
    grants = [
        operator_pb.ScopeGrant(
            grantee=region.operator_id, scope=scope, validity=interval(now, None)
        )
        for scope in sorted(scopes_of_role(ClientRole.CLIENT_ROLE_REGION))
    ]
    mapping = mapping_pb.ItemMapping(
        region=other.entity_id,
        items=[
            mapping_pb.MappedItem(item=item, region_item=item)
            for item in (cast.PENALTY, cast.REGISTRATION)
        ],
        catalogue_version="1",
    )
    ask = administrator.ask
    await ask(
        operator_pb.CreateOperatorRequest(operator=operator, reason=REASON),
        operator_pb.CreateOperatorResponse,
    )
    await ask(
        operator_pb.IssueLicenceRequest(licence=licence, reason=REASON),
        operator_pb.IssueLicenceResponse,
    )
    await ask(
        operator_pb.GrantScopesRequest(grants=grants, reason=REASON),
        operator_pb.GrantScopesResponse,
    )
    await ask(
        region_pb.AdmitRegionRequest(
            entity_id=other.entity_id, operator_id=region.operator_id, reason=REASON
        ),
        region_pb.AdmitRegionResponse,
    )
    await ask(
        mapping_pb.SetItemMappingRequest(mapping=mapping, reason=REASON),
        mapping_pb.SetItemMappingResponse,
    )


async def _all_stand(provinces: list[Province]) -> bool:
    """Tell whether every region takes every other for one that stands."""
    for province in provinces:
        async with acting_as(province.home, cast.ADMINISTRATOR) as administrator:
            listed = await administrator.every_page(
                region_pb.ListRegionsRequest(page_size=200), region_pb.ListRegionsResponse
            )
        standing = {
            each.entity_id
            for each in listed.regions
            if each.standing == region_pb.RegionStanding.REGION_STANDING_STANDS
        }
        if not standing >= {other.entity_id for other in provinces if other is not province}:
            return False
    return True
