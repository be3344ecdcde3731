"""Deliveries over the wire: what is asked for, and what of it is found in the store."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import grpc
from sqlalchemy import select

from creditgate.transparency.note import VerifierKey
from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.usage_service_pb2 import DeliveryState, GetDeliveryRequest, GetDeliveryResponse
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.tables import QUOTA, USAGE
from gateway.storage.engines import reading
from gateway.transparency.identity import known_key
from gateway.transparency.tables import LogId
from sdk.deliveries import Delivery
from sdk.usage_book import UsageBook
from tests.installation import PUBLISHER, PURPOSE, Gateway, Installation, company, eventually
from tests.server.calls import draft, publish

SUBJECTS: Final = [company(number) for number in range(40)]
EACH: Final = 2
ALL: Final = EACH * len(SUBJECTS)
CHUNKS: Final = 10
SETTINGS: Final[dict[str, Any]] = {
    "delivery_chunk_subjects": len(SUBJECTS) // CHUNKS,
    "delivery_window_records": 12,
    "delivery_grace_seconds": 1,
}


def asked(request_id: str = "delivered", **fields: Any) -> pb.BatchGetSubjectRecordsRequest:
    """Return an ask for every subject."""
    return pb.BatchGetSubjectRecordsRequest(
        subjects=SUBJECTS, purpose=PURPOSE, request_id=request_id, **fields
    )


@asynccontextmanager
async def delivering(installation: Installation, **settings: Any) -> AsyncGenerator[Gateway]:
    """Serve in this process, with two records about each subject."""
    async with installation.running(**SETTINGS | settings) as gateway:
        await furnish(gateway)
        yield gateway


async def furnish(gateway: Gateway) -> None:
    """Publish two records about each subject."""
    drafts = [draft(f"{each}.{i}", each) for each in SUBJECTS for i in range(EACH)]
    async with gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, drafts)


class Stored:
    """What the ledger has of a request: revisions charged, and those credited of them."""

    def __init__(self, installation: Installation, request_id: str = "delivered") -> None:
        self.charged: list[int] = []
        self.credited: list[int] = []
        with reading(installation.engines.records) as connection:
            of_request = USAGE.c.request_id == request_id
            for row in connection.execute(select(USAGE).where(of_request)):
                found = self.charged if row.kind == ANSWER else self.credited
                found += unpack_entries(row.entries)
            self.used = sum(connection.execute(select(QUOTA.c.used)).scalars())

    @property
    def net(self) -> list[int]:
        """What is charged and not credited, once each. Fails where something is twice."""
        assert len(self.charged) == len(set(self.charged)), "a record is charged twice"
        assert len(self.credited) == len(set(self.credited)), "a record is credited twice"
        assert set(self.credited) <= set(self.charged)
        return sorted(set(self.charged) - set(self.credited))


def key_of(installation: Installation) -> VerifierKey:
    """Return the key of receipts."""
    with reading(installation.engines.evidence) as connection:
        key = known_key(connection, LogId.USAGE)
    assert key is not None
    return key


async def told(channel: grpc.aio.Channel, request_id: str = "delivered") -> GetDeliveryResponse:
    """Return how a delivery stands."""
    stub = UsageServiceStub(channel)
    return await stub.GetDelivery(GetDeliveryRequest(request_id=request_id))


async def settled(channel: grpc.aio.Channel) -> GetDeliveryResponse:
    """Wait until the delivery is settled."""

    async def is_settled() -> bool:
        return (await told(channel)).state == DeliveryState.DELIVERY_STATE_SETTLED

    await eventually(is_settled, 15)
    return await told(channel)


async def taken(channel: grpc.aio.Channel, most: int, book: UsageBook | None = None) -> list[int]:
    """Take so many records at least, then fail as an application does; return the revisions
    that it came back after."""
    done: list[int] = []
    async with aclosing(Delivery(channel, asked(), book).records()) as answers:
        async for came in answers:
            if len(done) + len(came.records) > most:
                break
            done += [each.event_sequence for each in came.records]
    return done
