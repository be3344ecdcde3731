"""Deliveries over the wire: taken up again by themselves, settled, braked, and told."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest
from sqlalchemy import select

from creditgate.v1.brake_service_pb2 import BrakeReach, EngageBrakeRequest
from creditgate.v1.brake_service_pb2_grpc import BrakeServiceStub
from creditgate.v1.usage_service_pb2 import (
    DeliveryState,
)
from gateway.meter.tables import REFUSALS
from gateway.storage.engines import reading
from sdk.connection import connect
from sdk.deliveries import Delivery
from sdk.refusals import explain
from sdk.usage import Usage
from sdk.usage_book import UsageBook
from tests.breaking import BreakingLine
from tests.examples import rarely_on_postgresql
from tests.installation import ADMINISTRATOR, OPERATOR_ID, PRICE, PURPOSE, Gateway, Installation
from tests.server.delivering import (
    ALL,
    CHUNKS,
    EACH,
    SETTINGS,
    SUBJECTS,
    Stored,
    asked,
    delivering,
    furnish,
    key_of,
    settled,
    taken,
    told,
)


async def test_delivery_goes_on_wherever_its_line_broke_and_is_charged_once(
    embedded: Installation, tmp_path: Path
) -> None:
    """Lines are cut at many points, each several times, the beginning and the end among them."""
    points = range(3_000, 24_000, 1_500)
    async with delivering(embedded, delivery_grace_seconds=60) as gateway:
        book = UsageBook.begin(tmp_path / "book", OPERATOR_ID, key_of(embedded))
        lines = await asyncio.gather(*(_through_breaks(gateway, point, book) for point in points))
        async with gateway.channel() as channel, asyncio.timeout(30):
            while await Usage(channel).follow(book) < len(points) * CHUNKS:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert sum(line.broken for line in lines) > len(points)
    for point in points:
        assert len(Stored(embedded, f"cut-{point}").net) == ALL
    assert list(book.differences()) == []
    book.close()


async def _through_breaks(gateway: Gateway, point: int, book: UsageBook) -> BreakingLine:
    """Take a delivery over a line that breaks after so many bytes, and check what came."""
    line = BreakingLine(gateway.running.grpc, breaks=3, after=point)
    request = asked(f"cut-{point}")
    async with line.open() as address:
        credentials = gateway.credentials().model_copy(update={"grpc": address})
        async with (
            await connect(credentials) as channel,
            aclosing(Delivery(channel, request, book).records()) as answers,
        ):
            came = [each async for each in answers]
    async with gateway.channel() as channel:
        standing = await told(channel, request.request_id)
    records = [record.subject for each in came for record in each.records]
    assert records == [each for each in SUBJECTS for _ in range(EACH)]
    chunks = [each.chunk.first for each in came if each.chunk is not None]
    assert chunks == [*range(0, len(SUBJECTS), len(SUBJECTS) // CHUNKS)]
    ended = DeliveryState.DELIVERY_STATE_ENDED
    assert (standing.state, standing.acknowledged_records) == (ended, ALL)
    return line


@rarely_on_postgresql
async def test_what_an_application_did_not_come_back_for_is_credited(
    installation: Installation,
) -> None:
    async with delivering(installation) as gateway, gateway.channel() as channel:
        done = await taken(channel, 21)
        standing = await settled(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await taken(channel, 1)
    assert explain(caught.value).reason == "REQUEST_ID_REUSED"
    stored = Stored(installation)
    assert stored.net == sorted(done)
    assert stored.used == len(done) == standing.acknowledged_records
    assert standing.credited_records == len(stored.credited) > 0
    assert standing.credited_micro_yuan == len(stored.credited) * PRICE


async def test_refused_delivery_is_logged_with_what_it_was_opened_with(
    embedded: Installation,
) -> None:
    async with embedded.running(**SETTINGS) as gateway, gateway.channel() as channel:
        request = asked(consent="consents/none-such")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(Delivery(channel, request).records())
    assert explain(caught.value).reason == "CONSENT_UNKNOWN"
    with reading(embedded.engines.records) as connection:
        (row,) = connection.execute(select(REFUSALS)).all()
    assert (row.method, row.request_id) == (
        "CreditRecordService/DeliverSubjectRecords",
        "delivered",
    )
    assert (row.consent, row.purpose) == ("consents/none-such", PURPOSE)
    assert Stored(embedded).charged == []


@rarely_on_postgresql
async def test_brake_pulled_in_the_middle_ends_a_delivery(installation: Installation) -> None:
    async with (
        installation.process(**SETTINGS) as serving,
        installation.process(**SETTINGS) as other,
        serving.gateway.channel() as channel,
        other.gateway.channel(ADMINISTRATOR) as administrator,
    ):
        await furnish(serving.gateway)
        got: list[int] = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async with aclosing(Delivery(channel, asked()).records()) as answers:
                async for came in answers:
                    got += [each.event_sequence for each in came.records]
                    if came.chunk is not None and came.chunk.first == 12:
                        await BrakeServiceStub(administrator).EngageBrake(
                            EngageBrakeRequest(
                                reach=BrakeReach(everything=True),
                                reason="an invented emergency",
                            )
                        )
                        # By then it holds on every process (G4).
                        await asyncio.sleep(1)
        assert explain(caught.value).reason == "EMERGENCY_BRAKE"
        # What was under way already may have come.
        assert 16 * EACH <= len(got) <= 16 * EACH + SETTINGS["delivery_window_records"]
