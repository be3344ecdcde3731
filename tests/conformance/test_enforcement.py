"""Findings over the wire: told, contested, decided, and what follows from them at the door."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
import pytest_asyncio
import yaml
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.conformance_certificate import (
    SCHEMA_PATH,
    STATUS_SCHEMA_PATH,
    ConformanceCertificate,
    ConformanceStatus,
)
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.conformance.attested import Attested
from gateway.conformance.basis import Basis
from gateway.conformance.model import (
    CONTESTED,
    DISMISSED,
    NONE,
    RECTIFY,
    SUSPENDED,
    THROTTLED,
    Attestation,
    Difference,
)
from gateway.conformance.policy_file import SHIPPED, read_policy
from gateway.storage.engines import Engines
from sdk.refusals import explain
from tests.clock import StandingClock
from tests.conformance.enforcing import (
    CONTENT_ALTERED,
    MISSING,
    all_right,
    attested_on,
    difference,
)
from tests.installation import (
    ADMINISTRATOR,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLISHER,
    PURPOSE,
    Gateway,
    Installation,
    company,
    eventually,
)
from tests.parties import claims_in
from tests.server.calls import draft, publish, query
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER, OTHER_CLIENT = "beta", "beta-one"
QUICK = {
    "rectify": dict.fromkeys(("NONE", "MINOR", "GENERAL", "SERIOUS"), "PT10S"),
    "warned": "PT5S",
    "throttled": "PT10S",
    "attestation_spacing": "PT0S",
    "false_attestation": "PT1S",
    "throttled_subjects_per_minute": 60,
    "sampling": {"lied_share": 0.5, "caught": 0.9, "most": 10, "answer": "PT60S"},
}


@dataclass
class Door:
    """A gateway whose time stands, and those who call it; each test leaves alpha clean."""

    gateway: Gateway
    clock: StandingClock
    attested: Attested
    engines: Engines
    alpha: grpc.aio.Channel
    beta: grpc.aio.Channel
    administrator: grpc.aio.Channel

    @property
    def mine(self) -> Any:
        """The methods of conformance, as alpha calls them."""
        return ConformanceServiceStub(self.alpha)

    @property
    def theirs(self) -> Any:
        """The methods of conformance, as the administrator calls them."""
        return ConformanceServiceStub(self.administrator)

    async def attest(self, *differences: Difference, copies: int = 0) -> Attestation:
        """Keep an attestation of alpha's, as another process on the store does."""
        now = self.clock.now()

        def keep() -> Attestation:
            right = all_right(self.engines, OPERATOR_ID, differences, now)[:copies]
            return self.attested.record(
                OPERATOR_ID,
                str(uuid4()),
                copies,
                1,
                differences,
                now,
                OPERATOR_CLIENT,
                Basis(copies, 0, right=right),
            )

        return await asyncio.to_thread(keep)

    async def stage(self) -> int:
        """Return alpha's stage as it is told."""
        answer = await self.mine.GetConformance(pb.GetConformanceRequest())
        return answer.stage

    async def comes_to(self, stage: int) -> float:
        """Wait until alpha has come to a stage; return how long it took."""

        async def there() -> bool:
            return await self.stage() == stage

        return await eventually(there)

    async def findings(self, **asked: Any) -> Sequence[pb.Finding]:
        """Return findings against alpha, as it lists them."""
        answer = await self.mine.ListFindings(pb.ListFindingsRequest(**asked))
        return answer.findings


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(
    sqlite_stores: SqliteStores, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Door]:
    """A gateway with a policy of seconds, one record served to alpha."""
    policy = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | QUICK
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    file.write_text(yaml.safe_dump(policy), encoding="utf-8")
    clock = StandingClock(int(time.time()))
    with sqlite_stores.database() as store:
        installation = Installation(*store, clock=clock, settings={"conformance_policy": file})
        installation.furnish()
        installation.license(OTHER, "L-BETA")
        installation.enrol(OTHER_CLIENT, ClientRole.CLIENT_ROLE_OPERATOR, OTHER)
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(installation.running())
            channels = [
                await stack.enter_async_context(gateway.channel(client_id))
                for client_id in (OPERATOR_CLIENT, OTHER_CLIENT, ADMINISTRATOR)
            ]
            async with gateway.channel(PUBLISHER) as publisher:
                await publish(publisher, [draft("r-1", company(1)), draft("r-2", company(2))])
            attested = attested_on(installation, read_policy(file), gateway.running.issuer)
            yield Door(gateway, clock, attested, installation.engines, *channels)
        installation.close()


async def refused(call: Any) -> str:
    """Return the reason a call is refused for."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return explain(error.value).reason


async def test_findings_are_told_to_their_operator_and_to_administrators(door: Door) -> None:
    attestation = await door.attest(difference("r-1"), difference("r-9", MISSING))
    mine = await door.findings()
    theirs = await door.theirs.ListFindings(pb.ListFindingsRequest(operator_id=OPERATOR_ID))
    assert list(mine) == list(theirs.findings)
    by_record = {each.record: each for each in mine}
    assert by_record.keys() == {"records/r-1", "records/r-9"}
    found = by_record["records/r-1"]
    assert found.attestation == f"attestations/{attestation.attestation_id}"
    assert (found.kind, found.stage) == (CONTENT_ALTERED, RECTIFY)
    assert found.deadline == Timestamp(seconds=door.clock.now() + 10)
    assert not by_record["records/r-9"].HasField("deadline")
    assert by_record["records/r-9"].stage == NONE
    await door.attest()


async def test_findings_are_told_to_no_other_operator(door: Door) -> None:
    await door.attest(difference("r-1"))
    (found,) = await door.findings(state=pb.FINDING_STATE_OPEN)
    other = ConformanceServiceStub(door.beta)
    asked = pb.ListFindingsRequest(operator_id=OPERATOR_ID)
    assert await refused(other.ListFindings(asked)) == "SCOPE_NOT_GRANTED"
    for name in (found.name, "findings/" + "0" * 10 + "-" + "0" * 24):
        asked = pb.ListFindingsRequest(finding=name)
        assert await refused(other.ListFindings(asked)) == "RESOURCE_NOT_FOUND"
        contest = pb.ContestFindingRequest(name=name, statement="not mine")
        assert await refused(other.ContestFinding(contest)) == "RESOURCE_NOT_FOUND"
    await door.attest()


async def test_pages_of_findings_tell_each_once(door: Door) -> None:
    attestation = await door.attest(*(difference(f"p-{number}") for number in range(7)))
    asked = pb.ListFindingsRequest(
        attestation=f"attestations/{attestation.attestation_id}", page_size=3
    )
    told: list[str] = []
    while True:
        page = await door.mine.ListFindings(asked)
        told += [each.record for each in page.findings]
        if not page.next_page_token:
            break
        asked.page_token = page.next_page_token
    assert sorted(told) == [f"records/p-{number}" for number in range(7)]
    asked.state = pb.FINDING_STATE_OPEN
    assert await refused(door.mine.ListFindings(asked)) == "INVALID_REQUEST"
    await door.attest()


async def test_a_contest_is_decided_by_an_administrator_alone(door: Door) -> None:
    await door.attest(difference("d-1"), difference("d-2"))
    first, second = await door.findings(state=pb.FINDING_STATE_OPEN)
    contest = pb.ContestFindingRequest(name=first.name, statement="我方正确", evidence=b"answer")
    contested = (await door.mine.ContestFinding(contest)).finding
    assert (contested.state, contested.stage) == (CONTESTED, NONE)
    assert not contested.contest.evidence
    assert await refused(door.mine.ContestFinding(contest)) == "STATE_CONFLICT"
    (whole,) = (await door.theirs.ListFindings(pb.ListFindingsRequest(finding=first.name))).findings
    assert (whole.contest.statement, whole.contest.evidence) == ("我方正确", b"answer")
    decision = pb.DecideFindingRequest(name=first.name, dismiss=True, reason="right")
    assert await refused(door.mine.DecideFinding(decision)) == "SCOPE_NOT_GRANTED"
    decided = (await door.theirs.DecideFinding(decision)).finding
    assert decided.state == DISMISSED
    assert decided.contest.upheld
    assert await refused(door.theirs.DecideFinding(decision)) == "STATE_CONFLICT"
    upheld = pb.DecideFindingRequest(name=second.name, reason="as found")
    assert await refused(door.theirs.DecideFinding(upheld)) == "STATE_CONFLICT"
    await door.attest()


async def test_a_copy_asked_for_is_shown_byte_for_byte(door: Door) -> None:
    served = (await query(door.alpha, company(1))).records[0]
    await door.attest(copies=1)
    (asked,) = (await door.mine.ListChallenges(pb.ListChallengesRequest())).challenges
    assert asked.record == served.name
    assert asked.deadline == Timestamp(seconds=door.clock.now() + 60)
    shown = pb.ShownCopy(
        challenge=asked.name,
        content=served.content,
        disclosed_from=served.disclosed_from,
        disclosed_until=served.disclosed_until,
    )
    other = ConformanceServiceStub(door.beta)
    answer = pb.AnswerChallengeRequest(copies=[shown])
    assert await refused(other.AnswerChallenge(answer)) == "RESOURCE_NOT_FOUND"
    assert (await door.mine.AnswerChallenge(answer)).confirmed == 1
    again = await door.mine.AnswerChallenge(answer)
    assert (again.confirmed, list(again.findings)) == (0, [])
    told = await door.mine.GetConformance(pb.GetConformanceRequest())
    assert (told.challenged_copies, told.confirmed_copies) == (1, 1)


async def test_a_copy_that_differs_by_a_byte_makes_a_finding(door: Door) -> None:
    served = (await query(door.alpha, company(1))).records[0]
    await door.attest(copies=1)
    (asked,) = (await door.mine.ListChallenges(pb.ListChallengesRequest())).challenges
    shown = pb.ShownCopy(
        challenge=asked.name,
        content=served.content + b" ",
        disclosed_from=served.disclosed_from,
        disclosed_until=served.disclosed_until,
    )
    answer = await door.mine.AnswerChallenge(pb.AnswerChallengeRequest(copies=[shown]))
    (found,) = await door.findings(state=pb.FINDING_STATE_OPEN)
    assert list(answer.findings) == [found.name]
    assert found.kind == pb.FINDING_KIND_ATTESTATION_FALSE
    await door.attest(copies=1)
    (asked,) = (await door.mine.ListChallenges(pb.ListChallengesRequest())).challenges
    shown.challenge, shown.content = asked.name, served.content
    await door.mine.AnswerChallenge(pb.AnswerChallengeRequest(copies=[shown]))
    assert not await door.findings(state=pb.FINDING_STATE_OPEN)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("ListFindings", pb.ListFindingsRequest(page_size=1_001)),
        ("ListFindings", pb.ListFindingsRequest(attestation="attestations/x")),
        ("ListFindings", pb.ListFindingsRequest(finding="x")),
        ("ListFindings", pb.ListFindingsRequest(page_token="x")),
        ("ListAttestations", pb.ListAttestationsRequest(page_size=-1)),
        (
            "ListAttestations",
            pb.ListAttestationsRequest(
                period=Interval(start_time=Timestamp(seconds=2), end_time=Timestamp(seconds=1))
            ),
        ),
        ("ContestFinding", pb.ContestFindingRequest(name="findings/x", statement="s")),
        ("ContestFinding", pb.ContestFindingRequest(statement="")),
        ("ContestFinding", pb.ContestFindingRequest(statement="s", evidence=b"x" * (1 << 20 | 1))),
        ("ListChallenges", pb.ListChallengesRequest(page_token="!")),
        ("AnswerChallenge", pb.AnswerChallengeRequest()),
        ("AnswerChallenge", pb.AnswerChallengeRequest(copies=[pb.ShownCopy(challenge="x")])),
        (
            "AnswerChallenge",
            pb.AnswerChallengeRequest(
                copies=[
                    pb.ShownCopy(challenge="challenges/" + "0" * 10 + "-" + "0" * 24, not_held=True)
                ]
                * 2
            ),
        ),
    ],
)
async def test_a_malformed_request_is_refused_by_field(
    door: Door, method: str, request_: Any
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await getattr(door.mine, method)(request_)
    refusal = explain(error.value)
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.violations


async def test_an_administrator_names_an_operator_that_there_is(door: Door) -> None:
    nobody = pb.GetConformanceRequest()
    assert await refused(door.theirs.GetConformance(nobody)) == "INVALID_REQUEST"
    unknown = pb.GetConformanceRequest(operator_id="gamma")
    assert await refused(door.theirs.GetConformance(unknown)) == "RESOURCE_NOT_FOUND"


async def test_conformance_is_told_over_time(door: Door) -> None:
    start = door.clock.now()
    clean = await door.attest(copies=1)
    door.clock.at += 1
    await door.attest(difference("r-1"))
    await door.comes_to(RECTIFY)
    told = await door.theirs.GetConformance(pb.GetConformanceRequest(operator_id=OPERATOR_ID))
    assert [(each.kind, each.standing) for each in told.standing] == [(CONTENT_ALTERED, 1)]
    assert told.entitled_copies == 1
    assert told.last_attestation.standing_findings == 1
    assert told.next_attestation_due.seconds == door.clock.now() + 7 * 86_400
    assert told.certificate == ""
    assert told.stage_changes[0].stage == RECTIFY
    asked = pb.ListAttestationsRequest(
        period=Interval(start_time=Timestamp(seconds=start), end_time=Timestamp(seconds=start + 1))
    )
    listed = (await door.mine.ListAttestations(asked)).attestations
    assert listed[0].name == f"attestations/{clean.attestation_id}"
    assert not listed[0].certificate
    assert listed[0].certified == bool(clean.certificate)
    await door.attest()
    await door.comes_to(NONE)


async def test_a_certificate_is_checked_by_anybody(door: Door) -> None:
    certified = await door.attest(copies=1)
    certificate = ConformanceCertificate.model_validate(claims_in(certified.certificate))
    assert certificate.iss == door.gateway.running.issuer
    assert certificate.checkpoint.startswith(door.gateway.running.issuer.removeprefix("https://"))
    tls = ssl.create_default_context(cafile=door.gateway.running.ca)
    async with httpx.AsyncClient(verify=tls) as http:
        status = await http.get(certificate.status)
        assert status.json() == {"status": "valid", "at": door.clock.now()}
        assert status.headers["cache-control"] == "no-store"
        statement = await http.get(certificate.status + "/statement")
        assert statement.headers["content-type"] == "application/jose"
        unsigned = ConformanceStatus.model_validate(claims_in(statement.text))
        assert (unsigned.state, unsigned.jti, unsigned.iat) == (
            "valid",
            certificate.jti,
            door.clock.now(),
        )
        digest = sha256(certified.certificate.encode()).hexdigest()
        assert unsigned.document_digest == digest
        nobody = await http.get(certificate.status[:-1] + "x/statement")
        assert nobody.status_code == 404
        of_status = await http.get(door.gateway.running.issuer + STATUS_SCHEMA_PATH)
        assert of_status.json()["$id"].endswith(STATUS_SCHEMA_PATH)
        unknown = await http.get(certificate.status[:-1] + "x")
        assert (unknown.status_code, unknown.json()) == (404, {"error": "not_found"})
        schema = await http.get(door.gateway.running.issuer + SCHEMA_PATH)
        assert schema.json()["$id"].endswith(SCHEMA_PATH)
    told = await door.mine.GetConformance(pb.GetConformanceRequest())
    assert told.certificate == told.last_attestation.certificate == certified.certificate


async def test_a_rate_is_cut_at_once_and_for_this_operator_alone(door: Door) -> None:
    await door.attest(difference("r-1"))
    door.clock.at += 10
    await door.comes_to(THROTTLED)
    batch = records_pb.BatchGetSubjectRecordsRequest(
        subjects=[company(number) for number in range(1, 31)],
        purpose=PURPOSE,
        request_id=str(uuid4()),
    )

    async def cut() -> bool:
        try:
            await query(door.alpha, company(1))
        except grpc.aio.AioRpcError:
            return True
        return False

    assert await eventually(cut) < 1
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await query(door.alpha, company(1))
    refusal = explain(error.value)
    assert refusal.reason == "RATE_EXCEEDED"
    assert refusal.retry_after == 1
    await query(door.beta, company(1))
    await door.findings()
    stub = CreditRecordServiceStub(door.alpha)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        _ = [answer async for answer in stub.BatchGetSubjectRecords(batch)]
    assert 25 <= (explain(error.value).retry_after or 0) <= 30
    await asyncio.sleep(1)
    await query(door.alpha, company(1))
    assert await cut()
    await door.attest()
    await door.comes_to(NONE)

    async def free() -> bool:
        return not await cut()

    assert await eventually(free) < 1


async def test_a_suspended_operator_can_still_mend_and_comes_back_by_itself(door: Door) -> None:
    await door.attest(difference("r-1"))
    door.clock.at += 20
    await door.comes_to(SUSPENDED)

    async def shut_out() -> bool:
        try:
            await query(door.alpha, company(1))
        except grpc.aio.AioRpcError as error:
            return explain(error).reason == "OPERATOR_SUSPENDED"
        return False

    assert await eventually(shut_out) < 1
    (found,) = await door.findings(state=pb.FINDING_STATE_OPEN)
    assert found.stage == SUSPENDED
    await door.attest()
    await door.comes_to(NONE)

    async def let_in() -> bool:
        return not await shut_out()

    assert await eventually(let_in) < 1


async def test_a_copy_asked_for_again_before_it_is_shown_is_told_apart(door: Door) -> None:
    before = await door.mine.GetConformance(pb.GetConformanceRequest())
    await query(door.alpha, company(1))
    await door.attest(copies=1)
    (asked,) = (await door.mine.ListChallenges(pb.ListChallengesRequest())).challenges
    served = (await query(door.alpha, company(1))).records[0]
    shown = pb.ShownCopy(
        challenge=asked.name,
        content=served.content,
        disclosed_from=served.disclosed_from,
        disclosed_until=served.disclosed_until,
    )
    answer = await door.mine.AnswerChallenge(pb.AnswerChallengeRequest(copies=[shown]))
    assert (answer.confirmed, answer.refreshed, list(answer.findings)) == (0, 1, [])
    told = await door.mine.GetConformance(pb.GetConformanceRequest())
    assert told.confirmed_copies == before.confirmed_copies
    assert told.refreshed_copies == before.refreshed_copies + 1
    assert not told.certificate
