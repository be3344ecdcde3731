"""Demo data brought to a running gateway, through its API; a second time changes nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1.disclosure_service_pb2 import PublishRecordsRequest, RecordDraft
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.operator_service_pb2 import Licence
from gateway.catalogue.file import NATIONAL, read_catalogue_file
from gateway.cli.calls import Gateway
from gateway.cli.catalogue_file import Outcome, apply_catalogue
from gateway.clock import Clock
from gateway.demo import cast
from gateway.demo.cast import ALPHA, BETA, Party
from gateway.demo.enrolment import REASON, Enrolment
from gateway.demo.invented import InventedRecords, invented_records
from gateway.installation.home import Home
from gateway.server.process import Running
from sdk.connection import connect
from sdk.credentials import Credentials
from sdk.loading.load import LoadSummary, Progress, load
from sdk.tokens import TokenRefused

SAMPLE: Final = Path(__file__).parent / "sample"
# A price plan must not start in the past; by then the request has arrived.
_PLAN_STARTS_IN: Final = 2
# Guarantee G4.
_KNOWN_BY_ALL_SECONDS: Final = 1


class SeedRefused(Exception):
    """Demo data did not enter the gateway; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the gateway now holds. ``items`` counts the catalogue's items by outcome."""

    items: dict[Outcome, int]
    licences: dict[str, Licence]
    invented: InventedRecords
    source: Path
    load: LoadSummary


@asynccontextmanager
async def acting_as(home: Home, client_id: str) -> AsyncGenerator[Gateway]:
    """Connect as a client whose keys lie in ``home``.

    Raises SeedRefused where the gateway knows it no longer.
    """
    try:
        async with await connect(Credentials.load(home.profile(client_id))) as channel:
            yield Gateway(channel)
    except TokenRefused as error:
        if error.error != "invalid_client":
            raise
        raise SeedRefused(
            f'The gateway does not know the demo\'s client "{client_id}": it was removed, or got'
            " other keys. Set CREDITGATE_HOME to a new folder for a new demo, or serve this one"
            " without --demo."
        ) from None


async def seed(
    home: Home,
    running: Running,
    clock: Clock,
    *,
    data: Path | None,
    progress: Callable[[Progress], None],
    parties: Sequence[Party] = (ALPHA, BETA),
) -> Seeded:
    """Bring catalogue, operators, prices and records to the gateway that is ``running``.

    ``data`` is a folder of files to load, None the sample that ships; rejected rows are
    written to rejects.csv in the home. Returns once the prices are in force. Raises
    SeedRefused, grpc.RpcError, and what `sdk.loading.load.load` raises.
    """
    source = SAMPLE if data is None else data
    async with acting_as(home, cast.ADMINISTRATOR) as gateway:
        applied, priced_from = await furnish(gateway, clock)
        enrolment = Enrolment(gateway, home, clock)
        await enrolment.publisher()
        await enrolment.console()
        licences = {party.operator_id: await enrolment.operator(party) for party in parties}
    home.point_profiles_at(running.grpc, running.issuer, home.ca)
    invented = invented_records(licences[ALPHA.operator_id].validity.start_time.seconds)
    # Whoever is asked next may be another process.
    await asyncio.sleep(_KNOWN_BY_ALL_SECONDS)
    async with acting_as(home, cast.PUBLISHER) as gateway:
        await publish(gateway, invented.all)
        loaded = await load(
            gateway.channel, source, report=home.root / "rejects.csv", progress=progress
        )
    await asyncio.sleep(max(0, priced_from - clock.now()))
    items = {outcome: applied[outcome] for outcome in Outcome}
    return Seeded(items, licences, invented, source, loaded)


async def furnish(gateway: Gateway, clock: Clock) -> tuple[Counter[Outcome], int]:
    """Give a gateway the national catalogue, prices and a sharing rule.

    Returns the catalogue's items by outcome, and from when on the prices are in force (seconds,
    UTC). Raises grpc.RpcError.
    """
    applied = await apply_catalogue(gateway, read_catalogue_file(NATIONAL), REASON)
    priced_from = await _prices(gateway, clock)
    await _sharing(gateway, clock)
    return Counter(each.outcome for each in applied), priced_from


async def _prices(gateway: Gateway, clock: Clock) -> int:
    """Put a price plan into force where there is none; return from when on it is."""
    listed = await gateway.ask(
        settlement_pb.ListPricePlansRequest(), settlement_pb.ListPricePlansResponse
    )
    if listed.plans:
        return listed.plans[0].effective_from.seconds
    starts = clock.now() + _PLAN_STARTS_IN
    plan = settlement_pb.PricePlan(
        plan_id=cast.PRICE_PLAN,
        effective_from=Timestamp(seconds=starts),
        prices=[
            settlement_pb.ClassPrice(price_class=name, unit_price_micro_yuan=price)
            for name, price in cast.PRICES.items()
        ],
    )
    await gateway.ask(
        settlement_pb.CreatePricePlanRequest(plan=plan, reason=REASON),
        settlement_pb.CreatePricePlanResponse,
    )
    return starts


async def _sharing(gateway: Gateway, clock: Clock) -> None:
    listed = await gateway.ask(
        settlement_pb.ListSharingRulesRequest(), settlement_pb.ListSharingRulesResponse
    )
    if listed.rules:
        return
    rule = settlement_pb.SharingRule(
        rule_id=cast.SHARING_RULE,
        effective_from=Timestamp(seconds=clock.now()),
        source_basis_points=cast.SOURCE_PART,
        region_basis_points=cast.REGION_PART,
        platform_basis_points=cast.PLATFORM_PART,
    )
    await gateway.ask(
        settlement_pb.CreateSharingRuleRequest(rule=rule, reason=REASON),
        settlement_pb.CreateSharingRuleResponse,
    )


async def publish(gateway: Gateway, drafts: Iterable[RecordDraft]) -> None:
    """Publish drafts as one batch, named by what is in it. Raises SeedRefused."""
    request = PublishRecordsRequest(records=drafts)
    drawn = sha256(request.SerializeToString(deterministic=True))
    request.batch_id = f"demo-{drawn.hexdigest()}"
    response = await DisclosureServiceStub(gateway.channel).PublishRecords(iter([request]))
    if response.rejected_records:
        why = "; ".join(
            f"{rejection.record_id}: {rejection.field}: {rejection.reason}"
            for rejection in response.rejections
        )
        raise SeedRefused(f"The gateway rejected invented demo records: {why}")
