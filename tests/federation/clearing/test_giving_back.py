"""What a home region conceded in clearing is given back to the other as its operator, once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from sqlalchemy import delete, func, select, update

from creditgate.rating.components import GRADUATED, Tier
from creditgate.transparency.note import VerifierKey
from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from creditgate.v1.usage_evidence_pb2 import ShownLeaf, UsageEvidence, UsageEvidenceKind
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageReceipt
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.clearing.conceded import ConcededUses
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.giving_back import GivingBack
from gateway.federation.clearing.ledger import RegionLedger
from gateway.federation.clearing.store import SqlClearings
from gateway.federation.clearing.tables import CLEARINGS
from gateway.meter.receipts import ReceiptSigner
from gateway.meter.tables import USAGE
from gateway.server.log_keys import LogKeys
from gateway.server.settling import crediting
from gateway.settle.month import month_of, shifted
from gateway.settlement.checking import check_month
from gateway.settlement.tables import CREDIT_NOTES, CREDITED, ENTRIES, POSTINGS
from gateway.storage.engines import reading
from gateway.transparency.keys import LogKey
from gateway.transparency.tables import LogId
from tests.cli.commands import creditgate_here
from tests.federating import RegionGateway
from tests.federation.clearing.test_amounts import cleared, component, price, shares, statement
from tests.federation.clearing.test_conceding import altered
from tests.federation.clearing.world import FEE, World, open_world
from tests.installation import ADMINISTRATOR, eventually
from tests.settlement.world import Months
from tests.stores import PostgresStores, SqliteStores

HOME, ASKING = pb.ClearingStand.CLEARING_STAND_HOME, pb.ClearingStand.CLEARING_STAND_ASKING
_OPERATOR = "region-one"
_TIERS = (Tier(from_records=0, unit_price=FEE), Tier(from_records=4, unit_price=1_000))


@pytest_asyncio.fixture
async def world(tmp_path: Path, sqlite_stores: SqliteStores) -> AsyncIterator[World]:
    async with open_world(tmp_path, sqlite_stores) as opened:
        yield opened


async def _lost(world: World, records: int = 3) -> pb.ClearingDispute:
    """Let the asking region lose an answer of so many records, and return the dispute that follows."""
    subject = await world.use(records)
    with world.asking.installation.engines.records.begin() as connection:
        own = REGION_USES.c.record_id == f"two-{subject}-0"
        (request,) = connection.execute(
            select(REGION_USES.c.region_request_id).where(own)
        ).scalars()
        for table in (REGION_USES, REGION_ANSWERS):
            connection.execute(delete(table).where(table.c.region_request_id == request))
    await world.run()
    (dispute,) = await world.disputes(world.home)
    return dispute


def _notes(region: RegionGateway) -> int:
    """Return how many notes are kept, also those of nothing."""
    with reading(region.installation.engines.evidence) as connection:
        return connection.execute(select(func.count()).select_from(CREDIT_NOTES)).scalar_one()


async def _noted(world: World, number: int = 1) -> usage_pb.Statement:
    """Return the home region's statement of the other once it has so many notes in all."""
    await eventually(lambda: _has(world, number))
    return await statement(world, world.home, _OPERATOR)


async def _has(world: World, number: int) -> bool:
    return _notes(world.home) == number


async def _conceded(world: World, dispute: pb.ClearingDispute) -> int:
    """Let the home region concede, and return what is owed by all clearings after the next one."""
    await world.resolve(world.home, dispute, ASKING)
    return await cleared(world)


async def _giving_back(world: World, *, knows_prices: bool = True) -> GivingBack:
    """Return what gives back in the home region, as a process has it that begins now."""
    home = world.home.installation
    engines, own = home.engines, world.home.entity_id
    clearings = SqlClearings(engines.evidence)
    ledger = RegionLedger(engines.records, own, lambda _: _OPERATOR)
    feed = Months(engines).feed
    if knows_prices:
        await feed.refresh()
    return GivingBack(
        clearings,
        ConcededUses(ledger, clearings, SqlDisputes(engines.evidence), own),
        crediting(engines, LogKeys(home.home, engines, own), world.clock),
        feed.current,
    )


async def _closed(world: World, *months: str) -> settlement_pb.Settlement:
    """Close months in the home region, check each, and return the settlement of the last."""
    own = Months(world.home.installation.engines)
    await own.feed.refresh()
    settled = settlement_pb.Settlement()
    for month in months:
        settled = own.close(month, f"close-{month}", 4_000_000_000)
    for month in months:
        checked = check_month(own.engines, month)
        assert (checked.differing, checked.faults) == ((), ())
    assert not own.balances().total()
    return settled


async def test_answer_that_was_lost_and_is_conceded_is_charged_to_nobody(
    tmp_path: Path, stores: SqliteStores | PostgresStores
) -> None:
    async with open_world(tmp_path, stores) as world:
        await price(world, FEE, component(GRADUATED, tiers=_TIERS))
        await world.use(3)
        dispute = await _lost(world)
        assert dispute.kind in (
            pb.CLEARING_DISPUTE_KIND_HOME_ONLY,
            pb.CLEARING_DISPUTE_KIND_UNDER_WAY,
        )
        await world.resolve(world.home, dispute, ASKING)
        # Until both have signed it, nothing is agreed.
        assert not (await _giving_back(world)).give_back(world.asking.entity_id, _OPERATOR)
        assert not _notes(world.home)
        owed = await cleared(world)
        stated = await _noted(world)
        assert owed == 3 * FEE == stated.due_micro_yuan < stated.total_micro_yuan
        (note,) = stated.credit_notes
        assert note.amount_micro_yuan == FEE + 2_000
        (use,) = note.uses
        for told in (use.explanation_zh, use.explanation_en, note.reason):
            assert dispute.dispute_id in told
        assert not note.created_by
        # What is used later is of the tiers that count without it.
        await world.use(2)
        owed = await cleared(world)
        stated = await statement(world, world.home, _OPERATOR)
        assert owed == 4 * FEE + 1_000 == stated.due_micro_yuan
        assert not _notes(world.asking)
        month = month_of(world.clock.now()).name
        settled = await _closed(world, month)
        (closing,) = (each for each in settled.closings if each.operator_id == _OPERATOR)
        assert closing.due_micro_yuan == owed == settled.due_micro_yuan
        assert shares(settled.due_shares).total() == owed
        home = world.home.installation
        ran = await asyncio.to_thread(
            creditgate_here, home.folder, "log", "check", DATABASE=home.database
        )
        assert ran.status == 0, ran.out + ran.told


async def test_fee_that_is_conceded_is_charged_as_it_was_agreed(world: World) -> None:
    dispute = await altered(world)
    owed = await _conceded(world, dispute)
    stated = await _noted(world)
    assert owed == stated.due_micro_yuan == FEE - 1
    assert stated.total_micro_yuan == FEE
    settled = await _closed(world, month_of(world.clock.now()).name)
    assert shares(settled.due_shares).total() == FEE - 1


async def test_some_records_of_an_answer_that_are_conceded_are_given_back(world: World) -> None:
    subject = await world.use(3)
    with world.asking.installation.engines.records.begin() as connection:
        own = REGION_USES.c.record_id == f"two-{subject}-1"
        connection.execute(delete(REGION_USES).where(own))
    await world.run()
    (dispute,) = await world.disputes(world.home)
    owed = await _conceded(world, dispute)
    stated = await _noted(world)
    assert owed == stated.due_micro_yuan == 2 * FEE


async def test_nothing_is_given_back_where_the_home_regions_version_is_agreed(
    world: World,
) -> None:
    for conceding in (("asking",), ("home", "asking")):
        dispute = await altered(world)
        for name in conceding:
            region = world.asking if name == "asking" else world.home
            await world.resolve(region, dispute, HOME if name == "asking" else ASKING)
        for _ in conceding:
            await world.run()
        assert not await world.disputes(world.home)
        assert not (await _giving_back(world)).give_back(world.asking.entity_id, _OPERATOR)
        assert not _notes(world.home)
    stated = await statement(world, world.home, _OPERATOR)
    assert await cleared(world) == stated.due_micro_yuan == 2 * FEE


async def test_what_the_home_region_concedes_to_have_charged_too_little_is_not_charged(
    world: World,
) -> None:
    subject = await world.use()
    with world.asking.installation.engines.records.begin() as connection:
        own = REGION_USES.c.record_id == f"two-{subject}-0"
        connection.execute(update(REGION_USES).where(own).values(fee=FEE + 7))
    await world.run()
    (dispute,) = await world.disputes(world.home)
    assert await _conceded(world, dispute) == FEE + 7
    stated = await _noted(world)
    assert stated.due_micro_yuan == FEE
    assert not stated.credit_notes


async def test_note_is_made_once_whoever_asks_and_whatever_broke_off(world: World) -> None:
    dispute = await _lost(world)
    await _conceded(world, dispute)
    (note,) = (await _noted(world)).credit_notes
    evidence = world.home.installation.engines.evidence
    region = world.asking.entity_id
    for _ in range(2):
        begun = await _giving_back(world)
        for _ in range(2):
            assert not begun.give_back(region, _OPERATOR)
    assert _notes(world.home) == 1
    # As the store is where the process ended between signing and giving back.
    with evidence.begin() as connection:
        own = ENTRIES.c.about == note.credit_note_id
        (entry,) = connection.execute(select(ENTRIES.c.entry).where(own)).scalars()
        connection.execute(delete(POSTINGS).where(POSTINGS.c.entry == entry))
        connection.execute(delete(ENTRIES).where(own))
        connection.execute(delete(CREDITED))
        connection.execute(delete(CREDIT_NOTES))
    # What cannot be rated yet keeps nobody from trying again.
    unable = await _giving_back(world, knows_prices=False)
    assert not unable.give_back(region, _OPERATOR)
    assert not _notes(world.home)
    both = [await _giving_back(world) for _ in range(2)]
    made = (asyncio.to_thread(each.give_back, region, _OPERATOR) for each in both)
    assert not any(await asyncio.gather(*made))
    (again,) = (await _noted(world)).credit_notes
    assert (again.credit_note_id, again.amount_micro_yuan) == (note.credit_note_id, 3 * FEE)
    await _closed(world, month_of(world.clock.now()).name)


async def _charged_twice(world: World) -> bytes:
    """Return evidence that the last use of the asking region was charged before, as its key signs it."""
    home = world.home.installation
    own = (USAGE.c.operator_id == _OPERATOR) & (USAGE.c.entry_count > 0)
    with reading(home.engines.records) as connection:
        query = select(USAGE).where(own).order_by(USAGE.c.usage_index)
        first, second = connection.execute(query).all()[-2:]
    async with world.home.http() as http:
        name = VerifierKey.parse((await http.get("/log/usage/key")).text).name
    leaves = [
        UsageLeaf(
            kind=UsageKind.USAGE_KIND_ANSWER,
            operator_id=_OPERATOR,
            usage_index=row.usage_index,
            client_id=row.client_id,
            request_id=first.request_id,
            payload_digest=b"p",
            decision_id=f"d{row.usage_index}",
            serve_seconds=row.served_at,
            disclosure_sequence=1,
        )
        for row in (first, second)
    ]
    signer = ReceiptSigner(LogKey.kept_in(home.home.log_key(LogId.USAGE.path), name))
    receipts = signer.receipts([each.SerializeToString(deterministic=True) for each in leaves])
    return UsageEvidence(
        kind=UsageEvidenceKind.USAGE_EVIDENCE_KIND_TWICE,
        leaves=[ShownLeaf(receipt=UsageReceipt.FromString(receipt)) for receipt in receipts],
    ).SerializeToString()


async def test_use_that_was_credited_on_evidence_is_not_given_back_again(world: World) -> None:
    await world.use(3)
    dispute = await _lost(world)
    request = settlement_pb.CreateCreditNoteRequest(
        operator_id=_OPERATOR,
        evidence=await _charged_twice(world),
        reason="charged twice",
        request_id="r1",
    )
    channel = await world.channels.of(world.home.gateway, ADMINISTRATOR)
    await SettlementServiceStub(channel).CreateCreditNote(request)
    owed = await _conceded(world, dispute)
    stated = await _noted(world, 2)
    assert [each.amount_micro_yuan for each in stated.credit_notes] == [3 * FEE]
    assert owed == stated.due_micro_yuan == 3 * FEE
    settled = await _closed(world, month_of(world.clock.now()).name)
    assert settled.due_micro_yuan == owed


async def test_what_is_conceded_of_a_month_that_was_closed_is_given_back_in_the_open_one(
    world: World,
) -> None:
    await world.use(2)
    dispute = await _lost(world)
    month = month_of(world.clock.now())
    settled = await _closed(world, month.name)
    assert settled.due_micro_yuan == 5 * FEE
    owed = await _conceded(world, dispute)
    await _noted(world)
    later = await _closed(world, month.name, shifted(month, 1).name)
    assert later.due_micro_yuan == -3 * FEE
    assert settled.due_micro_yuan + later.due_micro_yuan == owed


async def test_what_was_cleared_and_is_claimed_anew_is_not_conceded_by_who_claims_it(
    world: World,
) -> None:
    await world.use(3)
    owed = await cleared(world)
    with world.asking.installation.engines.evidence.begin() as connection:
        connection.execute(update(CLEARINGS).values(elements=b"", ledger_entries=0))
    await world.run()
    (dispute,) = await world.disputes(world.asking)
    assert dispute.kind == pb.CLEARING_DISPUTE_KIND_ASKING_ONLY
    await world.resolve(world.asking, dispute, HOME)
    assert await cleared(world) == owed
    assert not await world.disputes(world.home)
    assert not (await _giving_back(world)).give_back(world.asking.entity_id, _OPERATOR)
    assert not _notes(world.home)
    assert (await statement(world, world.home, _OPERATOR)).due_micro_yuan == owed == 3 * FEE
