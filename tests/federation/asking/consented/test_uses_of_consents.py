"""A question is a use of its consent where a region is asked, and not where none can be
(guarantee G3)."""

from functools import partial
from typing import Any
from uuid import uuid4

import grpc
import pytest

from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.model import CATALOGUE_ITEM, ContentField, ContentFieldType
from sdk.refusals import explain
from tests.consents.counter import Counter
from tests.federation.asking.world import World, company, names, not_asked
from tests.installation import CONSENT_ITEM, eventually, item

pytestmark = pytest.mark.asyncio(loop_scope="package")
LIMITED: list[dict[str, Any]] = [
    {"access_mode": pb.CONSENT_ACCESS_MODE_ONCE},
    {"access_mode": pb.CONSENT_ACCESS_MODE_TIMES_PER_DAY, "times_per_day": 1},
]


@pytest.mark.parametrize("limited", LIMITED, ids=["once", "once-a-day"])
async def test_a_question_of_which_no_region_is_asked_uses_nothing_up(
    world: World, counter: Counter, limited: dict[str, Any]
) -> None:
    subject = company("two")
    kept = await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject, counter.terms(regions=["000002"], **limited))
    under: dict[str, Any] = {"items": [CONSENT_ITEM], "consent": consent.name}
    request_id = uuid4().hex
    vain = await world.ask(subject, request_id=request_id, regions=[world.three.entity_id], **under)
    assert not_asked(vain, world.three) == "OUTSIDE_LICENCE"
    # Nor does a retry make it one.
    retried = await world.ask(subject, request_id=request_id, **under)
    assert not_asked(retried, world.two) == "CONSENT_USED"
    assert (await counter.read(consent.name)).answered_requests == 0
    answer = await world.ask(subject, **under)
    assert names(answer, world.two) == kept


async def test_a_question_of_which_a_region_is_asked_is_the_use(
    world: World, counter: Counter
) -> None:
    subject = company("two")
    once = counter.terms(access_mode=pb.CONSENT_ACCESS_MODE_ONCE)
    consent = await counter.given(subject, once)
    await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    assert explain(error.value).reason == "CONSENT_EXHAUSTED"


async def test_a_consent_to_a_grade_is_refused_before_it_is_used(
    world: World, counter: Counter, request: pytest.FixtureRequest
) -> None:
    result = ContentField(
        name="finding",
        type=ContentFieldType.CONTENT_FIELD_TYPE_STRING,
        required=True,
        max_length=200,
        result=True,
    )
    known = item(CONSENT_ITEM, Openness.OPENNESS_CONSENT)
    graded = known.model_copy(update={"content_fields": (result,)})
    installation = world.one.installation
    request.addfinalizer(partial(installation.keep, CATALOGUE_ITEM, CONSENT_ITEM, known))
    installation.keep(CATALOGUE_ITEM, CONSENT_ITEM, graded)
    subject = company("two")
    terms = counter.terms(
        answer_form=pb.CONSENT_ANSWER_FORM_GRADE, access_mode=pb.CONSENT_ACCESS_MODE_ONCE
    )
    given: list[pb.Consent] = []

    async def granted() -> bool:
        try:
            given.append(await counter.given(subject, terms))
        except grpc.aio.AioRpcError:
            # The catalogue is not known there yet.
            return False
        return True

    await eventually(granted, 10)
    (consent,) = given
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.ask(subject, items=[CONSENT_ITEM], consent=consent.name)
    refusal = explain(error.value)
    assert (refusal.reason, refusal.metadata["field"]) == ("CONSENT_EXCEEDED", "answer_form")
    assert (await counter.read(consent.name)).state == pb.CONSENT_STATE_GRANTED
