"""Three regions: "one" asks, for its operator alpha; "two" and "three" are home of records."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import grpc
from google.protobuf.duration_pb2 import Duration

from creditgate.transparency.note import VerifierKey
from creditgate.uscc import check_character
from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.federated_record_service_pb2 import (
    NotAskedReason,
    QueryRegionsRequest,
    RegionClosing,
    RegionOutcome,
)
from gateway.federation.asking.use_store import RegionUses
from operators.item_mappings import ITEM_MAPPING, ItemMapping
from sdk.federated import FederatedAnswer, ask_regions
from sdk.tokens import TokenRefused
from tests.federating import (
    DISTRICTS,
    Anchor,
    RegionGateway,
    federation,
    running_anchor_at,
    running_region,
)
from tests.federation.asking.relay import Relay
from tests.federation.channels import Channels
from tests.installation import (
    CONSENT_ITEM,
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    Installation,
    eventually,
)
from tests.server.calls import draft, publish

MAPPED: Final = {PUBLIC_ITEM: PUBLIC_ITEM, CONSENT_ITEM: CONSENT_ITEM}
_numbers: Final = count(70_000)


def company(region: str = "") -> str:
    """Return the code of a new invented company, registered in the district of a region."""
    stem = f"91{DISTRICTS.get(region, '000000')}{next(_numbers):09d}"
    return stem + check_character(stem)


@dataclass
class World:
    """The regions by name, and their anchor; in the end its channels are closed."""

    anchor: Anchor
    regions: Mapping[str, RegionGateway]
    channels: Channels = field(default_factory=Channels)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channels.close()

    @property
    def one(self) -> RegionGateway:
        return self.regions["one"]

    @property
    def two(self) -> RegionGateway:
        return self.regions["two"]

    @property
    def three(self) -> RegionGateway:
        return self.regions["three"]

    @property
    def uses(self) -> RegionUses:
        """What the asking region kept."""
        return RegionUses(self.one.installation.engines.records)

    def key(self, region: RegionGateway) -> VerifierKey:
        """Return the key of a region's disclosure log, as whoever pins it would."""
        history = self.one.installation.log.history(
            kind="region", id=region.client_id, after=0, limit=100
        )
        document: Any = history[-1].document
        return VerifierKey.parse(document["log_keys"]["disclosure"])

    async def publish(
        self, region: RegionGateway, subject: str, records: int = 1, item: str = PUBLIC_ITEM
    ) -> list[str]:
        """Publish records about a subject in a region; return their names."""
        name = next(name for name, each in self.regions.items() if each is region)
        drafts = [
            placed(draft(f"{name}-{subject}-{item}-{number}", subject, item), DISTRICTS[name])
            for number in range(records)
        ]
        await publish(await self.channels.of(region.gateway, PUBLISHER), drafts)
        return [f"records/{each.record_id}" for each in drafts]

    async def ask(
        self, *subjects: str, client_id: str = "alpha-one", **more: Any
    ) -> FederatedAnswer:
        """Ask the other regions as alpha."""
        channel = await self.channels.of(self.one.gateway, client_id)
        return await ask_regions(channel, question(subjects, **more))


def question(subjects: Iterable[str], **more: Any) -> QueryRegionsRequest:
    """Return a question about the public item, to every region."""
    usual: dict[str, Any] = {
        "subjects": list(subjects),
        "items": [PUBLIC_ITEM],
        "purpose": PURPOSE,
        "request_id": uuid4().hex,
        "every_region": True,
        # No example is about how fast a busy machine is.
        "region_deadline": Duration(seconds=20),
    }
    return QueryRegionsRequest(**usual | more)


def placed(record: RecordDraft, code: str) -> RecordDraft:
    """Return a draft of a record of another division."""
    record.region = code
    return record


def closing(answer: FederatedAnswer, region: RegionGateway) -> RegionClosing:
    """Return how a region ended, which it must have."""
    closed = answer.regions[region.entity_id].closing
    assert closed is not None
    return closed


def ended(answer: FederatedAnswer, region: RegionGateway) -> str:
    """Return the name of how a region ended."""
    return RegionOutcome.Name(closing(answer, region).outcome).removeprefix("REGION_OUTCOME_")


def not_asked(answer: FederatedAnswer, region: RegionGateway) -> str:
    """Return the name of why a region was not asked."""
    reason = NotAskedReason.Name(closing(answer, region).not_asked)
    return reason.removeprefix("NOT_ASKED_REASON_")


def names(answer: FederatedAnswer, region: RegionGateway) -> list[str]:
    """Return the records of a region, by name."""
    return [record.name for _, record in answer.regions[region.entity_id].records]


def map_items(here: RegionGateway, there: RegionGateway, items: Mapping[str, str] = MAPPED) -> None:
    """Map items at ``here``: item here to the one of ``there``."""
    mapping = ItemMapping(region=there.entity_id, items=items, catalogue_version="1")
    here.installation.keep(ITEM_MAPPING, mapping.id, mapping)


@asynccontextmanager
async def open_world(folder: Path, **settings: Any) -> AsyncGenerator[World]:
    """Run an anchor and three regions that map one another's items, until all answer."""
    async with (
        federation(folder, "one", "two", "three", **settings) as (anchor, regions),
        World(anchor, regions) as world,
    ):
        await _ready(world)
        yield world


@asynccontextmanager
async def open_relayed(
    folder: Path, relay: Relay, database: str = "sqlite", **settings: Any
) -> AsyncGenerator[World]:
    """As `open_world`, but that the methods of region "two" are reached by way of ``relay``, and
    region "one" keeps what it has in ``database``."""
    async with AsyncExitStack() as stack:
        anchor = await stack.enter_async_context(running_anchor_at(folder / "anchor"))
        regions: dict[str, RegionGateway] = {}
        for name, district in DISTRICTS.items():
            store = database if name == "one" else "sqlite"
            installation = Installation(store, folder / name, settings=anchor.settings())
            stack.callback(installation.close)
            installation.furnish()
            own = {"grpc_url": f"https://{relay.address}"} if name == "two" else {}
            region = await stack.enter_async_context(
                running_region(installation, anchor, (district,), **settings, **own)
            )
            regions[name] = region
            if name == "two":
                relay.backend = region.gateway.running.grpc
        for name, region in regions.items():
            for other, peer in regions.items():
                if other != name:
                    region.admit(peer, f"region-{other}")
        for region in regions.values():
            for peer in regions.values():
                await eventually(partial(peer.may_ask, region), 10)
        async with World(anchor, regions) as world:
            await _ready(world)
            yield world


async def _ready(world: World) -> None:
    for home in (world.two, world.three):
        map_items(world.one, home)
        map_items(home, world.one)
    await eventually(partial(_answered, world), 20)


async def _answered(world: World) -> bool:
    """Tell whether every region has heard all it must to answer."""
    try:
        answer = await world.ask(company())
    except (grpc.aio.AioRpcError, TokenRefused):
        return False
    return len(answer.regions) == 2 and all(each.whole for each in answer.regions.values())
