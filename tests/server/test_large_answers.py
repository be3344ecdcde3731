"""Answers that one message does not hold: pages are cut, and what has no pages is refused."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsRequest
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.usage_service_pb2 import ListUsageRequest
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, PURPOSE, Gateway, company, furnished
from tests.server.calls import draft, publish, query
from tests.stores import SqliteStores

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]
MOST_BYTES = 65_536
SUBJECTS = [company(number) for number in range(40)]
OF_EACH = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(sqlite_stores: SqliteStores) -> AsyncIterator[Gateway]:
    """A gateway of small messages."""
    with furnished(sqlite_stores, max_message_bytes=MOST_BYTES) as installation:
        async with installation.running() as running, running.channel(PUBLISHER) as publisher:
            drafts = [
                draft(f"{subject}-{number}", subject)
                for subject in SUBJECTS
                for number in range(OF_EACH)
            ]
            await publish(publisher, drafts)
            yield running


async def test_use_is_listed_past_an_answer_that_no_page_holds(gateway: Gateway) -> None:
    request = BatchGetSubjectRecordsRequest(
        subjects=SUBJECTS, purpose=PURPOSE, request_id=str(uuid4())
    )
    async with gateway.channel() as channel:
        served = [
            (record.name, record.revision)
            async for part in CreditRecordServiceStub(channel).BatchGetSubjectRecords(request)
            for record in part.records
        ]
        later = await query(channel, SUBJECTS[0])
        served += ((record.name, record.revision) for record in later.records)
        listed: list[tuple[str, int]] = []
        token, pages = "", 0
        while token or not pages:
            page = await UsageServiceStub(channel).ListUsage(
                ListUsageRequest(page_size=1, page_token=token)
            )
            assert page.ByteSize() <= MOST_BYTES
            listed += ((entry.record, entry.revision) for entry in page.entries)
            token, pages = page.next_page_token, pages + 1
    assert pages > 2
    assert listed == served
