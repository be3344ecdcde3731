"""Copies of what another region discloses: nobody honest is accused for them, and who keeps what
it must not is found."""

import asyncio
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

import grpc
import pytest
from sqlalchemy import select

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.conformance.finding_tables import FINDINGS
from gateway.conformance.removal_tables import DUTIES
from gateway.disclose.store import DisclosureStore
from gateway.federation.asking import removal_telling
from gateway.storage.background import Pace
from sdk.disclosures import Disclosures
from tests.cli.commands import Done, creditgate_here
from tests.conformance.attesting import attest, copy_of, reconcile
from tests.conformance.policies import policy_file
from tests.federating import RegionGateway
from tests.federation.asking.world import company, ended, open_world
from tests.installation import eventually
from tests.server.calls import query

_KIND: Final = pb.FindingKind
_SOON = dict.fromkeys(["NONE", "MINOR", "GENERAL", "SERIOUS"], "PT2S")


async def test_copies_that_came_from_another_region_are_not_taken_for_obtained_elsewhere(
    tmp_path: Path,
) -> None:
    policy = policy_file(tmp_path)
    async with open_world(tmp_path, conformance_policy=policy) as world:
        subject = company("two")
        await world.publish(world.two, subject, 2)
        answer = await world.ask(subject)
        copies = [copy_of(each) for _, each in answer.regions[world.two.entity_id].records]
        stranger = copies[0]._replace(record_id="nobody-gave-it")
        altered = copies[0]._replace(content_digest=sha256(b"altered").digest())

        async with world.one.gateway.channel("alpha-one") as channel:
            attested = await attest(channel, copies)
            lied = await attest(channel, [*copies, stranger])
            changed = await reconcile(channel, [altered, copies[1]])

        assert len(copies) == 2
        assert (attested.copies, attested.opened_findings) == (2, 0)
        assert attested.certified
        assert (lied.copies, lied.opened_findings) == (3, 1)
        assert (changed.opened_findings, changed.rectified_findings) == (1, 1)
        assert found(world.one) == {
            ("alpha", _KIND.FINDING_KIND_NEVER_SERVED, ""),
            ("alpha", _KIND.FINDING_KIND_CONTENT_ALTERED, world.two.entity_id),
        }


async def test_a_removal_for_another_region_is_asked_of_the_firm_and_told_to_the_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No answer of a test is on its way for ten minutes.
    monkeypatch.setattr(removal_telling, "LATE_SECONDS", 1)
    monkeypatch.setattr(removal_telling, "PACE", Pace(0.5))
    policy = policy_file(tmp_path, removal=_SOON, attestation="PT2S")
    async with open_world(tmp_path, conformance_policy=policy) as world:
        subject = company("two")
        (name,) = await world.publish(world.two, subject, 1)
        await world.ask(subject)
        async with world.two.gateway.channel("alpha-one") as channel:
            # A firm of the home region that was served the same, to see by when it would be found.
            await query(channel, subject)
        DisclosureStore(world.two.installation.engines.records).end(
            name.removeprefix("records/"),
            1,
            DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED,
            "decision",
            "site",
            int(time.time()),
        )

        async def firm_found() -> bool:
            return {"alpha"} <= {operator_id for operator_id, *_ in found(world.two)}

        overdue = _KIND.FINDING_KIND_REMOVAL_OVERDUE

        async def firm_of_elsewhere_found() -> bool:
            return ("alpha", overdue, world.two.entity_id) in found(world.one)

        async def told() -> bool:
            return ("region-one", True) in removed(world.two)

        await eventually(firm_found, 20)
        await eventually(firm_of_elsewhere_found, 20)
        # A region owes as a firm does, and nothing is found about it: it would cut off its firms.
        assert {operator_id for operator_id, *_ in found(world.two)} == {"alpha"}
        assert ended(await world.ask(company("two")), world.two) == "EMPTY"
        assert removed(world.two) == {("alpha", False), ("region-one", False)}

        # By the commands of the firm: watched, found, acknowledged.
        watched = (await copies(world.one, "watch", "--regions", "--most", "1", "--json")).json
        (event,) = (change["event"] for change in watched["changes"])
        assert (event["number"], event["record"], event["region"]) == (
            "1",
            name,
            world.two.entity_id,
        )
        assert event["removal_deadline"] > event["event_time"]
        assert watched["number"] == 1
        known = {each["region"]: each.get("known") for each in watched["regions"]}
        assert known.keys() == {world.two.entity_id, world.three.entity_id}
        assert known[world.two.entity_id]
        shown = (await copies(world.one, "watch", "--regions", "--most", "1")).out
        assert f"{world.two.entity_id}: known, heard " in shown
        assert f"repaired  {name}  revision 1  {world.two.entity_id}; old copy gone until" in shown
        assert (await copies(world.one, "watch", "--regions", "--after", "1", "--for", "1")).out
        refused = await copies(
            world.one, "watch", "--regions", "--coverage", "served", "--for", "1", status=1
        )
        assert "leave --coverage out" in refused.told
        (finding,) = (await copies(world.one, "findings", "--json")).json["findings"]
        assert (finding["region"], finding["record"]) == (world.two.entity_id, name)
        acknowledged = await copies(world.one, "acknowledge", "--regions", "1", "--json")
        assert acknowledged.json == {"acknowledged_removals": 1, "outstanding_removals": "0"}
        async with world.one.gateway.channel("alpha-one") as channel:
            again = await Disclosures(channel).acknowledge_elsewhere([1], int(time.time()))
            assert (again.acknowledged_removals, again.outstanding_removals) == (0, 0)
            with pytest.raises(grpc.aio.AioRpcError, match="you owe no removal"):
                await Disclosures(channel).acknowledge_elsewhere([2], int(time.time()))
        await eventually(told, 20)
        assert ("alpha", False) in removed(world.two)


async def copies(region: RegionGateway, *arguments: str, status: int = 0) -> Done:
    """Run ``creditgate copies`` as a client of alpha."""
    home = region.installation.folder
    profile = str(region.installation.home.profile("alpha-one"))
    done = await asyncio.to_thread(creditgate_here, home, "copies", *arguments, PROFILE=profile)
    assert done.status == status, done.out + done.told
    return done


def found(region: RegionGateway) -> set[tuple[str, int, str]]:
    """Return who was found at fault in a region, with what, about a record of which region."""
    f = FINDINGS.c
    with region.installation.engines.evidence.connect() as connection:
        rows = connection.execute(select(f.operator_id, f.kind, f.region))
        return {(row[0], row[1], row[2]) for row in rows}


def removed(region: RegionGateway) -> set[tuple[str, bool]]:
    """Return who owes removals in a region, and whether it acknowledged them."""
    with region.installation.engines.evidence.connect() as connection:
        rows = connection.execute(select(DUTIES.c.operator_id, DUTIES.c.acknowledged_at))
        return {(row[0], row[1] is not None) for row in rows}
