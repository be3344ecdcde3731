"""Two real gateways concede disputed entries: to one version, whatever is made of it later."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import delete, select, update

from creditgate.clearing_entries import Version, entries_in, entries_text
from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.tables import ALERTS
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.clearing.tables import VERSIONS
from gateway.storage.engines import reading
from sdk.refusals import explain
from tests.cli.commands import creditgate_here
from tests.federating import RegionGateway
from tests.federation.clearing.world import FEE, World, open_world
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOME, ASKING = pb.ClearingStand.CLEARING_STAND_HOME, pb.ClearingStand.CLEARING_STAND_ASKING


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory, sqlite_stores: SqliteStores
) -> AsyncIterator[World]:
    async with open_world(tmp_path_factory.mktemp("conceding"), sqlite_stores) as opened:
        yield opened


def alerts(region: RegionGateway, kind: AlertKind.ValueType) -> int:
    with reading(region.installation.engines.evidence) as connection:
        return len(connection.execute(select(ALERTS).where(ALERTS.c.kind == int(kind))).all())


async def altered(world: World) -> pb.ClearingDispute:
    """Let the asking region lower a fee, and return the dispute that follows."""
    subject = await world.use()
    with world.asking.installation.engines.records.begin() as connection:
        own = REGION_USES.c.record_id == f"two-{subject}-0"
        connection.execute(update(REGION_USES).where(own).values(fee=FEE - 1))
    await world.run()
    (dispute,) = await world.disputes(world.home)
    return dispute


@pytest.mark.parametrize(
    ("conceding", "stands"),
    [("asking", HOME), pytest.param("home", ASKING, marks=pytest.mark.soak)],
)
async def test_who_concedes_gives_way_to_one_version_and_to_none_that_is_made_of_it_later(
    world: World, conceding: str, stands: pb.ClearingStand.ValueType
) -> None:
    honest = world.asking if conceding == "asking" else world.home
    cheating = world.peer(honest)
    dispute = await altered(world)
    await world.resolve(honest, dispute, stands)
    side = "home" if stands == HOME else "asking"
    with cheating.installation.engines.evidence.begin() as connection:
        own = VERSIONS.c.dispute_id == dispute.dispute_id
        column = VERSIONS.c[f"{side}_entries"]
        (entry,) = entries_in(connection.execute(select(column).where(own)).scalar_one())
        raised = (entry._replace(fee={HOME: 1000 * FEE, ASKING: 0}[stands]),)
        version = Version.of(raised)
        assert version is not None
        claimed = {
            column: entries_text(raised),
            VERSIONS.c[side]: version.text(),
            VERSIONS.c[f"{side}_version"]: version.digest(),
        }
        connection.execute(update(VERSIONS).where(own).values(claimed))
    for _ in range(2):
        clearing = await world.run()
        assert (clearing.agreed_entries, clearing.disputes) == (0, 1)
        (left,) = await world.disputes(honest)
        assert left.stands == pb.CLEARING_STAND_UNSPECIFIED
        assert alerts(honest, AlertKind.ALERT_KIND_CLEARING_CONCESSION) == 1
        assert not alerts(cheating, AlertKind.ALERT_KIND_CLEARING_CONCESSION)
    await world.resolve(cheating, dispute, ASKING if stands == HOME else HOME)
    settled = await world.run()
    assert (settled.agreed_entries, settled.disputes) == (1, 0)
    assert max(settled.owed_micro_yuan, settled.due_micro_yuan) == entry.fee
    with honest.installation.engines.evidence.begin() as connection:
        connection.execute(delete(ALERTS))


async def test_who_resolves_names_the_version_it_was_shown_and_resolves_no_other(
    world: World,
) -> None:
    dispute = await altered(world)
    shown = [dispute.home_version, dispute.asking_version]
    assert len(set(shown)) == 2
    for stands, own in ((HOME, shown[0]), (ASKING, shown[1])):
        for version in ("", *shown, 64 * "0"):
            if version == own:
                continue
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await world.call(
                    world.asking,
                    "ResolveClearingDispute",
                    pb.ResolveClearingDisputeRequest(
                        dispute_id=dispute.dispute_id, stands=stands, version=version, note="no"
                    ),
                )
            assert explain(error.value).reason == "ETAG_MISMATCH"
    (left,) = await world.disputes(world.asking)
    assert left.stands == pb.CLEARING_STAND_UNSPECIFIED
    command = ("federation", "clearing", "resolve", dispute.dispute_id, "--stands", "home")
    folder = world.asking.installation.folder
    for version, status in (("f" * 12 if shown[0][0] != "f" else "0" * 12, 1), (shown[0][:12], 0)):
        ran = await asyncio.to_thread(
            creditgate_here, folder, *command, "--version", version, "--note", "seen"
        )
        assert ran.status == status, ran.told
    assert (await world.run()).disputes == 0


async def test_where_both_concede_the_version_of_the_home_region_is_agreed(world: World) -> None:
    dispute = await altered(world)
    await world.resolve(world.home, dispute, ASKING)
    await world.resolve(world.asking, dispute, HOME)
    crossed = await world.run()
    assert (crossed.agreed_entries, crossed.disputes) == (0, 1)
    settled = await world.run()
    assert (settled.agreed_entries, settled.disputes) == (1, 0)
    assert max(settled.owed_micro_yuan, settled.due_micro_yuan) == FEE
    for region in (world.asking, world.home):
        assert not alerts(region, AlertKind.ALERT_KIND_CLEARING_CONCESSION)
