"""Two real gateways clear to the end, however much differs: disputes are by answer, and pages."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf import json_format
from sqlalchemy import delete, select, update

from creditgate import clearing_disputes
from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1 import federation_service_pb2 as federation
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from gateway.alerts.tables import ALERTS
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.clearing import calling, comparing, evidence, follower, own_side
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.calling import RECONCILE_SCOPE
from gateway.federation.clearing.tables import CLEARINGS, DISPUTES, EVIDENCE, VERSIONS
from gateway.meter.tables import USAGE
from gateway.storage.background import Pace
from gateway.storage.engines import reading
from sdk.clearings import read_clearing
from sdk.documents import DocumentRefused
from sdk.refusals import explain
from tests.cli.commands import creditgate_here
from tests.federating import DISTRICTS, RegionGateway
from tests.federation.asking.world import company, placed
from tests.federation.clearing.test_two_regions import keys_of, sign
from tests.federation.clearing.world import FEE, World, open_world
from tests.installation import PUBLIC_ITEM, PUBLISHER, eventually
from tests.server.calls import draft, publish
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOME, ASKING = pb.ClearingStand.CLEARING_STAND_HOME, pb.ClearingStand.CLEARING_STAND_ASKING
HOME_ONLY = pb.CLEARING_DISPUTE_KIND_HOME_ONLY
MADE = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory, sqlite_stores: SqliteStores
) -> AsyncIterator[World]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(follower, "_PACE", Pace(0.2))
        patched.setattr(evidence, "MOST_MADE", MADE)
        # What only the home region has is no more under way.
        patched.setattr(clearing_disputes, "UNDER_WAY_SECONDS", 0)
        async with open_world(tmp_path_factory.mktemp("any_number"), sqlite_stores) as opened:
            yield opened


def forget(world: World, *subjects: str) -> None:
    """Let the asking region lose what it was given of some subjects, or of all."""
    with world.asking.installation.engines.records.begin() as connection:
        own = REGION_USES.c.subject.in_(subjects) if subjects else REGION_USES.c.subject != ""
        requests = select(REGION_USES.c.region_request_id).where(own)
        came = list(connection.execute(requests).scalars())
        connection.execute(delete(REGION_USES).where(own))
        connection.execute(
            delete(REGION_ANSWERS).where(REGION_ANSWERS.c.region_request_id.in_(came))
        )


def unmeter(world: World, region: RegionGateway, subject: str) -> None:
    """Let the ledger of a region lack what was used of a subject, as where it was put back."""
    if region is world.asking:
        forget(world, subject)
        return
    came = select(REGION_USES.c.region_request_id).where(REGION_USES.c.subject == subject)
    with reading(world.asking.installation.engines.records) as connection:
        requests = list(connection.execute(came).scalars())
    with region.installation.engines.records.begin() as connection:
        served = USAGE.c.request_id.in_(requests)
        connection.execute(update(USAGE).where(served).values(client_id="nobody"))


async def listed(world: World, region: RegionGateway, **more: Any) -> list[pb.ClearingDispute]:
    """Return every open dispute that a region lists, by pages of two."""
    found: list[pb.ClearingDispute] = []
    token = ""
    while not found or token:
        answer = await world.call(
            region,
            "ListClearingDisputes",
            pb.ListClearingDisputesRequest(page_size=2, page_token=token, **more),
        )
        assert len(answer.disputes) <= 2
        found += answer.disputes
        token = answer.next_page_token
    return found


def alerted(region: RegionGateway) -> list[int]:
    with reading(region.installation.engines.evidence) as connection:
        return list(connection.execute(select(ALERTS.c.counted)).scalars())


async def test_a_lost_answer_of_more_records_than_ever_is_one_dispute_and_stops_nothing(
    world: World,
) -> None:
    subjects = [company("two") for _ in range(42)]
    drafts = [
        placed(draft(f"two-{subject}-{number}", subject, PUBLIC_ITEM), DISTRICTS["two"])
        for subject in subjects
        for number in range(26)
    ]
    publisher = await world.channels.of(world.home.gateway, PUBLISHER)
    for first in range(0, len(drafts), 500):
        await publish(publisher, drafts[first : first + 500])
    await world.ask(*subjects)
    await world.use(3)
    forget(world, *subjects)
    clearing = await world.run()
    assert (clearing.agreed_entries, clearing.disputes, clearing.under_way) == (3, 1, 0)
    (own,), (theirs,) = [await listed(world, each) for each in (world.home, world.asking)]
    assert own.dispute_id == theirs.dispute_id
    assert (own.kind, own.home.entries) == (HOME_ONLY, 42 * 26)
    assert (own.home.fee_micro_yuan, own.home) == (42 * 26 * FEE, theirs.home)
    records: set[str] = set()
    token = ""
    for _ in range(6):
        request = pb.ListClearingDisputesRequest(
            dispute_id=own.dispute_id, page_size=200, page_token=token
        )
        page = await world.call(world.asking, "ListClearingDisputes", request)
        records.update(each.record_id for each in page.home_entries)
        token = page.next_page_token
    assert token == ""
    assert records == {f"two-{subject}-{number}" for subject in subjects for number in range(26)}

    # It is open for as long as nobody concedes, and tells of nothing new.
    carried = await world.run()
    assert (carried.agreed_entries, carried.disputes) == (0, 1)
    assert alerted(world.home) == alerted(world.asking) == [1]
    await world.resolve(world.asking, own, HOME)
    settled = await world.run()
    assert (settled.agreed_entries, settled.adjusted_entries, settled.disputes) == (1_092, 1_092, 0)
    assert max(settled.owed_micro_yuan, settled.due_micro_yuan) == 1_092 * FEE


async def test_a_region_that_drops_everything_is_cleared_with_and_every_answer_is_proved(
    world: World, tmp_path: Path
) -> None:
    for _ in range(2 * MADE + 1):
        await world.use(2)
    forget(world)
    clearing = await world.run()
    assert (clearing.agreed_entries, clearing.disputes) == (0, 2 * MADE + 1)
    disputes = [await listed(world, region) for region in (world.home, world.asking)]
    assert [each.home for each in disputes[0]] == [each.home for each in disputes[1]]
    assert len({each.dispute_id for each in disputes[0]}) == 2 * MADE + 1

    async def proved(region: RegionGateway) -> bool:
        with reading(region.installation.engines.evidence) as connection:
            rows = connection.execute(select(EVIDENCE.c.dispute_id)).scalars()
            return {each.dispute_id for each in disputes[0]} <= set(rows)

    await eventually(partial(proved, world.home), 10)
    await world.use(1)
    assert (await world.run()).agreed_entries == 1
    await eventually(partial(proved, world.asking), 10)

    for region in (world.home, world.asking):
        answer = await world.signed(region, clearing)
        file = json_format.MessageToJson(answer).encode()
        kept = read_clearing(file)
        signed = kept.verified(keys_of(world))
        assert len(kept.evidence) >= 2 * MADE + 1
        kept.verify_disputes(signed)
        for left, why in ((kept.disputes[1:], "lists"), (kept.disputes[:1] * 7, "not those")):
            with pytest.raises(DocumentRefused, match=why):
                kept._replace(disputes=left).verify_disputes(signed)
    home = world.asking.installation.folder
    shown = await asyncio.to_thread(
        creditgate_here,
        home,
        "federation",
        "clearing",
        "list",
        "--dispute",
        disputes[0][0].dispute_id,
    )
    assert shown.status == 0
    assert "home_only" in shown.out
    for dispute in disputes[0]:
        await world.resolve(world.home, dispute, ASKING)
    settled = await world.run()
    assert (settled.agreed_entries, settled.disputes) == (0, 0)


@pytest.mark.parametrize("proposed", [True, False], ids=["proposing", "asked"])
async def test_a_clearing_that_was_lost_is_handed_back_with_what_it_left_out(
    world: World, proposed: bool
) -> None:
    loser = world.proposing if proposed else world.other
    keeper = world.peer(loser)
    lost, gone = await world.use(2), await world.use(2)
    with world.asking.installation.engines.records.begin() as connection:
        own = REGION_USES.c.record_id == f"two-{lost}-0"
        connection.execute(update(REGION_USES).where(own).values(fee=FEE + 1))
    clearing = await world.run()
    assert (clearing.agreed_entries, clearing.disputes) == (3, 1)
    (dispute,) = await listed(world, world.home)
    await world.resolve(world.asking, dispute, HOME)
    settled = await world.run()
    assert (settled.agreed_entries, settled.disputes) == (1, 0)
    # What the region knows of clearings is put back, with some of its ledger; since then it has more.
    with loser.installation.engines.evidence.begin() as connection:
        connection.execute(
            delete(CLEARINGS).where(CLEARINGS.c.until >= clearing.until_time.seconds)
        )
        for table in (DISPUTES, VERSIONS):
            connection.execute(delete(table).where(table.c.dispute_id == dispute.dispute_id))
    unmeter(world, loser, gone)
    await world.use(1)
    after = await world.run()
    assert (after.agreed_entries, after.disputes) == (1, 0)
    for cleared in (clearing, settled):
        own, theirs = [await world.signed(region, cleared) for region in (loser, keeper)]
        assert own.signed == theirs.signed
        left_out = [
            [(d.dispute_id, d.kind, d.home, d.asking) for d in each.disputes]
            for each in (own, theirs)
        ]
        assert left_out[0] == left_out[1]


async def test_a_region_put_back_to_when_it_proposed_another_takes_what_both_signed(
    world: World,
) -> None:
    await world.use(2)
    clearing = await world.run()
    answer = await world.signed(world.proposing, clearing)
    kept = read_clearing(json_format.MessageToJson(answer).encode()).verified(keys_of(world))
    earlier = sign(world.proposing, kept.model_copy(update={"iat": kept.iat - 1}))
    with world.proposing.installation.engines.evidence.begin() as connection:
        own = CLEARINGS.c.until == clearing.until_time.seconds
        anew = {"document": earlier, "acceptance": "", "agreed_at": None}
        connection.execute(update(CLEARINGS).where(own).values(anew))
    await world.use(1)
    assert (await world.run()).agreed_entries == 1
    own, theirs = [
        await world.signed(region, clearing) for region in (world.proposing, world.other)
    ]
    assert own.signed == theirs.signed == answer.signed


@pytest.mark.parametrize("wanted", ["symbols", "all elements"])
async def test_differences_are_found_by_whatever_is_fewer_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    if wanted == "all elements":
        monkeypatch.setattr(comparing, "_FEW", 0)
        monkeypatch.setattr(comparing, "MOST_AT_ONCE", 2)
    subjects = [await world.use(1) for _ in range(3)]
    forget(world, subjects[0])
    clearing = await world.run()
    assert (clearing.agreed_entries, clearing.disputes) == (2, 1)
    (dispute,) = await listed(world, world.home)
    await world.resolve(world.home, dispute, ASKING)
    assert (await world.run()).disputes == 0


async def test_a_region_that_clears_by_an_older_version_is_refused_and_people_are_told_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await world.proposing.token_at(world.other, RECONCILE_SCOPE)
    opening = federation.ClearingOpening(until_seconds=world.settled(), format_version=1)
    async with world.proposing.channel_to(world.other) as channel:
        call = FederationServiceStub(channel).ReconcileClearing(
            iter([federation.ReconcileClearingRequest(opening=opening)]),
            metadata=(("authorization", f"Bearer {token}"),),
            timeout=20,
        )
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
    (violation,) = explain(error.value).violations
    assert violation.field == "opening"
    assert "format_version 2" in violation.description
    monkeypatch.setattr(calling, "FORMAT_VERSION", 1)
    with pytest.raises(grpc.aio.AioRpcError, match="another version"):
        await world.run()
    monkeypatch.undo()
    attempts = SqlAttempts(world.proposing.installation.engines.evidence)
    assert "upgrade" in attempts.failures()[world.other.entity_id].why
    assert (await world.run()).disputes == 0


async def test_a_file_that_was_kept_names_every_dispute(world: World, tmp_path: Path) -> None:
    subject = await world.use(2)
    forget(world, subject)
    clearing = await world.run()
    ended = await asyncio.to_thread(
        creditgate_here,
        world.home.installation.folder,
        *("federation", "clearing", "show", world.asking.entity_id),
        str(clearing.until_time.ToJsonString()),
        "--json",
    )
    assert ended.status == 0, ended.told
    kept = read_clearing(json.dumps(ended.json).encode())
    kept.verify_disputes(kept.verified(keys_of(world)))
    assert [each.kind for each in kept.disputes] == ["home_only"]


async def test_a_period_of_more_entries_than_one_clearing_takes_is_cleared_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.run()
    before = {each.until_time.seconds for each in await world.clearings(world.home)}
    for _ in range(3):
        # Seconds are not parted.
        world.clock.reached = world.clock.now() + 1
        await world.use(2)
    monkeypatch.setattr(own_side, "MOST_ENTRIES", 4)
    last = await world.run()
    parts = [
        each for each in await world.clearings(world.home) if each.until_time.seconds not in before
    ]
    assert len(parts) > 1
    assert sum(each.agreed_entries for each in parts) == 6
    assert max(each.agreed_entries for each in parts) <= 4
    assert last.until_time == max((each.until_time for each in parts), key=lambda at: at.seconds)
    attempts = SqlAttempts(world.proposing.installation.engines.evidence)
    assert world.other.entity_id not in attempts.failures()
