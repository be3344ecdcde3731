"""Two real gateways clear over gRPC: agreed entry by entry, and whoever cheats is found."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf import json_format
from sqlalchemy import delete, insert, select, update

from creditgate.clearing import Clearing, document_digest
from creditgate.clearing_entries import entries_digest
from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.federation_service_pb2 import AgreeClearingRequest
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from gateway.alerts.tables import ALERTS
from gateway.authority.view import AuthorityView
from gateway.consents.schema import receipt_keys
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.clearing.calling import AGREE_SCOPE
from gateway.federation.clearing.tables import CLEARINGS, DISPUTES
from gateway.meter.receipts import ReceiptSigner
from gateway.meter.tables import USAGE
from gateway.oauth.signing import SigningKeys
from gateway.server.log_keys import LogKeys
from gateway.storage.engines import reading
from gateway.transparency.tables import LogId
from sdk.clearings import read_clearing
from sdk.documents import DocumentRefused
from sdk.refusals import Refusal, explain
from sdk.verifying import main as verify
from tests.cli.commands import creditgate_here
from tests.federating import RegionGateway
from tests.federation.clearing.world import FEE, World, open_world
from tests.stores import PostgresStores, SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOME, ASKING = pb.ClearingStand.CLEARING_STAND_HOME, pb.ClearingStand.CLEARING_STAND_ASKING


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory, sqlite_stores: SqliteStores
) -> AsyncIterator[World]:
    async with open_world(tmp_path_factory.mktemp("clearing"), sqlite_stores) as opened:
        yield opened


def keys_of(world: World) -> dict[str, Any]:
    """Return both regions' document keys, as whoever pins them would."""
    keys: dict[str, Any] = {}
    for region in (world.asking, world.home):
        view = AuthorityView().advanced(region.installation.log.since(0))
        keys[region.entity_id] = receipt_keys(view.signing_keys)
    return keys


def usage_key(world: World) -> str:
    """Return the key of the home region's receipts, as its trust chain has it."""
    history = world.asking.installation.log.history(
        kind="region", id=world.home.client_id, after=0, limit=100
    )
    document: Any = history[-1].document
    key: str = document["log_keys"]["usage"]
    return key


def sign(region: RegionGateway, clearing: Clearing) -> str:
    """Sign a clearing as a region."""
    installation = region.installation
    view = AuthorityView().advanced(installation.log.since(0))
    keys = SigningKeys(installation.home.keys)
    return keys.sign(view.signing_keys, clearing.as_json(), "creditgate-clearing+jwt", clearing.iat)


async def proposed(world: World, document: str) -> Refusal:
    """Propose a document as the proposing region, and return why it is refused."""
    token = await world.proposing.token_at(world.other, AGREE_SCOPE)
    async with world.proposing.channel_to(world.other) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await FederationServiceStub(channel).AgreeClearing(
                AgreeClearingRequest(document=document),
                metadata=(("authorization", f"Bearer {token}"),),
                timeout=20,
            )
    return explain(error.value)


def alerts(region: RegionGateway, kind: AlertKind.ValueType) -> int:
    with reading(region.installation.engines.evidence) as connection:
        return len(connection.execute(select(ALERTS).where(ALERTS.c.kind == int(kind))).all())


async def kept(world: World, clearing: pb.Clearing, path: Path) -> tuple[Path, Path]:
    """Keep a clearing, and the keys, for whoever verifies it offline."""
    answer = await world.signed(world.asking, clearing)
    file, keys = path / "clearing.json", path / "keys.json"
    file.write_text(json_format.MessageToJson(answer))
    keys.write_text(json.dumps(keys_of(world)))
    return file, keys


async def offline(
    world: World, clearing: pb.Clearing, path: Path, capsys: pytest.CaptureFixture[str]
) -> Mapping[str, Any]:
    """Return what `creditgate-verify` tells of a clearing by pinned keys alone."""
    file, keys = await kept(world, clearing, path)
    usage = [f"--usage-key={world.home.entity_id}={usage_key(world)}"]
    arguments = ["clearing", str(file), "--keys", str(keys), *usage]
    assert verify(arguments) == 0
    told: Mapping[str, Any] = json.loads(capsys.readouterr().out)
    return told


async def test_what_both_metered_is_agreed_with_both_signatures(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.use(3)
    await world.use(2)
    clearing = await world.run()
    assert (clearing.agreed_entries, clearing.disputes, clearing.under_way) == (5, 0, 0)
    for region, owed, due in ((world.asking, 5 * FEE, 0), (world.home, 0, 5 * FEE)):
        first = (await world.clearings(region))[0]
        assert (first.owed_micro_yuan, first.due_micro_yuan) == (owed, due)
    told = await offline(world, clearing, tmp_path, capsys)
    assert told["due_micro_yuan"] == {world.home.entity_id: 5 * FEE, world.asking.entity_id: 0}
    nothing = await world.run()
    assert (nothing.agreed_entries, nothing.owed_micro_yuan, nothing.due_micro_yuan) == (0, 0, 0)


async def test_a_fee_that_the_asking_region_altered_is_found_and_the_receipt_convicts_it(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = await world.use(4)
    with world.asking.installation.engines.records.begin() as connection:
        first = f"two-{subject}-0"
        connection.execute(
            update(REGION_USES).where(REGION_USES.c.record_id == first).values(fee=FEE - 1)
        )
    clearing = await world.run()
    assert (clearing.agreed_entries, clearing.disputes) == (3, 1)
    for region in (world.asking, world.home):
        (dispute,) = await world.disputes(region)
        assert dispute.kind == pb.CLEARING_DISPUTE_KIND_FEE
        assert dispute.home_entry.record_id == first
        fees = (dispute.home_entry.fee_micro_yuan, dispute.asking_entry.fee_micro_yuan)
        assert fees == (FEE, FEE - 1)
        assert dispute.supported == HOME
        assert alerts(region, AlertKind.ALERT_KIND_CLEARING_DISPUTE) == 1
    told = await offline(world, clearing, tmp_path, capsys)
    assert [each["supported"] for each in told["disputes"]] == ["home"]

    carried = await world.run()
    assert (carried.agreed_entries, carried.disputes) == (0, 1)
    await world.resolve(world.asking, dispute, HOME)
    settled = await world.run()
    assert (settled.agreed_entries, settled.adjusted_entries, settled.disputes) == (1, 1, 0)
    assert max(settled.owed_micro_yuan, settled.due_micro_yuan) == FEE
    assert await world.disputes(world.home) == await world.disputes(world.asking) == []
    again = await world.run()
    assert again.agreed_entries == 0


async def test_a_receipt_that_the_asking_region_forged_with_its_own_key_supports_nobody(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = await world.use()
    installation = world.asking.installation
    issuer = world.asking.gateway.running.issuer
    key = LogKeys(installation.home, installation.engines, issuer).of(LogId.USAGE)
    with installation.engines.records.begin() as connection:
        first = REGION_USES.c.record_id == f"two-{subject}-0"
        connection.execute(update(REGION_USES).where(first).values(fee=FEE - 1))
        own = REGION_ANSWERS.c.region_request_id.in_(
            select(REGION_USES.c.region_request_id).where(first)
        )
        answer = connection.execute(select(REGION_ANSWERS).where(own)).mappings().one()
        receipt = UsageReceipt.FromString(answer["receipt"])
        leaf = UsageLeaf.FromString(receipt.leaf)
        for line in leaf.lines:
            line.unit_price_micro_yuan = FEE - 1
        leaf.fee_micro_yuan = FEE - 1
        (signed,) = ReceiptSigner(key).receipts([leaf.SerializeToString(deterministic=True)])
        forged = UsageReceipt.FromString(signed)
        forged.detail = receipt.detail
        connection.execute(
            update(REGION_ANSWERS).where(own).values(receipt=forged.SerializeToString())
        )
    clearing = await world.run()
    for region in (world.asking, world.home):
        (dispute,) = await world.disputes(region)
        assert dispute.kind == pb.CLEARING_DISPUTE_KIND_FEE
        assert dispute.supported != ASKING
    file, keys = await kept(world, clearing, tmp_path)
    arguments = ["clearing", str(file), "--keys", str(keys)]
    for home in (world.home, world.asking):
        # Even where a key is pinned that is the other region's, nothing of it is proved.
        for pinned in (usage_key(world), str(key.verifier)):
            assert verify([*arguments, f"--usage-key={home.entity_id}={pinned}"]) == 0
            (told,) = json.loads(capsys.readouterr().out)["disputes"]
            if (home, pinned) != (world.home, str(key.verifier)):
                assert told["supported"] != "asking"
    with pytest.raises(SystemExit):
        verify([*arguments, "--usage-key", usage_key(world)])
    await world.resolve(world.asking, dispute, HOME)
    assert (await world.run()).disputes == 0


async def test_an_answer_that_is_under_way_is_no_dispute_and_is_cleared_once_it_is_kept(
    world: World,
) -> None:
    subject = await world.use(2)
    engine = world.asking.installation.engines.records
    with engine.begin() as connection:
        # Others are of the same second.
        own = REGION_USES.c.subject == subject
        uses = connection.execute(select(REGION_USES).where(own)).mappings().all()
        came = REGION_ANSWERS.c.region_request_id == uses[0]["region_request_id"]
        answer = connection.execute(select(REGION_ANSWERS).where(came)).mappings().one()
        connection.execute(delete(REGION_USES).where(own))
        connection.execute(delete(REGION_ANSWERS).where(came))
    clearing = await world.run()
    assert (clearing.agreed_entries, clearing.disputes, clearing.under_way) == (0, 0, 1)
    with engine.begin() as connection:
        connection.execute(insert(REGION_ANSWERS).values(dict(answer)))
        connection.execute(insert(REGION_USES), [dict(use) for use in uses])
    late = await world.run()
    assert (late.agreed_entries, late.adjusted_entries, late.under_way) == (2, 2, 0)
    assert (await world.run()).agreed_entries == 0


async def test_what_is_forged_altered_or_agreed_otherwise_before_is_not_signed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.use(1)
    clearing = await world.run()
    answer = await world.signed(world.proposing, clearing)
    text = read_clearing(json_format.MessageToJson(answer).encode()).document
    true = Clearing.model_validate(
        read_clearing(json_format.MessageToJson(answer).encode())
        .verified(keys_of(world))
        .model_dump()
    )
    other = true.model_copy(update={"other_due": true.other_due + 1})
    refused = await proposed(world, sign(world.proposing, other))
    assert (refused.reason, refused.metadata["why"]) == ("STATE_CONFLICT", "agreed_otherwise")
    forged = await proposed(world, sign(world.other, true))
    assert forged.reason == "INVALID_REQUEST"
    later = other.model_copy(
        update={
            "start": true.until,
            "until": world.settled(),
            "previous": document_digest(text),
            "entries": 1,
            "entries_digest": entries_digest([b"x" * 32]),
        }
    )
    wrong = await proposed(world, sign(world.proposing, later))
    assert (wrong.reason, wrong.metadata["why"]) == ("STATE_CONFLICT", "differs")
    file, keys = await kept(world, clearing, tmp_path)
    swapped = json.loads(file.read_text())
    swapped["signed"]["document"] = sign(world.proposing, other)
    file.write_text(json.dumps(swapped))
    assert verify(["clearing", str(file), "--keys", str(keys)]) == 1
    assert "another clearing" in capsys.readouterr().err
    with pytest.raises(DocumentRefused):
        read_clearing(file.read_bytes()).verified({})


@pytest.mark.parametrize(
    "lost",
    [
        "the answer",
        *(
            pytest.param(lost, marks=pytest.mark.soak)
            for lost in ("the proposal too", "the other's signature")
        ),
    ],
)
async def test_a_side_that_is_killed_while_it_agrees_loses_and_doubles_nothing(
    world: World, lost: str
) -> None:
    await world.use(2)
    clearing = await world.run()
    until = clearing.until_time.seconds
    forgetting = [world.other if "other" in lost else world.proposing]
    if "other" in lost:
        forgetting.append(world.proposing)
    for region in forgetting:
        with region.installation.engines.evidence.begin() as connection:
            own = CLEARINGS.c.until == until
            if "too" in lost or region is world.other:
                connection.execute(delete(CLEARINGS).where(own))
            else:
                connection.execute(
                    update(CLEARINGS).where(own).values(agreed_at=None, acceptance="")
                )
    before = await world.signed(world.other, clearing) if "other" not in lost else None
    after = await world.run()
    assert after.agreed_entries == 0
    for region in (world.proposing, world.other):
        (own,) = [
            each for each in await world.clearings(region) if each.until_time.seconds == until
        ]
        assert own.HasField("agree_time")
        assert own.agreed_entries == 2
    signed = await world.signed(world.proposing, clearing)
    theirs = await world.signed(world.other, clearing)
    assert signed.signed == theirs.signed
    if before is not None:
        assert before.signed == theirs.signed


async def test_the_region_that_is_not_to_propose_says_so(world: World) -> None:
    request = pb.RunClearingRequest(region=world.proposing.entity_id)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.call(world.other, "RunClearing", request)
    assert explain(error.value).reason == "STATE_CONFLICT"


async def test_an_entry_that_the_home_region_dropped_is_proved_by_its_own_receipt(
    world: World,
) -> None:
    await world.use(2)
    with world.home.installation.engines.records.begin() as connection:
        last = select(USAGE.c.sequence).order_by(USAGE.c.sequence.desc()).limit(1)
        connection.execute(delete(USAGE).where(USAGE.c.sequence.in_(last.scalar_subquery())))
    clearing = await world.run()
    assert (clearing.agreed_entries, clearing.disputes) == (0, 1)
    (dispute,) = await world.disputes(world.home)
    assert (dispute.kind, dispute.asking.entries) == (pb.CLEARING_DISPUTE_KIND_ASKING_ONLY, 2)
    assert not dispute.HasField("home")
    assert dispute.supported == ASKING
    await world.resolve(world.home, dispute, ASKING)
    settled = await world.run()
    assert (settled.agreed_entries, settled.adjusted_entries, settled.disputes) == (2, 2, 0)


async def test_administrators_clear_by_command_and_net_what_they_keep_offline(
    world: World, tmp_path: Path
) -> None:
    await world.use(1)
    until = datetime.fromtimestamp(world.settled(), UTC).isoformat()

    async def told(region: RegionGateway, *arguments: str | Path) -> Any:
        home = region.installation.folder
        ended = await asyncio.to_thread(
            creditgate_here, home, "federation", "clearing", *arguments, "--json"
        )
        assert ended.status == 0, ended.told
        return ended.json

    other = world.other.entity_id
    ran = await told(world.proposing, "run", other, "--until", until)
    assert ran["clearing"]["agreed_entries"] == "1"
    listed = await told(world.other, "list", "--region", world.proposing.entity_id)
    assert listed["clearings"][0]["agreed_entries"] == "1"
    assert listed["peers"][0]["region"] == world.proposing.entity_id
    shown = await told(world.proposing, "show", other, until)
    file, keys = tmp_path / "clearing.json", tmp_path / "keys.json"
    file.write_text(json.dumps(shown))
    keys.write_text(json.dumps(keys_of(world)))
    # The same clearing twice is netted once.
    net = await told(world.proposing, "net", file, file, "--keys", keys)
    owed = {world.asking.entity_id: -FEE, world.home.entity_id: FEE}
    assert net["positions_micro_yuan"] == owed
    assert net["transfers"] == [
        {"from": world.asking.entity_id, "to": world.home.entity_id, "micro_yuan": FEE}
    ]
    own = await told(world.asking, "net")
    assert int(own["net_micro_yuan"]) < 0


async def test_what_is_owed_is_the_sum_of_the_clearings(world: World) -> None:
    nets = {
        region.entity_id: await world.call(region, "GetClearingNets", pb.GetClearingNetsRequest())
        for region in (world.asking, world.home)
    }
    owed = nets[world.asking.entity_id].net_micro_yuan
    assert owed == -nets[world.home.entity_id].net_micro_yuan < 0
    assert owed % FEE == 0


async def test_clearing_is_the_same_on_postgresql(
    tmp_path: Path, postgres_stores: PostgresStores
) -> None:
    async with open_world(tmp_path, postgres_stores) as world:
        subject = await world.use(3)
        with world.asking.installation.engines.records.begin() as connection:
            connection.execute(
                update(REGION_USES)
                .where(REGION_USES.c.record_id == f"two-{subject}-1")
                .values(fee=FEE + 7)
            )
        clearing = await world.run()
        assert (clearing.agreed_entries, clearing.disputes) == (2, 1)
        (dispute,) = await world.disputes(world.home)
        await world.resolve(world.asking, dispute, HOME)
        settled = await world.run()
        assert (settled.agreed_entries, settled.disputes) == (1, 0)
        with reading(world.home.installation.engines.evidence) as connection:
            assert connection.execute(select(DISPUTES.c.closed)).scalar() is not None
