"""Answers that one message does not hold: pages are cut, and what has no pages is refused."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio

from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsRequest
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.disclosure_service_pb2 import GetCheckpointRequest, GetSubjectProofRequest
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.refusal_pb2 import REFUSAL_REASON_ANSWER_TOO_LARGE as TOO_LARGE
from creditgate.v1.refusal_pb2 import REFUSAL_REASON_UNSPECIFIED
from creditgate.v1.usage_service_pb2 import ListStatementUsesRequest, ListUsageRequest
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, PURPOSE, Gateway, company, eventually, furnished
from tests.patience import patiently
from tests.server.calls import draft, publish, query
from tests.server.test_transport import refusal, refusals_logged
from tests.stores import SqliteStores

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]
MOST_BYTES = 65_536
SUBJECTS = [company(number) for number in range(40)]
OF_EACH = 20
MUCH = company(len(SUBJECTS))
OF_MUCH = 1_600


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
            drafts += (draft(f"much-{number}", MUCH) for number in range(OF_MUCH))
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


async def test_a_proof_that_no_message_holds_is_refused_and_logged_as_that_alone(
    gateway: Gateway,
) -> None:
    method = "DisclosureService/GetSubjectProof"
    request = GetSubjectProofRequest(subject=MUCH)
    async with gateway.channel() as channel:
        stub = DisclosureServiceStub(channel)
        # Until then the map has some of the records, which may fit.
        await eventually(partial(all_logged, channel), 60)
        told = await refusal(patiently(lambda: stub.GetSubjectProof(request)))
        assert told.reason == "ANSWER_TOO_LARGE"
        assert await stub.GetSubjectProof(GetSubjectProofRequest(subject=SUBJECTS[0]))
    assert reasons_logged(gateway, method) == [TOO_LARGE, REFUSAL_REASON_UNSPECIFIED]


async def test_any_answer_that_no_message_holds_is_refused_with_details_and_logged(
    gateway: Gateway,
) -> None:
    request = BatchGetSubjectRecordsRequest(
        subjects=[MUCH], purpose=PURPOSE, request_id=str(uuid4())
    )
    uses = ListStatementUsesRequest(month=f"{datetime.now(UTC):%Y-%m}", page_size=1_000)
    async with gateway.channel() as channel:
        async for _ in CreditRecordServiceStub(channel).BatchGetSubjectRecords(request):
            pass
        stub = UsageServiceStub(channel)
        told = await refusal(stub.ListStatementUses(uses))
        assert told.reason == "ANSWER_TOO_LARGE"
        uses.page_size = 100
        assert len((await stub.ListStatementUses(uses)).uses) == 100
    assert reasons_logged(gateway, "UsageService/ListStatementUses") == [TOO_LARGE]


async def all_logged(channel: grpc.aio.Channel) -> bool:
    """Tell whether the log has all that is published."""
    stub = DisclosureServiceStub(channel)
    answer = await patiently(lambda: stub.GetCheckpoint(GetCheckpointRequest()))
    _, size, *_ = answer.checkpoint.splitlines()
    return int(size) >= len(SUBJECTS) * OF_EACH + OF_MUCH


def reasons_logged(gateway: Gateway, method: str) -> list[int]:
    """Return the reasons of what the log of refusals has of a method, in order."""
    logged = refusals_logged(gateway.installation)
    return [row.reason for row in logged if row.method == method]
