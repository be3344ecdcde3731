"""``creditgate conformance``: administrators see how operators stand, and decide."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from gateway.conformance.basis import Basis
from gateway.conformance.policy_file import read_policy
from tests.cli.commands import Done, creditgate_here
from tests.conformance.enforcing import attested_on, difference
from tests.installation import OPERATOR_CLIENT, OPERATOR_ID, Gateway, Installation
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Office:
    """A gateway with two findings against alpha, and the administrator's command line."""

    gateway: Gateway
    names: tuple[str, ...]

    async def run(self, *arguments: str | Path) -> Done:
        """Run a command as the administrator."""
        home = self.gateway.installation.folder
        return await asyncio.to_thread(creditgate_here, home, "conformance", *arguments)

    async def answer(self, *arguments: str | Path) -> Any:
        """Return what a command that goes well prints as JSON."""
        done = await self.run(*arguments, "--json")
        assert done.status == 0, done.out + done.told
        return done.json


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(sqlite_stores: SqliteStores) -> AsyncIterator[Office]:
    """A gateway where alpha contests one of two findings."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        async with (
            installation.running() as gateway,
            gateway.channel(OPERATOR_CLIENT) as operator,
        ):
            attested = attested_on(installation, read_policy(), gateway.running.issuer)
            await asyncio.to_thread(
                attested.record,
                OPERATOR_ID,
                "r-1",
                2,
                0,
                [difference("r-1"), difference("r-2")],
                installation.clock.now(),
                OPERATOR_CLIENT,
                Basis(2, 0),
            )
            stub = ConformanceServiceStub(operator)
            listed = (await stub.ListFindings(pb.ListFindingsRequest())).findings
            names = tuple(sorted(each.name for each in listed))
            contest = pb.ContestFindingRequest(
                name=names[0], statement="as it was served", evidence=b"the answer"
            )
            await stub.ContestFinding(contest)
            yield Office(gateway, names)
        installation.close()


async def test_an_operators_standing_and_attestations_are_shown(office: Office) -> None:
    standing = await office.answer("show", OPERATOR_ID)
    assert standing["operator_id"] == OPERATOR_ID
    assert standing["last_attestation"]["standing_findings"] == "2"
    listed = await office.answer("attestations", OPERATOR_ID)
    assert [each["copies"] for each in listed["attestations"]] == ["2"]
    for command in ("show", "attestations", "findings"):
        shown = await office.run(command, OPERATOR_ID)
        assert shown.status == 0, shown.told


async def test_evidence_is_read_and_the_contest_decided(office: Office, tmp_path: Path) -> None:
    contested = await office.answer("findings", OPERATOR_ID, "--state", "contested")
    assert [each["name"] for each in contested["findings"]] == [office.names[0]]
    file = tmp_path / "evidence.bin"
    whole = await office.run("finding", office.names[0], "--evidence", file)
    assert "as it was served" in whole.out
    assert file.read_bytes() == b"the answer"
    without = await office.run("finding", office.names[1], "--evidence", file)
    assert without.status == 1
    assert "No evidence" in without.told
    decision = ("decide", office.names[0], "--uphold", "--reason", "it is another record's")
    decided = await office.answer(*decision)
    assert decided["finding"]["state"] == "FINDING_STATE_OPEN"
    dismissed = await office.answer("decide", office.names[1], "--dismiss", "--reason", "ours")
    assert dismissed["finding"]["state"] == "FINDING_STATE_DISMISSED"


async def test_a_policy_file_is_checked_before_it_is_used(office: Office, tmp_path: Path) -> None:
    shown = await office.run("policy")
    assert shown.status == 0
    assert "repaired-held" in shown.out
    faulty = tmp_path / "policy.yaml"
    faulty.write_text("warned: P1D\n", encoding="utf-8")
    refused = await office.run("policy", faulty)
    assert refused.status == 1
    assert "removal: required" in refused.told
