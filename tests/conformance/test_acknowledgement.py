"""AcknowledgeRemovals: one word for copies that events and ended consents made void (G9)."""

from collections.abc import AsyncIterator, Iterable

import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from sdk.refusals import Refusal, explain
from tests.conformance.test_watch import (
    CORRECTED,
    WITHDRAWN,
    Site,
    furnish,
    open_site,
    watching,
)
from tests.consents.counter import Counter, open_counter
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import Installation

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def parties(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Site, Counter]]:
    """A gateway on each kind of store, with its publisher and its consents."""
    kind = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    with request.getfixturevalue(kind).database() as store:
        installation = Installation(*store)
        installation.furnish()
        furnish(installation)
        async with (
            installation.running() as gateway,
            open_site(gateway) as site,
            open_counter(gateway) as counter,
        ):
            yield site, counter
        installation.close()


async def acknowledge(
    channel: grpc.aio.Channel, removals: Iterable[pb.RemovalAcknowledgement]
) -> pb.AcknowledgeRemovalsResponse:
    """Acknowledge removals."""
    return await ConformanceServiceStub(channel).AcknowledgeRemovals(
        pb.AcknowledgeRemovalsRequest(removals=removals)
    )


def of_event(sequence: int, at: int) -> pb.RemovalAcknowledgement:
    """Return the word that the copy an event made void is gone."""
    return pb.RemovalAcknowledgement(event_sequence=sequence, remove_time=Timestamp(seconds=at))


async def refused(
    channel: grpc.aio.Channel, removals: Iterable[pb.RemovalAcknowledgement]
) -> Refusal:
    """Return why removals are not taken."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await acknowledge(channel, removals)
    return explain(error.value)


async def test_events_and_consents_are_acknowledged_together_and_counted_together(
    parties: tuple[Site, Counter],
) -> None:
    site, counter = parties
    consent = await counter.given(await counter.published())
    await counter.use(consent)
    first, second = await site.served(), await site.served()
    one, two = await site.repair(first), await site.withdraw(second)
    counter.revoke(consent)
    now = counter.now
    ended = pb.RemovalAcknowledgement(consent=consent.name, remove_time=Timestamp(seconds=now))
    answer = await acknowledge(site.alpha, [of_event(one.event_sequence, now)])
    assert (answer.acknowledged_removals, answer.outstanding_removals) == (1, 2)
    answer = await acknowledge(site.alpha, [of_event(one.event_sequence, now), ended])
    assert (answer.acknowledged_removals, answer.outstanding_removals) == (1, 1)
    assert answer.next_deadline.seconds > now
    again = [of_event(one.event_sequence, now), ended, of_event(two.event_sequence, now)]
    answer = await acknowledge(site.alpha, again)
    assert (answer.acknowledged_removals, answer.outstanding_removals) == (1, 0)
    assert not answer.HasField("next_deadline")


@always_on_postgresql
async def test_of_copies_that_are_gone_for_a_consent_nothing_more_is_told_or_owed(
    parties: tuple[Site, Counter],
) -> None:
    """The company's affairs are the operator's no more once it has acknowledged their removal."""
    site, counter = parties
    gone, held = [await counter.given(await counter.published()) for _ in range(2)]
    ended, other = f"records/r-{gone.subject}", f"records/r-{held.subject}"
    for consent in (gone, held):
        await counter.use(consent)
    async with watching(site.alpha) as watcher:
        before = (await site.correct(ended)).record.event_sequence - 1
        await watcher.tells(ended, CORRECTED)
        counter.revoke(gone)
        now = counter.now
        word = pb.RemovalAcknowledgement(consent=gone.name, remove_time=Timestamp(seconds=now))
        # It is the word on the correction too.
        assert (await acknowledge(site.alpha, [word])).outstanding_removals == 0
        await site.withdraw(ended, 2)
        await site.withdraw(other)
        await watcher.tells(other, WITHDRAWN)
        assert [each.event.kind for each in watcher.of(ended)] == [CORRECTED]
        # Nor is a stream that is taken up again, beside one that was told before.
        async with watching(site.alpha, after=before) as again:
            await again.tells(other, WITHDRAWN)
            assert not again.of(ended)
    owed = await acknowledge(site.alpha, [word])
    assert owed.outstanding_removals == 1


@pytest.mark.parametrize("case", ["another's", "a publication's", "none's"])
async def test_a_removal_not_owed_is_refused_alike_for_every_reason(
    parties: tuple[Site, Counter], case: str
) -> None:
    """G11: an event that concerns others is as unknown as one that never was."""
    site, counter = parties
    record = await site.served(site.beta if case == "another's" else None)
    ended = await site.repair(record)
    sequence = {
        "another's": ended.event_sequence,
        "a publication's": ended.event_sequence - 1,
        "none's": ended.event_sequence + 1_000,
    }[case]
    own = await site.served()
    owed = await site.repair(own)
    now = counter.now
    refusal = await refused(
        site.alpha,
        [of_event(owed.event_sequence, now), of_event(sequence, now)],
    )
    assert (refusal.status, refusal.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert refusal.metadata["removal"] == "1"
    assert refusal.message == (
        "removals[1]: you owe no removal for such an event; those before it stand."
    )
    answer = await acknowledge(site.alpha, [of_event(owed.event_sequence, now)])
    assert answer.acknowledged_removals == 0


async def test_a_malformed_word_changes_nothing(parties: tuple[Site, Counter]) -> None:
    site, counter = parties
    owed = await site.repair(await site.served())
    good = of_event(owed.event_sequence, counter.now)
    for bad, field in (
        (of_event(0, counter.now), "event_sequence"),
        (of_event(owed.event_sequence, counter.now + 3_600), "remove_time"),
        (of_event(owed.event_sequence, -1), "remove_time"),
        (pb.RemovalAcknowledgement(event_sequence=owed.event_sequence), "remove_time"),
        # Before the event it went for.
        (of_event(owed.event_sequence, 1), "remove_time"),
        (of_event(owed.event_sequence, counter.now - 3_600), "remove_time"),
    ):
        refusal = await refused(site.alpha, [good, bad])
        assert [each.field for each in refusal.violations] == [f"removals[1].{field}"]
    assert (await acknowledge(site.alpha, [good])).acknowledged_removals == 1
