"""Batches: chunk by chunk, resumable without charge, in messages of bounded size."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.respond.holding import HOLDS_SECONDS
from gateway.respond.under_way import UNDER_WAY_SECONDS
from gateway.storage.engines import Engines
from operators.log import Draft
from operators.model import OPERATOR
from tests import consenting
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import NOW, company
from tests.respond.world import (
    ALPHA,
    CONSENT,
    LIMITS,
    PRICE,
    PURPOSE,
    World,
    names,
    reason,
    record,
    world_on,
)

pytestmark = rarely_on_postgresql


async def suspend(world: World) -> None:
    """Suspend operator alpha."""
    operator = world.feed.current().authority.operators["alpha"]
    suspended = operator.model_copy(update={"state": OperatorState.OPERATOR_STATE_SUSPENDED})
    await world.put(Draft(OPERATOR, "alpha", 1, suspended.as_document()))


async def test_every_subject_is_served_once_in_chunks(world: World) -> None:
    world.publish(*(record(f"{number}-{i}", number) for number in range(1, 9) for i in range(2)))
    messages = await world.batch([*range(1, 9), 50])
    assert [
        (message.first_subject, message.subject_count, message.chunk_complete)
        for message in messages
    ] == [(0, 4, True), (4, 4, True), (8, 1, True)]
    assert sorted(name for message in messages for name in names(message)) == sorted(
        f"{number}-{i}" for number in range(1, 9) for i in range(2)
    )
    assert [message.receipt.charged_entries for message in messages] == [8, 8, 0]
    assert world.charged() == 16


@always_on_postgresql
async def test_broken_batch_is_resumed_and_charged_once(world: World) -> None:
    world.publish(*(record(f"r-{number}", number) for number in range(1, 13)))
    everyone = range(1, 13)
    stream = world.batched(everyone, request_id="same")
    first = await anext(stream)
    second = await anext(stream)
    await stream.aclose()
    assert world.charged() == 8
    again = await world.batch(everyone, request_id="same", resume_from=4)
    assert [message.first_subject for message in again] == [4, 8]
    assert names(again[0]) == names(second)
    assert (again[0].receipt.replayed, again[0].receipt.charged_entries) == (True, 0)
    assert (again[1].receipt.replayed, again[1].receipt.charged_entries) == (False, 4)
    whole = await world.batch(everyone, request_id="same")
    assert [names(message) for message in whole] == list(map(names, (first, *again)))
    assert world.charged() == 12


async def test_a_chunk_not_taken_in_time_is_given_again_to_a_retry_without_charge(
    world: World,
) -> None:
    world.publish(*(record(f"{number}-{i}", number) for number in (1, 2) for i in range(40)))
    stream = world.batched([1, 2], request_id="same")
    first = await anext(stream)
    assert not first.chunk_complete
    world.clock.at += UNDER_WAY_SECONDS
    with pytest.raises(Refused) as refusal:
        await anext(stream)
    assert reason(refusal) == "TEMPORARILY_UNAVAILABLE"
    again = await world.batch([1, 2], request_id="same")
    assert sum(len(names(message)) for message in again) == world.charged() == 80


async def test_resumed_batch_has_the_payload_it_began_with(world: World) -> None:
    world.publish(record("a", 1))
    await world.batch([1, 2, 3, 4, 5, 6], request_id="same")
    for numbers, start in (([1, 2, 3, 4, 7], 4), ([1, 2], 0), ([2, 1, 3, 4, 5, 6], 0)):
        with pytest.raises(Refused) as refusal:
            await world.batch(numbers, request_id="same", resume_from=start)
        assert reason(refusal) == "REQUEST_ID_REUSED"


async def test_batch_in_chunks_of_another_size_is_no_retry(engines: Engines) -> None:
    """Its chunks are other chunks: charging them again would charge twice."""
    async with world_on(engines) as before:
        before.publish(*(record(f"r-{number}", number) for number in range(1, 9)))
        await before.batch(range(1, 9), request_id="same")
        # Made beside it, as by a process that was started with another setting.
        after = World(engines, replace(LIMITS, chunk_subjects=2))
        await after.feed.refresh()
        with pytest.raises(Refused) as refusal:
            await after.batch(range(1, 9), request_id="same", resume_from=6)
        assert reason(refusal) == "REQUEST_ID_REUSED"
        assert before.charged() == 8
        after.committer.close()
        after.lookup.close()
        await after.feed.stop()


async def test_chunk_too_large_for_a_message_comes_in_parts_and_is_charged_once(
    world: World,
) -> None:
    content = b'{"about":"%s"}' % (b"x" * 2_500)
    world.publish(
        *(record(f"{number}-{i}", number, content=content) for number in (1, 2) for i in range(5))
    )
    messages = await world.batch([1, 2, 3])
    assert len(messages) == 4
    assert all(message.ByteSize() <= LIMITS.answer_bytes for message in messages)
    assert sorted(name for message in messages for name in names(message)) == sorted(
        f"{number}-{i}" for number in (1, 2) for i in range(5)
    )
    assert [message.chunk_complete for message in messages] == [False, False, False, True]
    assert [message.receipt.charged_entries for message in messages] == [0, 0, 0, 10]
    assert sum(message.receipt.charged_micro_yuan for message in messages) == 10 * PRICE
    assert {(message.first_subject, message.subject_count) for message in messages} == {(0, 3)}
    assert len({message.receipt.decision_id for message in messages}) == 1
    assert world.charged() == 10


async def test_answer_too_large_for_a_message_is_refused_before_it_is_charged(
    world: World,
) -> None:
    content = b'{"about":"%s"}' % (b"x" * 2_500)
    world.publish(*(record(f"r-{i}", content=content) for i in range(5)))
    with pytest.raises(Refused) as refusal:
        await world.ask(1)
    assert reason(refusal) == "ANSWER_TOO_LARGE"
    assert not world.answers()
    world.disclosure.repair("r-4")
    world.disclosure.repair("r-3")
    assert (await world.ask(1)).receipt.charged_entries == 3


async def test_malformed_batch_is_refused_whole_before_anything_is_charged(world: World) -> None:
    world.publish(record("a", 1))
    malformed: list[dict[str, Any]] = [
        {"subjects": [company(1), "short"]},
        {"request_id": ""},
        {"resume_from": 3},
    ]
    for fields in malformed:
        with pytest.raises(Refused) as refusal:
            await world.batch([1, 2], **fields)
        assert reason(refusal) == "INVALID_REQUEST"
    assert not world.answers()


async def test_authority_withdrawn_between_two_chunks_ends_the_batch(world: World) -> None:
    """G4: what was sent stays charged, nothing more is sent."""
    world.publish(*(record(f"r-{number}", number) for number in range(1, 9)))
    stream = world.batched(range(1, 9))
    await anext(stream)
    await suspend(world)
    assert await why_ended(stream) == "OPERATOR_SUSPENDED"
    assert world.charged() == 4


async def begun(world: World, **fields: Any) -> AsyncGenerator[pb.BatchGetSubjectRecordsResponse]:
    """Begin a batch whose only chunk takes several messages, and take the first of them."""
    content = b'{"about":"%s"}' % (b"x" * 2_500)
    world.publish(*(record(f"1-{i}", 1, content=content) for i in range(9)))
    stream = world.batched([1, 2], **fields)
    assert names(await anext(stream))
    return stream


async def why_ended(stream: AsyncGenerator[pb.BatchGetSubjectRecordsResponse]) -> str:
    """Return why a batch gives nothing more."""
    with pytest.raises(Refused) as refusal:
        await anext(stream)
    return reason(refusal)


async def test_consent_revoked_between_two_messages_of_a_chunk_ends_the_batch(
    world: World,
) -> None:
    """G4: whoever reads slowly is given nothing that was taken back a second ago."""
    world.publish(record("tax", 2, CONSENT))
    consent = world.give(2)
    stream = await begun(world, consent=consent.name)
    consenting.moved(world.consents, consent, "revoke")
    world.clock.at += HOLDS_SECONDS
    assert await why_ended(stream) == "CONSENT_REVOKED"


async def test_operator_suspended_between_two_messages_of_a_chunk_gets_nothing_more(
    world: World,
) -> None:
    stream = await begun(world)
    await suspend(world)
    assert await why_ended(stream) == "OPERATOR_SUSPENDED"


@always_on_postgresql
async def test_record_repaired_between_two_messages_of_a_chunk_is_not_given(world: World) -> None:
    stream = await begun(world)
    world.disclosure.repair("1-8")
    world.clock.at += HOLDS_SECONDS
    assert await why_ended(stream) == "DISCLOSURE_CHANGING"


@always_on_postgresql
async def test_chunk_that_is_read_slowly_is_given_whole_and_charged_once(world: World) -> None:
    given = [await anext(stream := await begun(world))]
    async for message in stream:
        given.append(message)
        world.clock.at += HOLDS_SECONDS
    assert given[-1].chunk_complete
    assert world.charged() == 9


async def test_licence_that_ends_between_two_chunks_ends_the_batch(world: World) -> None:
    world.publish(*(record(f"r-{number}", number) for number in range(1, 9)))
    stream = world.batched(range(1, 9))
    await anext(stream)
    world.clock.at = NOW * 2
    with pytest.raises(Refused) as refusal:
        await anext(stream)
    assert reason(refusal) == "NO_LICENCE"


async def test_call_that_is_cancelled_or_late_ends_at_once_and_its_retry_is_free(
    world: World,
) -> None:
    world.publish(record("a", 1))
    request = pb.GetSubjectRecordsRequest(subject=company(1), purpose=PURPOSE, request_id="same")
    read = asyncio.Event()
    world.lookup.then.append(read.set)
    call = asyncio.create_task(world.service.get_subject_records(request, ALPHA))
    await read.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert names(await world.ask(1, request_id="same")) == ["a"]
    assert world.charged() == 1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await world.ask(1)
    stream = world.batched([1])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(stream)
