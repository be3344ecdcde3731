"""WatchDisclosures: what concerns an operator, in order, none missing, each in time (G9)."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.conformance.policy_file import read_policy
from gateway.conformance.watch import MOST_WATCHERS
from operators.model import LICENCE, OPERATOR
from sdk.disclosures import LICENSED, SERVED
from sdk.refusals import explain
from tests.consents.counter import new_subject, open_counter
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    PUBLIC_ITEM,
    PUBLISHER,
    Gateway,
    Installation,
    content,
    eventually,
)
from tests.server.calls import draft, publish, query

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]

OTHER, OTHER_CLIENT = "beta", "beta-one"
PUBLISHED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED
CORRECTED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
REPAIRED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED
WITHDRAWN: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN
_numbers = count(1)


@dataclass
class Watcher:
    """A stream that is read in the background."""

    call: Any
    told: list[pb.WatchDisclosuresResponse] = field(
        default_factory=list[pb.WatchDisclosuresResponse]
    )
    ended: grpc.aio.AioRpcError | None = None

    async def read(self) -> None:
        """Read until it ends."""
        try:
            async for response in self.call:
                self.told.append(response)
        except grpc.aio.AioRpcError as error:
            self.ended = error

    @property
    def events(self) -> list[pb.WatchDisclosuresResponse]:
        """The events told so far."""
        return [each for each in self.told if each.HasField("event")]

    def of(self, record: str) -> list[pb.WatchDisclosuresResponse]:
        """Return the events told of a record."""
        return [each for each in self.events if each.event.record == record]

    async def tells(self, record: str, *kinds: DisclosureEventKind.ValueType) -> float:
        """Wait until events of these kinds and no others were told of a record."""

        async def told() -> bool:
            return [each.event.kind for each in self.of(record)] == list(kinds)

        return await eventually(told)

    async def ends(self) -> str:
        """Wait until it ended and return why."""

        async def ended() -> bool:
            return self.ended is not None

        await eventually(ended)
        assert self.ended is not None
        return explain(self.ended).reason


@asynccontextmanager
async def watching(
    channel: grpc.aio.Channel,
    coverage: pb.WatchCoverage.ValueType = SERVED,
    after: int = 0,
    heartbeat: int = 15,
) -> AsyncGenerator[Watcher]:
    """Watch while the context lasts."""
    call = ConformanceServiceStub(channel).WatchDisclosures(
        pb.WatchDisclosuresRequest(
            coverage=coverage,
            after_sequence=after,
            heartbeat_interval=Duration(seconds=heartbeat),
        )
    )
    watcher = Watcher(call)
    reading = asyncio.create_task(watcher.read())
    try:
        yield watcher
    finally:
        call.cancel()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@dataclass(frozen=True)
class Site:
    """A gateway with two operators, and the official site that publishes."""

    gateway: Gateway
    alpha: grpc.aio.Channel
    beta: grpc.aio.Channel
    publisher: grpc.aio.Channel

    @property
    def installation(self) -> Installation:
        """The installation that runs."""
        return self.gateway.installation

    async def published(self, item: str = PUBLIC_ITEM, **changes: Any) -> tuple[str, str]:
        """Publish a record of a new company; return its name and the company's code."""
        record_id, subject = f"watched-{next(_numbers)}", new_subject()
        made = draft(record_id, subject, item)
        for name, value in changes.items():
            setattr(made, name, value)
        await publish(self.publisher, [made])
        return f"records/{record_id}", subject

    async def served(self, channel: grpc.aio.Channel | None = None) -> str:
        """Publish a record and serve it to an operator, alpha where nothing is said."""
        record, subject = await self.published()
        answer = await query(channel or self.alpha, subject)
        assert [each.name for each in answer.records] == [record]
        return record

    async def correct(self, record: str, revision: int = 1) -> disclosure_pb.CorrectRecordResponse:
        """Correct a record."""
        return await DisclosureServiceStub(self.publisher).CorrectRecord(
            disclosure_pb.CorrectRecordRequest(
                name=record,
                expected_revision=revision,
                content=content(f"revision {revision + 1}"),
                reason="typing error",
            )
        )

    async def repair(self, record: str, revision: int = 1) -> disclosure_pb.RepairRecordResponse:
        """Repair a record."""
        return await DisclosureServiceStub(self.publisher).RepairRecord(
            disclosure_pb.RepairRecordRequest(
                name=record, expected_revision=revision, decision_reference="decision 7"
            )
        )

    async def withdraw(
        self, record: str, revision: int = 1
    ) -> disclosure_pb.WithdrawRecordResponse:
        """Withdraw a record."""
        return await DisclosureServiceStub(self.publisher).WithdrawRecord(
            disclosure_pb.WithdrawRecordRequest(
                name=record, expected_revision=revision, reason="published in error"
            )
        )

    async def marked(self) -> str:
        """Serve a record to both operators and withdraw it: a last event both are told of."""
        record, subject = await self.published()
        for channel in (self.alpha, self.beta):
            await query(channel, subject)
        await self.withdraw(record)
        return record


@asynccontextmanager
async def open_site(gateway: Gateway) -> AsyncGenerator[Site]:
    """Open the channels of all parties."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(gateway.channel(client_id))
            for client_id in (OPERATOR_CLIENT, OTHER_CLIENT, PUBLISHER)
        ]
        yield Site(gateway, *channels)


def furnish(installation: Installation) -> None:
    """Put in another operator."""
    installation.license(OTHER, "L-BETA")
    installation.enrol(OTHER_CLIENT, ClientRole.CLIENT_ROLE_OPERATOR, OTHER)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """A gateway on each kind of store."""
    kind = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    with request.getfixturevalue(kind).database() as store:
        installation = Installation(*store)
        installation.furnish()
        furnish(installation)
        async with installation.running() as gateway, open_site(gateway) as opened:
            yield opened
        installation.close()


@always_on_postgresql
async def test_whoever_was_served_is_told_at_once_and_by_when_the_copy_must_go(
    site: Site,
) -> None:
    async with watching(site.alpha) as alpha, watching(site.beta) as beta:
        record = await site.served()
        corrected = await site.correct(record)
        took = await alpha.tells(record, CORRECTED)
        assert took < 1
        (told,) = alpha.of(record)
        event = told.event
        assert event.event_sequence == corrected.record.event_sequence
        assert (event.revision, event.item) == (2, PUBLIC_ITEM)
        assert event.content_digest == corrected.record.content_digest
        assert event.disclosed_from == corrected.record.disclosed_from
        assert event.disclosed_until == corrected.record.disclosed_until
        life = read_policy().removal_seconds(corrected.record.severity)
        assert told.removal_deadline.seconds == event.event_time.seconds + life
        # The new revision was not served: there is nothing of it to remove, but the record
        # is one of the operator's all the same.
        repaired = await site.repair(record, 2)
        await alpha.tells(record, CORRECTED, REPAIRED)
        end = alpha.of(record)[-1]
        assert end.event.event_sequence == repaired.event_sequence
        assert end.event.disclosed_until == repaired.repair_time
        assert not end.HasField("removal_deadline")
        mark = await site.marked()
        await beta.tells(mark, WITHDRAWN)
        assert not beta.of(record)


async def test_a_stream_taken_up_again_misses_nothing_and_goes_on_behind_its_position(
    site: Site,
) -> None:
    first, second = await site.served(), await site.served()
    one = await site.correct(first)
    two = await site.withdraw(second)
    async with watching(site.alpha) as whole:
        await whole.tells(second, WITHDRAWN)
        await whole.tells(first, CORRECTED)
        sequences = [each.event.event_sequence for each in whole.events]
    assert sequences == sorted(set(sequences))
    async with watching(site.alpha, after=one.record.event_sequence) as again:
        await again.tells(second, WITHDRAWN)
        assert not again.of(first)
        third = await site.served()
        await site.correct(third)
        await again.tells(third, CORRECTED)
    async with watching(site.alpha, after=two.event_sequence) as last:
        await last.tells(third, CORRECTED)
        assert not last.of(second)


async def test_a_removal_that_was_acknowledged_is_told_without_a_deadline(site: Site) -> None:
    record = await site.served()
    sequence = (await site.withdraw(record)).event_sequence
    async with watching(site.alpha, after=sequence - 1) as watcher:
        await watcher.tells(record, WITHDRAWN)
        assert watcher.of(record)[0].HasField("removal_deadline")
    removal = pb.RemovalAcknowledgement(event_sequence=sequence)
    removal.remove_time.seconds = int(time.time())
    await ConformanceServiceStub(site.alpha).AcknowledgeRemovals(
        pb.AcknowledgeRemovalsRequest(removals=[removal])
    )
    async with watching(site.alpha, after=sequence - 1) as watcher:
        await watcher.tells(record, WITHDRAWN)
        assert not watcher.of(record)[0].HasField("removal_deadline")


async def test_a_watcher_of_all_it_is_licensed_for_is_told_of_public_items_alone(
    site: Site,
) -> None:
    async with watching(site.alpha, LICENSED) as watcher:
        closed, _ = await site.published(CONSENT_ITEM)
        record, subject = await site.published()
        await watcher.tells(record, PUBLISHED)
        (told,) = watcher.of(record)
        assert not told.HasField("removal_deadline")
        await query(site.alpha, subject)
        await site.correct(record)
        await watcher.tells(record, PUBLISHED, CORRECTED)
        assert watcher.of(record)[-1].HasField("removal_deadline")
        assert not watcher.of(closed)


async def test_of_what_is_not_disclosed_yet_a_watcher_is_told_no_digest_and_no_period(
    site: Site,
) -> None:
    made = draft(f"to-come-{next(_numbers)}", new_subject())
    made.disclosed_from.seconds += 40 * 86_400
    async with watching(site.alpha, LICENSED) as watcher:
        await publish(site.publisher, [made])
        await watcher.tells(f"records/{made.record_id}", PUBLISHED)
        record, _ = await site.published()
        await watcher.tells(record, PUBLISHED)
        (told,) = watcher.of(f"records/{made.record_id}")
        assert told.event.content_digest == b""
        assert not told.event.HasField("disclosed_from")
        assert not told.event.HasField("disclosed_until")
        (begun,) = watcher.of(record)
        assert len(begun.event.content_digest) == 32 and begun.event.HasField("disclosed_from")


async def test_a_licence_that_changes_acts_on_the_next_event(site: Site) -> None:
    installation = site.installation
    (licence, *_) = installation.log.history(kind=LICENCE, id="L-BETA", after=0, limit=9)
    elsewhere = {**licence.document, "regions": ["11"]}
    async with watching(site.beta, LICENSED) as watcher:
        record, _ = await site.published()
        await watcher.tells(record, PUBLISHED)
        installation.put(LICENCE, "L-BETA", elsewhere)
        await asyncio.sleep(0.3)
        outside, _ = await site.published()
        installation.put(LICENCE, "L-BETA", dict(licence.document))
        await asyncio.sleep(0.3)
        again, _ = await site.published()
        await watcher.tells(again, PUBLISHED)
        assert not watcher.of(outside)


async def test_a_suspended_operator_is_told_of_what_it_was_served_and_of_nothing_else(
    site: Site,
) -> None:
    installation = site.installation
    record = await site.served(site.beta)
    (operator, *_) = installation.log.history(kind=OPERATOR, id=OTHER, after=0, limit=9)
    async with watching(site.beta, LICENSED) as licensed, watching(site.beta) as served:
        before, _ = await site.published()
        await licensed.tells(before, PUBLISHED)
        installation.suspend(OTHER)
        await asyncio.sleep(0.3)
        await site.repair(record)
        await served.tells(record, REPAIRED)
        assert served.of(record)[0].HasField("removal_deadline")
        assert await licensed.ends() == "OPERATOR_SUSPENDED"
        async with (
            site.gateway.channel(OTHER_CLIENT, scopes=("credit.conformance:watch",)) as channel,
            watching(channel, LICENSED) as refused,
            watching(channel) as begun_after,
        ):
            assert await refused.ends() == "OPERATOR_SUSPENDED"
            await begun_after.tells(record, REPAIRED)
    active = {**operator.document, "state": OperatorState.OPERATOR_STATE_ACTIVE}
    installation.put(OPERATOR, OTHER, active)
    await asyncio.sleep(0.3)


async def test_a_record_under_consent_is_told_of_without_what_its_content_could_be_guessed_by(
    site: Site,
) -> None:
    async with open_counter(site.gateway) as counter, watching(site.alpha) as watcher:
        record, subject = await site.published(CONSENT_ITEM)
        consent = await counter.given(subject)
        answer = await counter.use(consent)
        assert [each.name for each in answer.records] == [record]
        await site.correct(record)
        await watcher.tells(record, CORRECTED)
        (told,) = watcher.of(record)
        assert told.HasField("removal_deadline")
        assert not told.event.content_digest
        assert not told.event.HasField("disclosed_from")
        assert not told.event.HasField("disclosed_until")


async def test_a_silent_stream_gives_signs_of_life_with_the_position_to_go_on_from(
    site: Site,
) -> None:
    mark = await site.marked()
    async with watching(site.beta, heartbeat=1) as watcher:
        await watcher.tells(mark, WITHDRAWN)
        position = watcher.events[-1].event.event_sequence
        await site.published()

        async def alive() -> bool:
            return any(
                not each.HasField("event") and each.disclosure_sequence > position
                for each in watcher.told
            )

        started = time.monotonic()
        await eventually(alive)
        assert time.monotonic() - started < 3
    async with watching(site.beta, after=watcher.told[-1].disclosure_sequence) as again:
        later = await site.marked()
        await again.tells(later, WITHDRAWN)
        assert [each.event.record for each in again.events] == [later]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.WatchDisclosuresRequest(), "coverage"),
        (pb.WatchDisclosuresRequest(coverage=7), "coverage"),  # type: ignore[arg-type]
        (pb.WatchDisclosuresRequest(coverage=SERVED, after_sequence=-1), "after_sequence"),
        (pb.WatchDisclosuresRequest(coverage=SERVED, after_sequence=1 << 40), "after_sequence"),
        *(
            (
                pb.WatchDisclosuresRequest(coverage=SERVED, heartbeat_interval=interval),
                "heartbeat_interval",
            )
            for interval in (
                Duration(),
                Duration(seconds=61),
                Duration(seconds=1, nanos=5),
                Duration(seconds=-3),
            )
        ),
    ],
)
async def test_a_malformed_request_is_refused_by_field(
    site: Site, request_: pb.WatchDisclosuresRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in ConformanceServiceStub(site.alpha).WatchDisclosures(request_):
            pytest.fail("it was answered")
    assert [each.field for each in explain(refused.value).violations] == [field]


async def test_an_operator_has_few_streams_open(site: Site) -> None:
    async with AsyncExitStack() as stack:
        watchers = [
            await stack.enter_async_context(watching(site.beta, coverage))
            for coverage in (SERVED, LICENSED) * (MOST_WATCHERS // 2)
        ]
        mark = await site.marked()
        for watcher in watchers[::2]:
            await watcher.tells(mark, WITHDRAWN)
        one_more = await stack.enter_async_context(watching(site.beta))
        assert await one_more.ends() == "RATE_EXCEEDED"


@always_on_postgresql
async def test_events_of_another_process_are_told_within_a_second(
    installation: Installation,
) -> None:
    furnish(installation)
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(installation.running())
        there = (await stack.enter_async_context(installation.process())).gateway
        site = await stack.enter_async_context(open_site(here))
        channel = await stack.enter_async_context(there.channel())
        watcher = await stack.enter_async_context(watching(channel))
        record = await site.served()
        await site.correct(record)
        started = time.monotonic()
        await watcher.tells(record, CORRECTED)
        assert time.monotonic() - started < 1


async def test_streams_do_not_hold_up_a_process_that_ends(embedded: Installation) -> None:
    furnish(embedded)
    async with AsyncExitStack() as stack:
        async with embedded.running(drain_seconds=30) as gateway, open_site(gateway) as site:
            channel = await stack.enter_async_context(gateway.channel())
            watcher = await stack.enter_async_context(watching(channel))
            record = await site.served()
            await site.correct(record)
            await watcher.tells(record, CORRECTED)
            started = time.monotonic()
        assert time.monotonic() - started < 8
        assert await watcher.ends() == "TEMPORARILY_UNAVAILABLE"
