"""WatchConsents: changes in order, none missing, with the duty to remove."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from consent.model import DAY_SECONDS
from consent.sql import SqlConsents
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.consent_service_pb2_grpc import ConsentServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.authenticate.caller import Caller
from gateway.authority.feed import PollBell
from gateway.authority.view import AuthorityView
from gateway.consents.news import ConsentNews
from gateway.consents.watch import MOST_WATCHERS, ConsentWatch
from operators.model import CLIENT
from sdk.refusals import explain
from tests.consents.counter import (
    OTHER,
    OTHER_CLIENT,
    Counter,
    furnish,
    open_counter,
)
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import Installation, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


@dataclass
class Watcher:
    """A stream that is read in the background."""

    call: "grpc.aio.UnaryStreamCall[pb.WatchConsentsRequest, pb.WatchConsentsResponse]"
    told: list[pb.WatchConsentsResponse] = field(default_factory=list[pb.WatchConsentsResponse])
    ended: grpc.aio.AioRpcError | None = None

    async def read(self) -> None:
        """Read until it ends."""
        try:
            async for response in self.call:
                self.told.append(response)
        except grpc.aio.AioRpcError as error:
            self.ended = error

    def states(self, consent: pb.Consent) -> list[pb.ConsentState.ValueType]:
        """Return the states told of a consent."""
        return [each.event.state for each in self.told if each.event.consent == consent.name]

    async def tells(self, consent: pb.Consent, *states: pb.ConsentState.ValueType) -> float:
        """Wait until these and no other states of a consent were told; return how long."""

        async def told() -> bool:
            assert self.ended is None, explain(self.ended)
            return self.states(consent) == list(states)

        return await eventually(told)


@asynccontextmanager
async def watching(channel: grpc.aio.Channel, after: int = 0) -> AsyncGenerator[Watcher]:
    """Watch while the context lasts."""
    call = ConsentServiceStub(channel).WatchConsents(pb.WatchConsentsRequest(after_sequence=after))
    watcher = Watcher(call)  # type: ignore[arg-type]
    reading = asyncio.create_task(watcher.read())
    try:
        yield watcher
    finally:
        call.cancel()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@always_on_postgresql
async def test_each_change_is_told_as_it_comes_and_the_end_with_what_must_happen(
    counter: Counter,
) -> None:
    async with watching(counter.alpha) as watcher:
        consent = await counter.ask(await counter.published())
        await watcher.tells(consent, pb.CONSENT_STATE_REQUESTED)
        counter.grant(consent)
        await watcher.tells(consent, pb.CONSENT_STATE_REQUESTED, pb.CONSENT_STATE_GRANTED)
        await counter.use(consent)
        revoked = counter.revoke(consent)
        took = await watcher.tells(
            consent,
            pb.CONSENT_STATE_REQUESTED,
            pb.CONSENT_STATE_GRANTED,
            pb.CONSENT_STATE_REVOKED,
        )
        assert took < 1
    *_, end = [each for each in watcher.told if each.event.consent == consent.name]
    assert end.event.actor == pb.CONSENT_ACTOR_SUBJECT
    assert revoked.ended_at is not None
    assert end.data_life_until.seconds == revoked.ended_at + DAY_SECONDS
    assert end.data_life_end == pb.DATA_LIFE_END_DELETE
    assert end.send_time.seconds


async def test_what_was_never_used_ends_without_a_duty(counter: Counter) -> None:
    consent = await counter.given()
    counter.revoke(consent)
    async with watching(counter.alpha) as watcher:
        await eventually(lambda: _told(watcher, consent, 3))
    (end,) = [
        each
        for each in watcher.told
        if each.event.consent == consent.name and each.event.state == pb.CONSENT_STATE_REVOKED
    ]
    assert not end.HasField("data_life_until")
    assert end.data_life_end == pb.DATA_LIFE_END_UNSPECIFIED


async def _told(watcher: Watcher, consent: pb.Consent, events: int) -> bool:
    return len(watcher.states(consent)) == events


async def test_a_stream_taken_up_again_goes_on_behind_the_last_change(counter: Counter) -> None:
    first = await counter.given()
    async with watching(counter.alpha) as watcher:
        await watcher.tells(first, pb.CONSENT_STATE_REQUESTED, pb.CONSENT_STATE_GRANTED)
        whole = list(watcher.told)
    second = await counter.ask()
    async with watching(counter.alpha, whole[-1].event.sequence) as watcher:
        await watcher.tells(second, pb.CONSENT_STATE_REQUESTED)
        assert not watcher.states(first)
    sequences = [each.event.sequence for each in [*whole, *watcher.told]]
    assert sequences == sorted(set(sequences))


async def test_nobody_is_told_of_consents_of_others(counter: Counter) -> None:
    async with watching(counter.beta) as rival, watching(counter.alpha) as watcher:
        consent = await counter.given()
        own = await counter.given(by=counter.rival)
        await watcher.tells(consent, pb.CONSENT_STATE_REQUESTED, pb.CONSENT_STATE_GRANTED)
        await rival.tells(own, pb.CONSENT_STATE_REQUESTED, pb.CONSENT_STATE_GRANTED)
        assert not rival.states(consent)
        assert not watcher.states(own)


async def test_an_operator_has_few_streams_open(counter: Counter) -> None:
    async with AsyncExitStack() as stack:
        watchers = [
            await stack.enter_async_context(watching(counter.beta)) for _ in range(MOST_WATCHERS)
        ]
        consent = await counter.ask(by=counter.rival)
        for watcher in watchers:
            await watcher.tells(consent, pb.CONSENT_STATE_REQUESTED)
        one_more = await stack.enter_async_context(watching(counter.beta))
        await eventually(lambda: _ended(one_more))
        assert one_more.ended is not None
        assert explain(one_more.ended).reason == "RATE_EXCEEDED"


async def _ended(watcher: Watcher) -> bool:
    return watcher.ended is not None


async def test_a_position_that_is_none_is_refused(counter: Counter) -> None:
    async with watching(counter.alpha, -1) as watcher:
        await eventually(lambda: _ended(watcher))
    assert watcher.ended is not None
    refusal = explain(watcher.ended)
    assert [violation.field for violation in refusal.violations] == ["after_sequence"]


async def test_a_suspended_operator_is_told_what_becomes_of_its_consents_all_the_same(
    counter: Counter,
) -> None:
    consent = await counter.given(by=counter.rival)
    begun = [pb.CONSENT_STATE_REQUESTED, pb.CONSENT_STATE_GRANTED]
    async with watching(counter.beta) as watcher:
        await watcher.tells(consent, *begun)
        counter.set_operator(OperatorState.OPERATOR_STATE_SUSPENDED)
        await watcher.tells(consent, *begun, pb.CONSENT_STATE_PAUSED)
        async with (
            counter.gateway.channel(OTHER_CLIENT, scopes=("consents:watch",)) as channel,
            watching(channel) as begun_after,
        ):
            counter.revoke(consent)
            told = [*begun, pb.CONSENT_STATE_PAUSED, pb.CONSENT_STATE_REVOKED]
            await watcher.tells(consent, *told)
            await begun_after.tells(consent, *told)
        assert watcher.ended is None
    counter.set_operator(OperatorState.OPERATOR_STATE_ACTIVE)
    await asyncio.sleep(0.3)


async def test_streams_that_were_ended_make_room_at_once(counter: Counter) -> None:
    installation = counter.installation
    installation.enrol("beta-two", ClientRole.CLIENT_ROLE_OPERATOR, OTHER)
    await asyncio.sleep(0.3)
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(counter.gateway.channel("beta-two"))
        watchers = [
            await stack.enter_async_context(watching(channel)) for _ in range(MOST_WATCHERS)
        ]
        consent = await counter.ask(by=counter.rival)
        for watcher in watchers:
            await watcher.tells(consent, pb.CONSENT_STATE_REQUESTED)
        (client,) = installation.log.history(kind=CLIENT, id="beta-two", after=0, limit=9)
        installation.put(CLIENT, "beta-two", {**client.document, "removed_at": counter.now})
        await asyncio.sleep(0.3)
        counter.grant(consent)
        for watcher in watchers:
            await eventually(lambda watcher=watcher: _ended(watcher))
            assert watcher.ended is not None
            assert explain(watcher.ended).reason == "CLIENT_NOT_ACTIVE"
        again = await stack.enter_async_context(watching(counter.beta))
        await again.tells(consent, pb.CONSENT_STATE_REQUESTED, pb.CONSENT_STATE_GRANTED)


async def test_a_silent_stream_gives_a_sign_of_life(counter: Counter) -> None:
    consents = SqlConsents(counter.installation.engines.records)
    news = ConsentNews(consents, PollBell(), 0.01)
    view = AuthorityView().advanced(counter.installation.log.since(0))
    watch = ConsentWatch(consents, news, lambda: view, counter.installation.clock, 0.05)
    caller = Caller(
        "alpha-one",
        ClientRole.CLIENT_ROLE_OPERATOR,
        "alpha",
        frozenset({"consents:watch"}),
        counter.now + 300,
    )
    request = pb.WatchConsentsRequest(after_sequence=consents.head())
    await news.start()
    try:
        changes = watch.changes(request, caller)
        beats = [await anext(changes) for _ in range(2)]
        await changes.aclose()
    finally:
        await news.stop()
    assert not any(beat.HasField("event") for beat in beats)
    assert all(beat.send_time.seconds >= counter.now - 5 for beat in beats)
    assert news.waiting_for("alpha") == 0


@always_on_postgresql
async def test_changes_by_another_process_are_told_within_a_second(
    installation: Installation,
) -> None:
    """G4: subjects answer where they are, operators watch where they are."""
    furnish(installation)
    async with AsyncExitStack() as stack:
        here, there = [
            (await stack.enter_async_context(installation.process())).gateway for _ in range(2)
        ]
        asking = await stack.enter_async_context(open_counter(here))
        channel = await stack.enter_async_context(there.channel())
        watcher = await stack.enter_async_context(watching(channel))
        consent = await asking.given()
        await watcher.tells(consent, pb.CONSENT_STATE_REQUESTED, pb.CONSENT_STATE_GRANTED)
        await asking.operator.RevokeConsent(pb.RevokeConsentRequest(name=consent.name))
        started = time.monotonic()
        await eventually(lambda: _told(watcher, consent, 3))
        assert time.monotonic() - started < 1


async def test_streams_do_not_hold_up_a_process_that_ends(embedded: Installation) -> None:
    furnish(embedded)
    async with AsyncExitStack() as stack:
        async with embedded.running(drain_seconds=30) as gateway:
            channel = await stack.enter_async_context(gateway.channel())
            watcher = await stack.enter_async_context(watching(channel))
            async with open_counter(gateway) as counter:
                consent = await counter.ask()
                await watcher.tells(consent, pb.CONSENT_STATE_REQUESTED)
            started = time.monotonic()
        assert time.monotonic() - started < 5
        await eventually(lambda: _ended(watcher))
        assert watcher.ended is not None
        assert explain(watcher.ended).reason == "TEMPORARILY_UNAVAILABLE"
