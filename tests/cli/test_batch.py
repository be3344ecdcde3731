"""A batch whose connection breaks is taken up again: nothing twice, nothing missing."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1.disclosure_service_pb2 import PublishRecordsRequest, RecordDraft
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.usage_service_pb2 import ListUsageRequest, ListUsageResponse
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.cli.batch import chunks
from gateway.cli.calls import Gateway
from sdk.connection import connect
from sdk.refusals import explain
from tests.breaking import BreakingLine
from tests.installation import (
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    REGION,
    SOURCE,
    Installation,
    company,
    content,
)
from tests.installation import Gateway as Running
from tests.stores import SqliteStores

SUBJECTS = [company(number) for number in range(100)]
DAY = 86_400


@pytest.fixture
async def running(sqlite_stores: SqliteStores) -> AsyncIterator[Running]:
    """A gateway with one record about each subject, in chunks of ten subjects."""
    with sqlite_stores.database() as (database, folder):
        installation = Installation(database, Path(folder), settings={"chunk_subjects": 10})
        installation.furnish()
        now = installation.clock.now()
        drafts = [
            RecordDraft(
                record_id=f"record-{number}",
                subject=subject,
                item=PUBLIC_ITEM,
                source=SOURCE,
                region=REGION,
                severity=Severity.SEVERITY_GENERAL,
                content=content("x" * 1_900),
                disclosed_from=Timestamp(seconds=now - DAY),
                disclosed_until=Timestamp(seconds=now + 200 * DAY),
            )
            for number, subject in enumerate(SUBJECTS)
        ]
        async with installation.running() as gateway:
            async with gateway.channel(PUBLISHER) as channel:
                batch = PublishRecordsRequest(batch_id="all", records=drafts)
                done = await DisclosureServiceStub(channel).PublishRecords(iter([batch]))
                assert done.published_records == len(SUBJECTS)
            yield gateway
        installation.close()


def request() -> pb.BatchGetSubjectRecordsRequest:
    """Return an ask for every subject."""
    return pb.BatchGetSubjectRecordsRequest(subjects=SUBJECTS, purpose=PURPOSE, request_id="batch")


async def test_a_broken_batch_goes_on_where_it_broke_and_is_charged_once(running: Running) -> None:
    line = BreakingLine(running.running.grpc, breaks=2, after=50_000)
    async with line.open() as address:
        credentials = running.credentials().model_copy(update={"grpc": address})
        async with await connect(credentials) as channel:
            gateway = Gateway(channel)
            taken = [chunk async for chunk in chunks(gateway, request())]
            used = await gateway.every_page(ListUsageRequest(page_size=1_000), ListUsageResponse)
    assert line.broken == 2
    assert [chunk.subjects for chunk in taken] == [10] * 10
    assert [record.subject for chunk in taken for record in chunk.records] == SUBJECTS
    assert len(used.entries) == len(SUBJECTS)
    assert len({entry.record for entry in used.entries}) == len(SUBJECTS)


async def test_a_line_that_stays_broken_is_given_up(running: Running) -> None:
    line = BreakingLine(running.running.grpc, breaks=1_000, after=6_000)
    async with line.open() as address:
        credentials = running.credentials().model_copy(update={"grpc": address})
        async with await connect(credentials) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                async for _ in chunks(Gateway(channel), request()):
                    pass
    assert explain(caught.value).status == "UNAVAILABLE"
    assert line.broken >= 5


async def test_a_refused_batch_is_not_tried_again(running: Running) -> None:
    async with running.channel() as channel:
        ask = request()
        ask.purpose = pb.BatchGetSubjectRecordsRequest().purpose
        with pytest.raises(grpc.RpcError) as caught:
            async for _ in chunks(Gateway(channel), ask):
                pass
    assert explain(caught.value).reason == "PURPOSE_NOT_ALLOWED"
