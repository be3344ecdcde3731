"""Documents of one region are verified and accepted in another, over real connections."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio

from creditgate.v1 import catalogue_service_pb2 as catalogue_pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import recognition_service_pb2 as pb
from creditgate.v1 import report_service_pb2 as reports_pb
from creditgate.v1 import scope_service_pb2 as scopes_pb
from creditgate.v1.catalogue_service_pb2_grpc import CatalogueServiceStub
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.recognition_service_pb2_grpc import RecognitionServiceStub
from creditgate.v1.report_service_pb2_grpc import ReportServiceStub
from creditgate.v1.scope_service_pb2_grpc import ScopeServiceStub
from creditgate.v1.vocabulary_pb2 import Openness, Purpose
from gateway.catalogue.model import CATALOGUE_ITEM
from operators.model import LICENCE, Licence
from sdk.recognition import verified_recognition
from tests.cli.commands import creditgate_here
from tests.federating import Anchor, RegionGateway, federation
from tests.federation.channels import Channels
from tests.installation import (
    ADMINISTRATOR,
    OPERATOR_CLIENT,
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    company,
    eventually,
    item,
)
from tests.reports.asking import reason_of
from tests.server.calls import draft, publish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "administrator-two"
EVALUATION = "evaluation"
RATING = "rating"
GRADES = {"A": "AA", "B": "A"}


@dataclass
class Two:
    """The region documents come from, and the one that recognises them."""

    anchor: Anchor
    abroad: RegionGateway
    here: RegionGateway
    channels: Channels
    published: int = 100

    async def publish(self, grade: str = "A") -> str:
        """Publish a penalty and an evaluation of a company of its own; return its code."""
        self.published += 1
        subject = company(self.published)
        channel = await self.channels.of(self.abroad.gateway, PUBLISHER)
        await publish(channel, [draft(f"p-{self.published}", subject)])
        await self.evaluate(subject, f"e-{self.published}", grade)
        return subject

    async def evaluate(self, subject: str, record: str, grade: str) -> None:
        """Publish an evaluation more of a company."""
        evaluation = draft(record, subject, EVALUATION)
        evaluation.content = json.dumps({"finding": grade}, separators=(",", ":")).encode()
        await publish(await self.channels.of(self.abroad.gateway, PUBLISHER), [evaluation])

    async def withdraw(self, record: str) -> None:
        """Withdraw a record."""
        channel = await self.channels.of(self.abroad.gateway, PUBLISHER)
        await DisclosureServiceStub(channel).WithdrawRecord(
            disclosure_pb.WithdrawRecordRequest(
                name=f"records/{record}", expected_revision=1, reason="invented"
            )
        )

    async def report(self, subject: str, *items: str) -> str:
        """Have a report issued in the region."""
        channel = await self.channels.of(self.abroad.gateway)
        answer = await ReportServiceStub(channel).IssueCreditReport(
            reports_pb.IssueCreditReportRequest(
                subject=subject,
                items=items or (PUBLIC_ITEM, EVALUATION),
                purpose=PURPOSE,
                request_id=str(uuid4()),
            )
        )
        return answer.report.document

    async def served(self, subject: str) -> tuple[bytes, bytes]:
        """Return an answer with its proof, and its request, in their bytes."""
        request = records_pb.GetSubjectRecordsRequest(
            subject=subject,
            items=[EVALUATION],
            purpose=PURPOSE,
            request_id=str(uuid4()),
            proof=ProofKind.PROOF_KIND_COMPLETE,
        )
        channel = await self.channels.of(self.abroad.gateway)
        answer = await CreditRecordServiceStub(channel).GetSubjectRecords(request)
        return answer.SerializeToString(deterministic=True), request.SerializeToString(
            deterministic=True
        )

    async def recognise(self, document: str, **fields: Any) -> pb.Recognition:
        """Have a report recognised."""
        usual: dict[str, Any] = {
            "region": self.abroad.entity_id,
            "document": document,
            "purpose": PURPOSE,
            "request_id": str(uuid4()),
        }
        channel = await self.channels.of(self.here.gateway)
        answer = await RecognitionServiceStub(channel).RecogniseReport(
            pb.RecogniseReportRequest(**{**usual, **fields}), timeout=20
        )
        return answer.recognition

    async def recognise_grades(
        self, answer: bytes, request: bytes, **fields: Any
    ) -> pb.Recognition:
        """Have the grades of an answer recognised."""
        usual = {"request_id": str(uuid4())}
        channel = await self.channels.of(self.here.gateway)
        recognised = await RecognitionServiceStub(channel).RecogniseGrades(
            pb.RecogniseGradesRequest(
                region=self.abroad.entity_id,
                answer=[answer],
                request=request,
                purpose=PURPOSE,
                **{**usual, **fields},
            ),
            timeout=20,
        )
        return recognised.recognition

    async def set_rule(
        self, items: Iterable[pb.RecognisedItem] = (), **fields: Any
    ) -> pb.RecognitionRule:
        """Set the mapping table."""
        usual: dict[str, Any] = {
            "region": self.abroad.entity_id,
            "items": [
                pb.RecognisedItem(region_item=PUBLIC_ITEM, item=PUBLIC_ITEM),
                pb.RecognisedItem(
                    region_item=EVALUATION,
                    item=RATING,
                    grade_field="finding",
                    grades=[
                        pb.GradePair(region_grade=there, grade=here)
                        for there, here in GRADES.items()
                    ],
                ),
            ],
            "purposes": [PURPOSE],
            "longest_seconds": 86_400,
        }
        if items:
            usual["items"] = list(items)
        channel = await self.channels.of(self.here.gateway, ADMINISTRATOR)
        stub = RecognitionServiceStub(channel)
        known = await stub.ListRecognitionRules(pb.ListRecognitionRulesRequest())
        usual["version"] = known.rules[0].version if known.rules else 0
        rule = pb.RecognitionRule(**{**usual, **fields})
        answer = await stub.SetRecognitionRule(
            pb.SetRecognitionRuleRequest(rule=rule, reason="test")
        )
        assert not answer.proposal_id
        return answer.rule

    async def transfer(self, document: str, **fields: Any) -> str:
        """Propose a transfer, and return the proposal's id."""
        usual: dict[str, Any] = {
            "operator_id": "alpha",
            "document_digest": sha256(document.encode()).hexdigest(),
            "destination": "HK",
            "purpose": PURPOSE,
            "recipient": "Invented Bank",
        }
        transfer = pb.CrossBorderTransfer(**{**usual, **fields})
        transfer.expire_time.seconds = int(time.time()) + 3_600
        channel = await self.channels.of(self.here.gateway, ADMINISTRATOR)
        answer = await RecognitionServiceStub(channel).ApproveCrossBorderTransfer(
            pb.ApproveCrossBorderTransferRequest(transfer=transfer, reason="test")
        )
        return answer.proposal_id

    async def approve(self, proposal_id: str, by: str) -> None:
        """Approve a proposal."""
        channel = await self.channels.of(self.here.gateway, by)
        await ScopeServiceStub(channel).ApproveProposal(
            scopes_pb.ApproveProposalRequest(proposal_id=proposal_id, reason="looked at")
        )


def licensed(region: RegionGateway, code: str, divisions: str = "*") -> None:
    """Let operator alpha use an item more, of records of some divisions."""
    now = region.installation.clock.now()
    licence = Licence(
        number="L-MORE",
        operator_id="alpha",
        valid_from=now - 1,
        valid_until=now + 86_400,
        items=frozenset({code, PUBLIC_ITEM}),
        purposes=frozenset({PURPOSE}),
        regions=frozenset({divisions}),
        daily_record_quota=1_000,
    )
    region.installation.keep(LICENCE, "L-MORE", licence)


async def knows(region: RegionGateway, code: str) -> bool:
    """Tell whether a region's gateway has heard of an item."""
    async with region.gateway.channel(ADMINISTRATOR) as channel:
        listed = await CatalogueServiceStub(channel).ListCatalogueItems(
            catalogue_pb.ListCatalogueItemsRequest(page_size=200)
        )
    return code in {each.code for each in listed.items}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Two]:
    """Two regions; the second has items of its own for the first's evaluations."""
    folder = tmp_path_factory.mktemp("recognition")
    async with federation(folder, "one", "two") as (anchor, regions):
        abroad, here = regions["one"], regions["two"]
        for region, code in ((abroad, EVALUATION), (here, RATING)):
            region.installation.keep(CATALOGUE_ITEM, code, item(code, Openness.OPENNESS_PUBLIC))
            licensed(region, code)
            await eventually(partial(knows, region, code))
        here.installation.enrol(SECOND, ClientRole.CLIENT_ROLE_ADMINISTRATOR)
        async with Channels() as channels:
            made = Two(anchor, abroad, here, channels)
            await made.set_rule()
            yield made


def told(recognition: pb.Recognition) -> list[tuple[str, str, str, str]]:
    """Return what became of each part."""
    return [
        (
            part.region_item,
            pb.RecognitionOutcome.Name(part.outcome).removeprefix("RECOGNITION_OUTCOME_"),
            part.item,
            part.grade,
        )
        for part in recognition.parts
    ]


async def refusal(waiting: Any) -> tuple[grpc.StatusCode, str]:
    """Return how a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await waiting
    return refused.value.code(), reason_of(refused.value)


async def test_a_report_is_recognised_item_by_item_and_grade_by_grade(two: Two) -> None:
    subject = await two.publish("B")
    document = await two.report(subject)
    recognition = await two.recognise(document)
    assert told(recognition) == [
        (PUBLIC_ITEM, "RECOGNISED", PUBLIC_ITEM, ""),
        (EVALUATION, "RECOGNISED", RATING, "A"),
    ]
    assert recognition.subject == subject
    async with two.here.http() as http:
        keys = (await http.get("/consent/receipt-keys.json")).json()
    statement = verified_recognition(
        recognition.statement, document.encode(), keys, two.here.entity_id, int(time.time())
    )
    assert statement.exp == recognition.expire_time.seconds
    assert statement.region == two.abroad.entity_id


async def test_a_retry_gets_what_was_recognised_and_another_document_is_refused(
    two: Two,
) -> None:
    subject = await two.publish()
    document, request_id = await two.report(subject), str(uuid4())
    first = await two.recognise(document, request_id=request_id)
    assert await two.recognise(document, request_id=request_id) == first
    other = await two.report(subject, PUBLIC_ITEM)
    code, reason = await refusal(two.recognise(other, request_id=request_id))
    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_a_report_that_does_not_hold_any_more_is_not_recognised(two: Two) -> None:
    subject = await two.publish()
    document = await two.report(subject)
    await two.withdraw(f"p-{two.published}")
    code, reason = await refusal(two.recognise(document))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STATE_CONFLICT")


async def test_what_is_no_report_of_the_region_is_malformed(two: Two) -> None:
    document = await two.report(await two.publish())
    head, payload, signature = document.split(".")
    forged = f"{head}.{payload}.{signature[:-8]}AAAAAAAA"
    for worthless in (forged, "no report", "a.b.c"):
        code, _ = await refusal(two.recognise(worthless))
        assert code == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_grades_of_an_answer_are_recognised_while_they_are_disclosed(
    two: Two,
) -> None:
    subject = await two.publish("A")
    answer, request = await two.served(subject)
    recognition = await two.recognise_grades(answer, request)
    assert told(recognition) == [(EVALUATION, "RECOGNISED", RATING, "AA")]
    assert recognition.parts[0].record == f"records/e-{two.published}"
    await two.withdraw(f"e-{two.published}")
    code, reason = await refusal(two.recognise_grades(answer, request))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STATE_CONFLICT")
    code, _ = await refusal(two.recognise_grades(answer, request[:-1]))
    assert code == grpc.StatusCode.INVALID_ARGUMENT


async def test_an_answer_is_recognised_while_there_is_nothing_more_than_it_states(
    two: Two,
) -> None:
    subject = await two.publish("A")
    answer, request = await two.served(subject)
    none, asked = await two.served(company(99))
    for saved in ((answer, request), (none, asked)):
        await two.recognise_grades(*saved)
    # Of another item: the answer is not about it.
    await publish(await two.channels.of(two.abroad.gateway, PUBLISHER), [draft("p-more", subject)])
    await two.recognise_grades(answer, request)
    await two.evaluate(subject, "e-more", "D")
    await two.evaluate(company(99), "e-first", "D")

    async def refused(*saved: bytes) -> bool:
        # The region proves it as soon as it is in its log.
        try:
            await two.recognise_grades(*saved)
        except grpc.aio.AioRpcError as error:
            return reason_of(error) == "STATE_CONFLICT"
        return False

    await eventually(partial(refused, answer, request), 5)
    await eventually(partial(refused, none, asked), 5)


async def test_a_retry_is_not_told_what_does_not_hold_any_more(two: Two) -> None:
    subject = await two.publish("A")
    document, (answer, request) = await two.report(subject), await two.served(subject)
    report_id, grades_id = str(uuid4()), str(uuid4())

    async def told_anew(reason: str) -> None:
        retries = (
            two.recognise(document, request_id=report_id),
            two.recognise_grades(answer, request, request_id=grades_id),
        )
        for retry in retries:
            assert (await refusal(retry))[1] == reason

    first = await two.recognise(document, request_id=report_id)
    grades = await two.recognise_grades(answer, request, request_id=grades_id)
    await two.set_rule(longest_seconds=3_600)
    await told_anew("REQUEST_SUPERSEDED")
    await two.set_rule(retired=True)
    await told_anew("REGION_NOT_ALLOWED")
    await two.set_rule()
    assert await two.recognise(document, request_id=report_id) == first
    assert await two.recognise_grades(answer, request, request_id=grades_id) == grades
    await two.withdraw(f"e-{two.published}")
    await told_anew("STATE_CONFLICT")


async def test_only_what_the_table_in_force_has_is_recognised(two: Two) -> None:
    document = await two.report(await two.publish("C"))
    assert told(await two.recognise(document)) == [
        (PUBLIC_ITEM, "RECOGNISED", PUBLIC_ITEM, ""),
        (EVALUATION, "GRADE_NOT_MAPPED", "", ""),
    ]
    before = await two.set_rule([pb.RecognisedItem(region_item=EVALUATION, item=RATING)])
    assert told(await two.recognise(document)) == [
        (PUBLIC_ITEM, "ITEM_NOT_MAPPED", "", ""),
        (EVALUATION, "RECOGNISED", RATING, ""),
    ]
    after = await two.set_rule(purposes=[Purpose.PURPOSE_BIDDING])
    assert after.version == before.version + 1
    assert (await refusal(two.recognise(document)))[1] == "PURPOSE_NOT_ALLOWED"
    await two.set_rule(retired=True)
    assert (await refusal(two.recognise(document)))[1] == "REGION_NOT_ALLOWED"
    await two.set_rule()


async def test_what_a_licence_has_not_for_the_documents_region_is_not_recognised(
    two: Two,
) -> None:
    document = await two.report(await two.publish("B"))

    async def outcomes() -> list[str]:
        return [outcome for _, outcome, _, _ in told(await two.recognise(document))]

    async def are(expected: list[str]) -> bool:
        return await outcomes() == expected

    licensed(two.here, RATING, "65")
    await eventually(partial(are, ["RECOGNISED", "NOT_LICENSED"]))
    licensed(two.here, RATING)
    await eventually(partial(are, ["RECOGNISED", "RECOGNISED"]))


async def test_nothing_goes_to_another_country_without_a_list_and_two_people(two: Two) -> None:
    document = await two.report(await two.publish(), PUBLIC_ITEM)
    with pytest.raises(grpc.aio.AioRpcError):
        await two.transfer(document)
    channel = await two.channels.of(two.here.gateway, ADMINISTRATOR)
    stub = RecognitionServiceStub(channel)
    profile = pb.CrossBorderProfile(destination="HK", items=[PUBLIC_ITEM], purposes=[PURPOSE])
    await stub.SetCrossBorderProfile(
        pb.SetCrossBorderProfileRequest(profile=profile, reason="test")
    )
    proposal_id = await two.transfer(document)
    assert proposal_id
    assert not (await stub.ListCrossBorderTransfers(pb.ListCrossBorderTransfersRequest())).transfers
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await two.approve(proposal_id, ADMINISTRATOR)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    await two.approve(proposal_id, SECOND)
    (transfer,) = (
        await stub.ListCrossBorderTransfers(pb.ListCrossBorderTransfersRequest())
    ).transfers
    recognition = await two.recognise(document, transfer_id=transfer.transfer_id)
    assert recognition.destination == "HK"
    assert recognition.expire_time.seconds <= transfer.expire_time.seconds
    other = await two.report(await two.publish(), PUBLIC_ITEM)
    code, reason = await refusal(two.recognise(other, transfer_id=transfer.transfer_id))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    both = await two.report(await two.publish())
    await two.approve(await two.transfer(both), SECOND)
    channel = await two.channels.of(two.here.gateway, ADMINISTRATOR)
    transfers = (
        await RecognitionServiceStub(channel).ListCrossBorderTransfers(
            pb.ListCrossBorderTransfersRequest(operator_id="alpha")
        )
    ).transfers
    own = sha256(both.encode()).hexdigest()
    (beyond,) = [each for each in transfers if each.document_digest == own]
    code, reason = await refusal(two.recognise(both, transfer_id=beyond.transfer_id))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "ITEM_NOT_ALLOWED")


async def test_nothing_of_a_region_that_was_cut_off_is_recognised(two: Two) -> None:
    document = await two.report(await two.publish())
    two.anchor.cut_off(two.abroad.entity_id)

    async def refused() -> bool:
        try:
            await two.recognise(document)
        except grpc.aio.AioRpcError as error:
            return error.code() == grpc.StatusCode.PERMISSION_DENIED
        return False

    await eventually(refused, 5)
    two.anchor.restore(two.abroad.entity_id)

    async def recognised() -> bool:
        try:
            await two.recognise(document)
        except grpc.aio.AioRpcError:
            return False
        return True

    await eventually(recognised, 20)


async def test_only_operators_have_documents_recognised(two: Two) -> None:
    channel = await two.channels.of(two.here.gateway, ADMINISTRATOR)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await RecognitionServiceStub(channel).RecogniseReport(pb.RecogniseReportRequest())
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_commands_set_tables_recognise_and_verify(two: Two, tmp_path: Path) -> None:
    home = two.here.installation.home

    async def run(client: str, *words: str | Path) -> Any:
        profile = ("--profile", str(home.profile(client)))
        done = await asyncio.to_thread(creditgate_here, home.root, *words, *profile)
        assert done.status == 0, done.told
        return done.json

    (known,) = (await run(ADMINISTRATOR, "recognition", "list", "--json"))["rules"]
    table = tmp_path / "table.json"
    table.write_text(json.dumps({**known, "longest_seconds": 3_600}))
    set_ = ("recognition", "set", table, "--reason", "shorter", "--json")
    assert (await run(ADMINISTRATOR, *set_))["rule"]["version"] == known["version"] + 1
    report, statement, keys = (tmp_path / name for name in ("report.jws", "said.jws", "keys.json"))
    report.write_text(await two.report(await two.publish()))
    asked = ("--region", two.abroad.entity_id, "--purpose", "supplier-check")
    kept = ("--output", statement, "--json")
    await run(OPERATOR_CLIENT, "recognition", "report", report, *asked, *kept)
    async with two.here.http() as http:
        keys.write_bytes((await http.get("/consent/receipt-keys.json")).content)
    verify = ("recognition", "verify", statement, report, "--keys", keys)
    by = ("--issuer", two.here.entity_id)
    done = await asyncio.to_thread(creditgate_here, home.root, *verify, *by, "--json")
    assert done.json["region"] == two.abroad.entity_id
    shown = await asyncio.to_thread(creditgate_here, home.root, *verify, *by)
    assert two.abroad.entity_id in shown.out
    assert all(part["region_item"] in shown.out for part in done.json["parts"])
    to = ("--to", "HK", "--purpose", "supplier-check", "--recipient", "Invented Bank")
    for_it = ("--operator", "alpha", "--days", "3", "--reason", "asked for", "--json")
    proposed = await run(ADMINISTRATOR, "recognition", "transfer", report, *to, *for_it)
    assert proposed["proposal_id"]
    listed = await run(ADMINISTRATOR, "recognition", "countries", "--json")
    assert [each["destination"] for each in listed["profiles"]] == ["HK"]
