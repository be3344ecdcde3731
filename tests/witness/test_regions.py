"""Three regions witness one another over real connections."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns
from sqlite3 import connect
from typing import Any

import grpc
import pytest
import pytest_asyncio

from creditgate.transparency.cosignatures import (
    CosignerKey,
    WitnessPolicy,
    cosignatures_in,
    verify_witnessed,
)
from creditgate.transparency.note import VerifierKey, open_checkpoint
from creditgate.v1 import alert_service_pb2 as alerts
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1 import witness_service_pb2 as witness_pb
from creditgate.v1.alert_service_pb2_grpc import AlertServiceStub
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from creditgate.v1.witness_service_pb2_grpc import WitnessServiceStub
from gateway.federation.witness.calling import SCOPE
from gateway.federation.witness.wire import evidence_in, shown_message
from gateway.transparency.keys import LogKey
from gateway.transparency.log import LogReader
from gateway.transparency.tables import LogId
from sdk.histories import SplitView
from tests.cli.commands import Done, creditgate_here
from tests.federating import RegionGateway, federation
from tests.federation.channels import Channels
from tests.installation import ADMINISTRATOR, PUBLISHER, company, eventually
from tests.server.calls import draft, publish
from tests.witness.histories import History

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Three:
    """The regions, and what a test needs of each."""

    regions: Mapping[str, RegionGateway]
    channels: Channels
    published: int = 0

    async def publish(self, name: str, records: int = 1) -> None:
        """Publish invented records in a region."""
        self.published += 1
        channel = await self.channels.of(self.regions[name].gateway, PUBLISHER)
        await publish(
            channel,
            [draft(f"w-{self.published}-{n}", company(n)) for n in range(records)],
        )

    async def checkpoint(self, name: str) -> str:
        """Return the checkpoint of a region's disclosure log as it serves it."""
        async with self.regions[name].http() as http:
            return (await http.get("/log/disclosure/checkpoint")).text

    async def keys(self, name: str) -> tuple[VerifierKey, CosignerKey]:
        """Return the keys of a region's log and witness."""
        async with self.regions[name].http() as http:
            log = (await http.get("/log/disclosure/key")).text
            witness = (await http.get("/witness/key")).text
        return VerifierKey.parse(log), CosignerKey.parse(witness)

    async def splits(self, name: str) -> list[witness_pb.SplitView]:
        """Return the split views that stand in a region."""
        channel = await self.channels.of(self.regions[name].gateway, ADMINISTRATOR)
        answer = await WitnessServiceStub(channel).ListSplitViews(
            witness_pb.ListSplitViewsRequest()
        )
        return list(answer.split_views)

    def key(self, name: str) -> LogKey:
        """Return what a region signs its disclosure log with."""
        region = self.regions[name]
        origin = region.entity_id.removeprefix("https://") + "/log/disclosure"
        return LogKey.kept_in(region.installation.home.log_key("disclosure"), origin).named(origin)

    def log(self, name: str) -> LogReader:
        """Return a region's disclosure log as its store has it."""
        evidence = self.regions[name].installation.engines.evidence
        return LogReader(evidence, LogId.DISCLOSURE, self.key(name).verifier)

    async def exchange(
        self, caller: str, callee: str, request: pb.ExchangeCheckpointsRequest
    ) -> pb.ExchangeCheckpointsResponse:
        """Exchange checkpoints as one region with another."""
        own, home = self.regions[caller], self.regions[callee]
        token = await own.token_at(home, SCOPE)
        async with own.channel_to(home) as channel:
            return await FederationServiceStub(channel).ExchangeCheckpoints(
                request, metadata=(("authorization", f"Bearer {token}"),)
            )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Three]:
    """Three regions that know one another."""
    folder: Path = tmp_path_factory.mktemp("regions")
    async with federation(folder, "one", "two", "three") as (_, regions), Channels() as channels:
        yield Three(regions, channels)


async def test_each_checkpoint_is_cosigned_by_the_other_regions(three: Three) -> None:
    log, _ = await three.keys("one")
    witnesses = tuple([(await three.keys(name))[1] for name in ("two", "three")])
    await three.publish("one", 3)
    grown = await asyncio.to_thread(three.log("one").latest)
    assert grown is not None
    note = ""

    async def all_cosigned() -> bool:
        nonlocal note
        note = await three.checkpoint("one")
        return (
            open_checkpoint(note, log).size >= grown.size
            and len(cosignatures_in(note, witnesses)) == 2
        )

    await eventually(all_cosigned, 10)
    assert verify_witnessed(note, log, WitnessPolicy(witnesses, 2)).checkpoint.size > 0


async def test_a_region_tells_its_administrators_whom_it_witnesses(three: Three) -> None:
    peers = {three.regions[name].entity_id for name in ("one", "three")}
    channel = await three.channels.of(three.regions["two"].gateway, ADMINISTRATOR)
    stub = WitnessServiceStub(channel)

    async def both() -> bool:
        answer = await stub.ListWitnessedLogs(witness_pb.ListWitnessedLogsRequest())
        assert answer.quorum == 2
        return {log.region for log in answer.logs} == peers

    await eventually(both, 15)


async def test_a_checkpoint_of_another_log_than_the_callers_is_not_cosigned(three: Three) -> None:
    note = await three.checkpoint("three")
    answer = await three.exchange(
        "one",
        "two",
        pb.ExchangeCheckpointsRequest(checkpoints=[pb.CheckpointShown(checkpoint=note)]),
    )
    assert [each.outcome for each in answer.witnessed] == [pb.WITNESS_OUTCOME_INVALID]


async def test_only_regions_exchange_checkpoints(three: Three) -> None:
    channel = await three.channels.of(three.regions["one"].gateway)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await FederationServiceStub(channel).ExchangeCheckpoints(pb.ExchangeCheckpointsRequest())
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_too_much_at_once_is_malformed(three: Three) -> None:
    for request in (
        pb.ExchangeCheckpointsRequest(checkpoints=[pb.CheckpointShown()] * 65),
        pb.ExchangeCheckpointsRequest(seen_checkpoints=[""] * 257),
        pb.ExchangeCheckpointsRequest(
            checkpoints=[pb.CheckpointShown(consistency_proof=[bytes(31)])]
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await three.exchange("one", "two", request)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_over_http_a_witness_answers_as_c2sp_has_it(three: Three) -> None:
    log, _ = await three.keys("one")
    _, witness = await three.keys("two")
    origin = hashlib.sha256(log.name.encode()).hexdigest()
    async with three.regions["two"].http() as http:

        async def add(body: str) -> tuple[int, str]:
            answer = await http.post("/witness/add-checkpoint", content=body.encode())
            return answer.status_code, answer.text

        while True:
            note = await three.checkpoint("one")
            checkpoint = open_checkpoint(note, log)
            status, line = await add(f"old {checkpoint.size}\n\n{note}")
            # Where the log has grown meanwhile, and its witness knows, it is stale.
            if status != 409:
                break
        assert status == 200
        assert witness in cosignatures_in(note + line, [witness])
        stale = await http.post("/witness/add-checkpoint", content=f"old 0\n\n{note}".encode())
        assert (stale.status_code, stale.text) == (409, f"{checkpoint.size}\n")
        assert stale.headers["content-type"] == "text/x.tlog.size"
        assert (await add(f"old {checkpoint.size + 1}\n\n{note}"))[0] == 400
        assert (await add(f"old {checkpoint.size}\nAAAA\n\n{note}"))[0] == 400
        assert (await add("nonsense"))[0] == 400
        assert (await add(f"old 0\n\n{note.replace(log.name, 'stranger.invalid', 1)}"))[0] == 404
        forged = note.replace(f"\n{checkpoint.size}\n", f"\n{checkpoint.size + 1}\n", 1)
        assert (await add(f"old {checkpoint.size}\n\n{forged}"))[0] == 403
        assert (await add("old 0\n\n" + "x" * 80_000))[0] == 413
        served = await http.get(f"/witness/{origin}/checkpoint")
        assert cosignatures_in(served.text, [witness])
        assert open_checkpoint(served.text, log) == checkpoint
        assert (await http.get(f"/witness/{'0' * 64}/checkpoint")).status_code == 404


async def test_a_split_view_is_found_out_alarmed_everywhere_and_cleared_by_an_administrator(
    three: Three,
) -> None:
    log = three.log("one")
    latest = await asyncio.to_thread(log.latest)
    assert latest is not None
    # Another history of the same key, from the newest state on, of a size that tells.
    more = next(n for n in range(1, 9) if (size := latest.size + n) & (size - 1))
    key = three.key("one")
    log_name = key.verifier.name
    entries = await asyncio.to_thread(log.entries, range(latest.size))
    other = History([*entries, *(b"another %d" % n for n in range(more))], key)

    async def shown_up_to_now() -> bool:
        channel = await three.channels.of(three.regions["three"].gateway, ADMINISTRATOR)
        answer = await WitnessServiceStub(channel).ListWitnessedLogs(
            witness_pb.ListWitnessedLogsRequest()
        )
        return any(
            each.origin == log_name and each.tree_size == latest.size for each in answer.logs
        )

    await eventually(shown_up_to_now, 10)
    shown = other.shown(latest.size, latest.size + more)
    answer = await three.exchange(
        "one", "three", pb.ExchangeCheckpointsRequest(checkpoints=[shown_message(shown)])
    )
    assert answer.witnessed[0].outcome == pb.WITNESS_OUTCOME_COSIGNED
    # The log goes on with its own history: two cosigns that, three cannot.
    await three.publish("one", 9)
    for name in ("three", "one", "two"):

        async def found(name: str = name) -> bool:
            return bool(await three.splits(name))

        await eventually(found, 15)
        (split,) = [each for each in await three.splits(name) if each.origin == log_name][:1]
        evidence_in([split.evidence])[0].require(VerifierKey.parse(split.log_key))
        assert split.region == three.regions["one"].entity_id
        channel = await three.channels.of(three.regions[name].gateway, ADMINISTRATOR)
        raised = await AlertServiceStub(channel).ListAlerts(alerts.ListAlertsRequest())
        assert alerts.ALERT_KIND_SPLIT_VIEW in [each.kind for each in raised.alerts]
    channel = await three.channels.of(three.regions["two"].gateway, ADMINISTRATOR)
    stub = WitnessServiceStub(channel)
    logs = (await stub.ListWitnessedLogs(witness_pb.ListWitnessedLogsRequest())).logs
    assert [each.distrusted for each in logs if each.origin == log_name] == [True]
    for each in await three.splits("two"):
        cleared = await stub.ClearSplitView(
            witness_pb.ClearSplitViewRequest(
                split_view_id=each.split_view_id, note="a key was stolen; they begin anew"
            )
        )
        assert cleared.split_view.cleared_by == ADMINISTRATOR
    assert not await three.splits("two")


async def test_commands_list_witnesses_and_split_views_and_clear_them(
    three: Three,
) -> None:
    """After the split view above: the third region has it still."""
    home = three.regions["three"].installation.home

    async def ran(*words: str) -> Done:
        profile = ("--profile", str(home.profile(ADMINISTRATOR)))
        done = await asyncio.to_thread(creditgate_here, home.root, *words, *profile)
        assert done.status == 0, done.told
        return done

    async def run(*words: str) -> Any:
        return (await ran(*words)).json

    listed = await run("witness", "list", "--json")
    assert three.regions["one"].entity_id in {each["region"] for each in listed["logs"]}
    (split, *_) = (await run("witness", "splits", "--json"))["split_views"]
    kept = await run("witness", "evidence", split["split_view_id"], "--json")
    for each in kept["split"]:
        SplitView.of_json(each).require(VerifierKey.parse(kept["key"]))
        shown = (await ran("witness", "evidence", split["split_view_id"])).out.split()
        assert {kept["key"], *each["first"].split(), *each["second"].split()} <= {*shown}
    for each in (await run("witness", "splits", "--json"))["split_views"]:
        cleared = await run(
            "witness", "clear", each["split_view_id"], "--note", "they began anew", "--json"
        )
        assert cleared["split_view"]["note"] == "they began anew"
    assert not (await run("witness", "splits", "--json")).get("split_views")


def copied(root: Path, folder: Path) -> Path:
    """Return a copy of a home on SQLite as it is now, on which nobody is at work."""
    copytree(root, folder, ignore=ignore_patterns("*.db*", "*.lock"))
    for store in root.glob("*.db"):
        with closing(connect(store)) as origin, closing(connect(folder / store.name)) as copy:
            origin.backup(copy)
    return folder


async def test_a_witness_that_forgot_nothing_is_not_begun_anew(
    three: Three, tmp_path: Path
) -> None:
    region = three.regions["two"]
    home = copied(region.installation.home.root, tmp_path / "home")
    done = await asyncio.to_thread(
        creditgate_here, home, "witness", "begin", ISSUER=region.entity_id
    )
    assert done.status == 1
    assert "nothing to begin" in done.told
