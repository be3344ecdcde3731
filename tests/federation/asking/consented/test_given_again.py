"""How often a retry was given another region's records again is told where the consent is kept
(guarantee G7)."""

from functools import partial
from typing import Any
from uuid import uuid4

import grpc
import pytest

from creditgate.v1 import audit_service_pb2
from creditgate.v1 import consent_service_pb2 as pb
from sdk.refusals import explain
from tests.consents.counter import Counter
from tests.federation.asking.lost import lose, withdraw
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import World, company, names
from tests.installation import CONSENT_ITEM

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def told(counter: Counter, **narrowed: Any) -> dict[str, pb.GivenAgain]:
    """Return how often each record was given again, as the operator is told; unset where it was
    not."""
    listed = await counter.operator.ListAccesses(pb.ListAccessesRequest(**narrowed))
    again = {each.record: each.given_again for each in listed.accesses if each.record}
    assert all(
        each.HasField("given_again") == bool(each.given_again.times) for each in listed.accesses
    )
    return again


async def times(counter: Counter, consent: pb.Consent) -> dict[str, int]:
    """Return how often each record under a consent was given again, as the operator and the
    auditor are told."""
    again = await told(counter, consent=consent.name)
    traced = await counter.audit.TraceConsent(
        audit_service_pb2.TraceConsentRequest(consent=consent.name)
    )
    used = [step for step in traced.steps if step.HasField("usage")]
    assert {step.usage.record: step.given_again for step in used} == again
    return {record: each.times for record, each in again.items()}


async def test_each_record_is_told_as_often_as_retries_were_given_it(
    world: World, counter: Counter
) -> None:
    subject, two = company("two"), world.two
    stays, goes = await world.publish(two, subject, 2, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    under: dict[str, Any] = {"items": [CONSENT_ITEM], "consent": consent.name}
    ask = partial(world.ask, subject, request_id=uuid4().hex, **under)
    assert names(await ask(), two) == [stays, goes]
    assert await times(counter, consent) == {stays: 0, goes: 0}
    before = counter.now
    for number in (1, 2):
        assert names(await ask(), two) == [stays, goes]
        assert await times(counter, consent) == {stays: number, goes: number}
    await withdraw(world, goes)
    assert names(await ask(), two) == [stays]
    assert await times(counter, consent) == {stays: 3, goes: 2}
    last = (await told(counter, consent=consent.name))[stays].last_time.seconds
    assert before <= last <= counter.now
    # A retry is no use of its own.
    assert (await counter.read(consent.name)).answered_requests == 1


async def test_what_was_lost_on_its_way_is_given_first_and_only_then_again(
    world: World, counter: Counter, relay: Relay
) -> None:
    subject, request_id = company("two"), uuid4().hex
    (record,) = await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    under: dict[str, Any] = {"items": [CONSENT_ITEM], "consent": consent.name}
    ask = partial(world.ask, subject, request_id=request_id, **under)
    await lose(world, relay, subject, request_id, **under)
    for number in range(3):
        assert names(await ask(), world.two) == [record]
        assert await times(counter, consent) == {record: number}


async def test_a_retry_that_is_given_nothing_is_not_counted(world: World, counter: Counter) -> None:
    subject = company("two")
    (record,) = await world.publish(world.two, subject, item=CONSENT_ITEM)
    consent = await counter.given(subject)
    under: dict[str, Any] = {"items": [CONSENT_ITEM], "consent": consent.name}
    ask = partial(world.ask, subject, request_id=uuid4().hex, **under)
    for _ in range(2):
        assert names(await ask(), world.two) == [record]
    counter.revoke(consent)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask()
    assert explain(refused.value).reason == "CONSENT_REVOKED"
    assert await times(counter, consent) == {record: 1}
