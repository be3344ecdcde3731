"""The SDK's side of consents: asked for, followed through every break, cleared up after."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from creditgate.refusal import Refused
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.server.errors import refusal_answer
from sdk.consents import Consents, copies_of
from sdk.documents import document_keys
from sdk.receipts import verified_receipt
from sdk.refusals import explain
from tests.consents.counter import Counter
from tests.installation import Installation

_Context = grpc.aio.ServicerContext[pb.WatchConsentsRequest, pb.WatchConsentsResponse]


def refused(reason: str, retry_after: int | None = None) -> Refused:
    """Return a refusal by the short name of its reason."""
    number = RefusalReason.Value(f"REFUSAL_REASON_{reason}")
    return Refused(number, "A test.", retry_after=retry_after)


@dataclass
class Turn:
    """What one call is told: these changes, None for a heartbeat, and how it ends.

    It ends by a refusal, by a status, in silence, or (None) as if nothing more would come.
    """

    sequences: Sequence[int | None]
    end: Refused | grpc.StatusCode | str | None = None


@dataclass
class ScriptedStream:
    """Tells each call its turn and notes from where it was asked to go on."""

    turns: list[Turn]
    asked: list[int] = field(default_factory=list[int])
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(
        self, request: pb.WatchConsentsRequest, context: _Context
    ) -> AsyncIterator[pb.WatchConsentsResponse]:
        """Answer one call."""
        self.asked.append(request.after_sequence)
        turn = self.turns.pop(0)
        try:
            for sequence in turn.sequences:
                event = None if sequence is None else pb.ConsentEvent(sequence=sequence)
                yield pb.WatchConsentsResponse(event=event)
            if isinstance(turn.end, Refused):
                await context.abort(*refusal_answer(turn.end))
            elif isinstance(turn.end, grpc.StatusCode):
                await context.abort(turn.end, "a test")
            elif turn.end is not None:
                await asyncio.Event().wait()
        finally:
            self.left.set()


@asynccontextmanager
async def scripted(*turns: Turn) -> AsyncGenerator[tuple[ScriptedStream, Consents]]:
    """Serve turns, and give consents that follow them without long pauses."""
    stream = ScriptedStream(list(turns))
    handler = grpc.unary_stream_rpc_method_handler(
        stream.watch,
        request_deserializer=pb.WatchConsentsRequest.FromString,
        response_serializer=pb.WatchConsentsResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "creditgate.v1.ConsentService", {"WatchConsents": handler}
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield stream, Consents(channel, silence_seconds=0.2, pause_seconds=0.01)
    await server.stop(0)


async def taken(consents: Consents, number: int, after: int = 0) -> list[int]:
    """Return the sequences of the next changes."""
    found: list[int] = []
    async with asyncio.timeout(10), aclosing(consents.follow(after)) as changes:
        async for change in changes:
            found.append(change.event.sequence)
            if len(found) == number:
                break
    return found


@pytest.mark.parametrize(
    "end",
    [
        grpc.StatusCode.UNAVAILABLE,
        "silence",
        None,
        refused("TOKEN_EXPIRED"),
        refused("AUTHORITY_UNKNOWN", 0),
        refused("TEMPORARILY_UNAVAILABLE", 0),
    ],
    ids=str,
)
async def test_a_stream_that_ends_is_taken_up_behind_the_last_change(
    end: Refused | grpc.StatusCode | str | None,
) -> None:
    turns = (Turn([None, 3, 5], end), Turn([None], end), Turn([5, 6, 9], "silence"))
    async with scripted(*turns) as (stream, consents):
        assert await taken(consents, 4, after=2) == [3, 5, 6, 9]
    assert stream.asked == [2, 5, 5]


async def test_a_change_told_twice_is_handed_on_once() -> None:
    async with scripted(Turn([1, 1, 2, 1, 3], "silence")) as (_, consents):
        assert await taken(consents, 3) == [1, 2, 3]


@pytest.mark.parametrize(
    "reason", ["OPERATOR_SUSPENDED", "SCOPE_NOT_GRANTED", "INVALID_REQUEST", "CLIENT_NOT_ACTIVE"]
)
async def test_a_refusal_that_waiting_does_not_mend_is_raised(reason: str) -> None:
    async with scripted(Turn([1], refused(reason))) as (stream, consents):
        changes = consents.follow()
        assert (await anext(changes)).event.sequence == 1
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await anext(changes)
    assert explain(error.value).reason == reason
    assert stream.asked == [0]


async def test_the_gateways_wish_to_wait_is_kept() -> None:
    turns = (Turn([1], refused("RATE_EXCEEDED", 1)), Turn([2], "silence"))
    async with scripted(*turns) as (_, consents):
        started = time.monotonic()
        assert await taken(consents, 2) == [1, 2]
        assert time.monotonic() - started >= 1


async def test_a_stream_left_early_is_cancelled() -> None:
    async with scripted(Turn([1, 2], "silence")) as (stream, consents):
        assert await taken(consents, 1) == [1]
        await asyncio.wait_for(stream.left.wait(), 5)


async def test_a_consent_is_asked_for_followed_and_cleared_up_after(
    embedded: Installation,
) -> None:
    async with embedded.running() as gateway, gateway.channel() as alpha:
        own = Consents(alpha)
        await _lived_through(own, Counter(gateway, alpha, alpha, alpha))


async def _lived_through(own: Consents, counter: Counter) -> None:
    subject, terms = await counter.published(), counter.terms()
    answer = await own.request(subject, terms, message="测试", request_id="sdk-1")
    again = await own.request(subject, terms, message="测试", request_id="sdk-1")
    assert again == answer
    name = answer.consent.name
    async with asyncio.timeout(20), aclosing(own.follow()) as changes:
        assert (await anext(changes)).event.consent == name
        counter.grant(answer.consent)
        assert (await anext(changes)).event.state == pb.CONSENT_STATE_GRANTED
        await _receipt_is_the_gateways(counter, name, subject)
        await counter.use(answer.consent)
        ended = await own.revoke(name, "no longer needed")
        revoked = await anext(changes)
    assert (revoked.event.consent, revoked.event.state) == (name, pb.CONSENT_STATE_REVOKED)
    assert revoked.data_life_until == ended.data_life_until == ended.removal.deadline
    done = await own.acknowledge([name], counter.now)
    assert (done.acknowledged_removals, done.outstanding_removals) == (1, 0)
    assert (await own.acknowledge([name], counter.now)).acknowledged_removals == 0
    assert (await counter.read(name)).removal.acknowledge_time.seconds


async def _receipt_is_the_gateways(counter: Counter, name: str, subject: str) -> None:
    gateway = counter.gateway
    keys = await asyncio.to_thread(document_keys, gateway.credentials())
    receipt = (await counter.read(name)).receipt
    artefact = verified_receipt(receipt, keys, gateway.running.issuer).document
    assert (artefact.consent, artefact.subject, artefact.state) == (name, subject, "GRANTED")
    assert artefact.withdraw_at == f"{gateway.running.issuer}/my/{name}"


def test_the_copies_of_a_part_are_those_that_its_region_gave_under_the_whole() -> None:
    event = pb.ConsentEvent(
        consent="consents/part", part_of="consents/whole", region="https://there.invalid"
    )
    assert copies_of(event) == ("consents/whole", "https://there.invalid")


def test_the_copies_of_any_other_consent_are_all_under_its_name() -> None:
    assert copies_of(pb.ConsentEvent(consent="consents/whole")) == ("consents/whole", "")
