"""``creditgate copies`` against a gateway: followed, reconciled, found, mended, shown."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio

from creditgate.v1.disclosure_service_pb2 import RepairRecordRequest
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from tests.cli.commands import Done, creditgate_here
from tests.conformance.policies import policy_file
from tests.installation import OPERATOR_CLIENT, PUBLISHER, Installation, company
from tests.server.calls import draft, publish
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = count(7_000)


@dataclass(frozen=True)
class Desk:
    """A gateway, its publisher, and the command line of an operator's client."""

    installation: Installation
    publisher: grpc.aio.Channel

    issuer: str
    ca: Path | None

    async def run(self, *arguments: str | Path) -> Done:
        """Run a command as the operator's client."""
        home = self.installation.folder
        profile = home / "clients" / OPERATOR_CLIENT / "profile.json"
        return await asyncio.to_thread(creditgate_here, home, *arguments, PROFILE=str(profile))

    async def answer(self, *arguments: str | Path) -> Any:
        """Return what a command that goes well prints as JSON."""
        done = await self.run("copies", *arguments, "--json")
        assert done.status == 0, done.out + done.told
        return done.json

    async def shown(self, *arguments: str | Path) -> str:
        """Return what a command that goes well prints for people."""
        done = await self.run("copies", *arguments)
        assert done.status == 0, done.out + done.told
        return done.out

    async def held(self, file: Path, number: int) -> list[str]:
        """Disclose and ask for so many records, keep them in a file, and return their ids."""
        subjects = [company(next(_numbers)) for _ in range(number)]
        records = [f"held-{subject}" for subject in subjects]
        await publish(self.publisher, map(draft, records, subjects))
        file.with_suffix(".txt").write_text("\n".join(subjects), encoding="ascii")
        asked = ("batch", file.with_suffix(".txt"), "--purpose", "supplier-check")
        done = await self.run(*asked, "--output", file)
        assert done.status == 0, done.out + done.told
        return records

    async def repair(self, record_id: str) -> int:
        """Repair a record and return the event's position."""
        request = RepairRecordRequest(
            name=f"records/{record_id}", expected_revision=1, decision_reference="1"
        )
        answer = await DisclosureServiceStub(self.publisher).RepairRecord(request)
        return answer.event_sequence


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(sqlite_stores: SqliteStores) -> AsyncIterator[Desk]:
    """A gateway with a furnished operator."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        policy = policy_file(installation.folder)
        async with (
            installation.running(conformance_policy=policy) as gateway,
            gateway.channel(PUBLISHER) as publisher,
        ):
            yield Desk(installation, publisher, gateway.running.issuer, gateway.running.ca)
        installation.close()


async def test_a_repair_is_followed_found_mended_and_certified(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    kept, repaired = await desk.held(file, 2)
    event = await desk.repair(repaired)
    watched = await desk.answer("watch", "--after", str(event - 1), "--most", "1")
    (change,) = watched["changes"]
    assert change["event"]["kind"] == "DISCLOSURE_EVENT_KIND_REPAIRED"
    assert change["event"]["record"] == f"records/{repaired}"
    assert change["removal_deadline"] > change["event"]["event_time"]
    assert watched["sequence"] == event
    told = await desk.shown("watch", "--after", str(event - 1), "--most", "1")
    assert f"repaired  records/{repaired}" in told
    assert "old copy gone until" in told

    found = await desk.answer("reconcile", file, "--reflects", str(event))
    assert (found["copies"], found["opened_findings"]) == ("2", "1")
    assert found["certificate"] == ""
    (finding,) = (await desk.answer("findings", "--state", "open"))["findings"]
    assert finding["kind"] == "FINDING_KIND_REPAIRED_HELD"
    assert finding["record"] == f"records/{repaired}"
    assert "repaired-held" in await desk.shown("findings", finding["name"])
    assert "1 repaired-held" in await desk.shown("show")
    done = await desk.run("copies", "certificate", "--json")
    assert done.status == 1
    assert "copies show" in done.json["error"]["message"]

    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("".join(f"{line}\n" for line in lines if kept in line), encoding="utf-8")
    acknowledged = await desk.answer("acknowledge", str(event))
    assert acknowledged == {"acknowledged_removals": 1, "outstanding_removals": "0"}
    assert "still owed" in await desk.shown("acknowledge", str(event))
    told = await desk.shown("reconcile", file, "--reflects", str(event), "--request-id", "mended")
    assert "symbols" in told
    again = await desk.answer("attest", file, "--reflects", str(event), "--request-id", "mended")
    assert (again["copies"], again["rectified_findings"]) == ("1", "1")
    output = tmp_path / "certificate.jwt"
    await desk.shown("certificate", "--output", output)
    assert output.read_text(encoding="ascii").strip() == again["certificate"]
    await verified_while_it_holds(desk, output, tmp_path)
    await desk.answer("attest", file, "--reflects", str(event))
    fallen = await desk.run("copies", "verify", output)
    assert (fallen.status, fallen.out) == (1, "")
    assert "attested anew" in fallen.told
    listed = await desk.answer("attestations")
    assert [each["certified"] for each in listed["attestations"]][1:] == [True, False]
    listed["attestations"] = listed["attestations"][1:]
    assert [each["copies"] for each in listed["attestations"]] == ["1", "2"]


async def verified_while_it_holds(desk: Desk, certificate: Path, folder: Path) -> None:
    """Check that a certificate in force is told so, online, and offline by a status kept."""
    told = await desk.shown("verify", certificate)
    assert "status as of" in told
    assert "valid" in told
    # That the rest was told missing, who is shown the certificate sees.
    assert re.search(r"of those it should hold +1\b", told)
    assert re.search(r"told missing +0\b", told)
    issuer = desk.issuer
    tls = ssl.create_default_context(cafile=desk.ca)
    document = (await desk.answer("verify", certificate))["certificate"]
    async with httpx.AsyncClient(verify=tls) as http:
        keys = await http.get(f"{issuer}/consent/receipt-keys.json")
        statement = await http.get(f"{document['status']}/statement")
    (folder / "keys.json").write_bytes(keys.content)
    (folder / "status.jws").write_text(statement.text, encoding="ascii")
    offline = ("verify", certificate, "--keys", folder / "keys.json", "--issuer", issuer)
    assert "not looked at" in await desk.shown(*offline)
    assert "status as of" in await desk.shown(*offline, "--status", folder / "status.jws")
    await asyncio.sleep(2)
    stale = await desk.run(
        "copies", *offline, "--status", folder / "status.jws", "--freshness", "1"
    )
    assert stale.status == 1
    assert "older than 1 seconds" in stale.told


async def test_an_altered_copy_is_found_and_contested(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    altered, _ = await desk.held(file, 2)
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    records[0]["content"] = "e30="
    file.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    found = await desk.answer("attest", file)
    listed = await desk.answer("findings", "--attestation", found["name"])
    faults = [each for each in listed["findings"] if each["kind"] != "FINDING_KIND_MISSING"]
    assert [each["record"] for each in faults] == [f"records/{altered}"]
    assert faults[0]["kind"] == "FINDING_KIND_CONTENT_ALTERED"
    contested = await desk.answer(
        "contest", faults[0]["name"], "--statement", "As it was served", "--evidence", file
    )
    assert contested["finding"]["state"] == "FINDING_STATE_CONTESTED"
    assert "As it was served" in await desk.shown("findings", faults[0]["name"])


async def test_challenges_are_answered_from_the_file(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    await desk.held(file, 3)
    await desk.answer("reconcile", file)
    waiting = (await desk.answer("challenges"))["challenges"]
    assert waiting
    assert waiting[0]["name"] in await desk.shown("challenges")
    text = file.read_text(encoding="utf-8")
    here = [each for each in waiting if each["record"] in text]
    done = await desk.answer("answer", file)
    assert (done["shown"], done["confirmed"], done["findings"]) == (len(here), len(here), [])
    assert len(done["left"]) == len(waiting) - len(here)
    assert "confirmed" in await desk.shown("answer", file)


async def test_a_file_that_cannot_be_read_is_told_with_its_mend(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "copies.csv"
    file.write_text("record_id,content,disclosed_from,disclosed_until\na b,{},1,2\n", "utf-8")
    for command in ("reconcile", "attest"):
        done = await desk.run("copies", command, file)
        assert done.status == 1
        assert f"{file}, row 2: name the record by its id" in done.told


async def test_who_mended_more_than_is_asked_for_at_a_time_is_told_to_attest_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.conformance.drawing._MOST_AGAIN", 0)
    file, altered = tmp_path / "records.jsonl", tmp_path / "altered.csv"
    held = await desk.held(file, 200)
    header = "record_id,content,disclosed_from,disclosed_until"
    altered.write_text("\n".join((header, *(f"{each},x,1,2" for each in held))), encoding="utf-8")
    await desk.answer("reconcile", altered)
    # The copies as they are now, put right: a file from before is no word on what was told since.
    file.touch()
    for command in ("reconcile", "attest"):
        done = await desk.run("copies", command, file)
        assert re.search(r"^\d+ more are to be asked for: .* attest again", done.told, re.MULTILINE)
    (last, *_) = (await desk.answer("attestations"))["attestations"]
    assert int(last["waiting_findings"]) > 0
    (waiting, *_) = (
        each
        for each in (await desk.answer("findings", "--state", "open"))["findings"]
        if "wait_time" in each
    )
    assert "waits to be asked for since" in await desk.shown("findings", waiting["name"])
