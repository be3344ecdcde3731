"""What is not public is recognised under the subject's live consent alone, as a use of it."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio

from creditgate.v1 import consent_service_pb2 as consents_pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import recognition_service_pb2 as pb
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.recognition_service_pb2_grpc import RecognitionServiceStub
from gateway.federation.recognition.consented import CONSENTED_SECONDS
from sdk.tokens import TokenRefused
from tests.consents.counter import OTHER_CLIENT, Counter, furnish, open_counter
from tests.federating import RegionGateway, federation
from tests.federation.channels import Channels
from tests.installation import (
    CONSENT_ITEM,
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    company,
    eventually,
)
from tests.recognition.test_regions import Two, refusal
from tests.server.calls import draft, publish

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class World:
    """Both regions, and who gives and asks for consents in each."""

    two: Two
    abroad: Counter
    here: Counter
    made: int = 700

    async def answer(self, *items: str) -> tuple[str, bytes, bytes]:
        """Return a company, and what the operator was given of it abroad, under its consent there:
        the answer, and its request."""
        self.made += 1
        subject = company(self.made)
        asked = items or (CONSENT_ITEM,)
        made = [draft(f"{each}-{subject}", subject, each) for each in asked]
        for each in made:
            each.content = json.dumps({"finding": "A"}, separators=(",", ":")).encode()
        channel = await self.two.channels.of(self.two.abroad.gateway, PUBLISHER)
        await publish(channel, made)
        consent = await self.abroad.given(subject)
        request = records_pb.GetSubjectRecordsRequest(
            subject=subject,
            items=asked,
            purpose=PURPOSE,
            consent=consent.name,
            request_id=uuid4().hex,
            proof=ProofKind.PROOF_KIND_COMPLETE,
        )
        answer = await CreditRecordServiceStub(self.abroad.alpha).GetSubjectRecords(request)
        return (
            subject,
            answer.SerializeToString(deterministic=True),
            request.SerializeToString(deterministic=True),
        )

    async def map_items(self, *items: str) -> None:
        """Have these items recognised, with their grades, and no others."""
        grades = [pb.GradePair(region_grade="A", grade="AA")]
        await self.two.set_rule(
            pb.RecognisedItem(region_item=each, item=each, grade_field="finding", grades=grades)
            for each in items
        )

    async def recognised(
        self, answer: bytes, request: bytes, consent: str = "", request_id: str = ""
    ) -> pb.Recognition:
        """Have the grades of an answer recognised for the operator here."""
        told = await RecognitionServiceStub(self.here.alpha).RecogniseGrades(
            pb.RecogniseGradesRequest(
                region=self.two.abroad.entity_id,
                answer=[answer],
                request=request,
                purpose=PURPOSE,
                request_id=request_id or uuid4().hex,
                consent=consent,
            ),
            timeout=20,
        )
        return told.recognition

    async def uses(self, subject: str) -> list[consents_pb.ConsentAccess]:
        """Return what is told of the uses of a company's data here."""
        told = await self.here.operator.ListAccesses(
            consents_pb.ListAccessesRequest(subject=subject)
        )
        return list(told.accesses)


async def enrolled(region: RegionGateway) -> bool:
    try:
        async with region.gateway.channel(OTHER_CLIENT):
            return True
    except TokenRefused:
        return False


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Two regions, of which both have the item that takes a consent."""
    folder = tmp_path_factory.mktemp("recognised-under-consent")
    async with federation(folder, "one", "two") as (anchor, regions), Channels() as channels:
        abroad, here = regions["one"], regions["two"]
        for region in (abroad, here):
            furnish(region.installation)
            await eventually(partial(enrolled, region), 10)
        two = Two(anchor, abroad, here, channels)
        async with open_counter(abroad.gateway) as there, open_counter(here.gateway) as own:
            made = World(two, there, own)
            await made.map_items(CONSENT_ITEM)
            yield made


async def test_an_answer_given_under_a_consent_is_nobodys_to_have_recognised_without_one(
    world: World,
) -> None:
    subject, answer, request = await world.answer()
    code, reason = await refusal(world.recognised(answer, request))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "CONSENT_REQUIRED")
    unknown = f"consents/{int(time.time()):010x}-{'0' * 24}"
    _, reason = await refusal(world.recognised(answer, request, unknown))
    assert reason == "CONSENT_UNKNOWN"
    assert not await world.uses(subject)


async def test_it_is_recognised_under_the_subjects_consent_here_for_an_hour_and_told_to_it(
    world: World,
) -> None:
    subject, answer, request = await world.answer()
    consent = await world.here.given(subject)
    recognition = await world.recognised(answer, request, consent.name)
    assert recognition.parts[0].grade == "AA"
    held = recognition.expire_time.seconds - recognition.recognise_time.seconds
    assert 0 < held <= CONSENTED_SECONDS
    (use,) = await world.uses(subject)
    assert (use.consent, use.item, use.recognised, use.record) == (
        consent.name,
        CONSENT_ITEM,
        True,
        "",
    )


@pytest.mark.parametrize(
    "mode",
    [
        consents_pb.CONSENT_ACCESS_MODE_WITHIN_PERIOD,
        consents_pb.CONSENT_ACCESS_MODE_ONCE,
    ],
)
async def test_a_retry_is_no_other_use(
    world: World, mode: consents_pb.ConsentAccessMode.ValueType
) -> None:
    subject, answer, request = await world.answer()
    consent = await world.here.given(subject, world.here.terms(access_mode=mode))
    request_id = uuid4().hex
    first = await world.recognised(answer, request, consent.name, request_id)
    assert await world.recognised(answer, request, consent.name, request_id) == first
    assert len(await world.uses(subject)) == 1


async def test_once_the_subject_has_revoked_nothing_is_signed(world: World) -> None:
    subject, answer, request = await world.answer()
    consent = await world.here.given(subject)
    assert await world.recognised(answer, request, consent.name)
    world.here.revoke(consent)
    _, reason = await refusal(world.recognised(answer, request, consent.name))
    assert reason == "CONSENT_REVOKED"
    assert len(await world.uses(subject)) == 1


async def test_a_consent_about_another_subject_or_to_another_firm_opens_nothing(
    world: World,
) -> None:
    _, answer, request = await world.answer()
    other = await world.here.given(company(6_990))
    _, reason = await refusal(world.recognised(answer, request, other.name))
    assert reason == "CONSENT_EXCEEDED"


async def test_what_was_recognised_is_not_given_again_once_the_subject_has_revoked(
    world: World,
) -> None:
    subject, answer, request = await world.answer()
    consent = await world.here.given(subject)
    request_id = uuid4().hex
    assert await world.recognised(answer, request, consent.name, request_id)
    world.here.revoke(consent)
    _, reason = await refusal(world.recognised(answer, request, consent.name, request_id))
    assert reason == "CONSENT_REVOKED"
    assert len(await world.uses(subject)) == 1


async def test_what_is_recognised_no_more_is_not_given_again_whatever_takes_a_consent_now(
    world: World,
) -> None:
    await world.map_items(CONSENT_ITEM, PUBLIC_ITEM)
    subject, answer, request = await world.answer(CONSENT_ITEM, PUBLIC_ITEM)
    consent = await world.here.given(subject)
    request_id = uuid4().hex

    async def without_consent() -> bool:
        try:
            return bool(await world.recognised(answer, request))
        except grpc.aio.AioRpcError:
            return False

    try:
        made = await world.recognised(answer, request, consent.name, request_id)
        assert {part.grade for part in made.parts} == {"AA"}
        world.here.revoke(consent)
        await world.map_items(PUBLIC_ITEM)
        await eventually(without_consent)
        _, reason = await refusal(world.recognised(answer, request, consent.name, request_id))
        assert reason == "REQUEST_SUPERSEDED"
    finally:
        await world.map_items(CONSENT_ITEM)
