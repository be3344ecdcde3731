"""An operator that does not agree with its use is refused at every gateway of the store, and goes
on within a second of agreeing: over the wire, on both stores."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest

from creditgate.transparency.note import VerifierKey
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.alert_service_pb2 import AlertKind, ListAlertsRequest
from creditgate.v1.alert_service_pb2_grpc import AlertServiceStub
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.clock import SystemClock
from sdk.refusals import explain
from sdk.signing import SigningKey
from sdk.usage import Usage
from sdk.usage_agreeing import Agreeing, NotAsPromised
from sdk.usage_book import UsageBook
from tests.examples import rarely_on_postgresql
from tests.installation import (
    ADMINISTRATOR,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PURPOSE,
    Gateway,
    Installation,
    company,
    eventually,
)
from tests.server.calls import query

POLICY = "remind: PT1S\nrefuse: PT1S\n"


async def reason_of(asked: Any) -> str:
    """Return the reason a call is refused for, "" where it is served."""
    try:
        if hasattr(asked, "__aiter__"):
            async for _ in asked:
                pass
        else:
            await asked
    except grpc.aio.AioRpcError as error:
        return explain(error).reason
    return ""


def every_way(channel: grpc.aio.Channel) -> list[Callable[[], Any]]:
    """Return each way to ask for records."""
    stub: Any = CreditRecordServiceStub(channel)

    def many() -> records_pb.BatchGetSubjectRecordsRequest:
        return records_pb.BatchGetSubjectRecordsRequest(
            subjects=[company(1)], purpose=PURPOSE, request_id=uuid4().hex
        )

    return [
        lambda: query(channel),
        lambda: stub.BatchGetSubjectRecords(many()),
        lambda: stub.GetRecord(
            records_pb.GetRecordRequest(
                name="records/none", purpose=PURPOSE, request_id=uuid4().hex
            )
        ),
        lambda: stub.DeliverSubjectRecords(
            iter([records_pb.DeliverSubjectRecordsRequest(open=many())])
        ),
    ]


@rarely_on_postgresql
async def test_who_does_not_agree_is_refused_everywhere_until_it_does(
    installation: Installation, tmp_path: Path
) -> None:
    policy = tmp_path / "agreement.yaml"
    policy.write_text(POLICY)
    async with (
        installation.running(agreement_policy=policy) as one,
        installation.running(agreement_policy=policy) as other,
        one.channel() as channel,
        other.channel() as another,
        one.channel(ADMINISTRATOR) as office,
    ):
        await query(channel)

        async def refused() -> bool:
            return {await reason_of(query(each)) for each in (channel, another)} == {
                "USAGE_UNSIGNED"
            }

        await eventually(refused, 15)
        for ask in every_way(another):
            assert await reason_of(ask()) == "USAGE_UNSIGNED"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await query(channel)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        told = explain(caught.value)
        usage: Any = UsageServiceStub(office)
        owed = await usage.GetUsageCosignature(
            pb.GetUsageCosignatureRequest(operator_id=OPERATOR_ID)
        )
        assert told.metadata["command"] == "creditgate usage cosign"
        assert told.metadata["size"] == str(owed.required_size)
        assert owed.logged_size >= owed.required_size > 0
        # A busy machine reminds late, and refusing counts from that.
        assert owed.refuse_time.seconds >= owed.unsigned_since.seconds + 2
        alerts: Any = AlertServiceStub(office)
        found = (await alerts.ListAlerts(ListAlertsRequest(operator_id=OPERATOR_ID))).alerts
        assert [each.kind for each in found] == [AlertKind.ALERT_KIND_UNSIGNED_USAGE]
        told_by = await agreeing(installation, one, channel, tmp_path / "a.book")
        # Nothing was kept of what was charged: that is not agreed with by itself.
        with pytest.raises(NotAsPromised):
            await told_by.agree()
        assert await reason_of(query(channel)) == "USAGE_UNSIGNED"
        now = SystemClock().now()
        own = SigningKey.read(one.credentials().signing_key.read_bytes())
        book = UsageBook.open(tmp_path / "a.book")
        held = book.held()
        agreed = await Usage(channel).cosign(book, held, OPERATOR_CLIENT, own, now)
        assert agreed >= owed.logged_size
        assert await eventually(lambda: served(channel, another), 5) < 1


async def served(*channels: grpc.aio.Channel) -> bool:
    """Tell whether records are answered on each channel."""
    return {await reason_of(query(each)) for each in channels} == {""}


async def agreeing(
    installation: Installation, gateway: Gateway, channel: grpc.aio.Channel, file: Path
) -> Agreeing:
    """Return what agrees for the operator, as the SDK does, by a book with no receipts."""
    tls = ssl.create_default_context(cafile=installation.home.ca)
    async with httpx.AsyncClient(verify=tls) as http:
        key = await http.get(f"{gateway.running.issuer}/log/usage/key")
    book = UsageBook.begin(file, OPERATOR_ID, VerifierKey.parse(key.text))
    own = SigningKey.read(gateway.credentials().signing_key.read_bytes())
    return Agreeing(channel, book, OPERATOR_CLIENT, own, SystemClock().now)


async def test_who_agrees_by_itself_is_bound_by_what_it_has_receipts_of(
    embedded: Installation, tmp_path: Path
) -> None:
    async with embedded.running() as gateway, gateway.channel() as channel:
        agrees = await agreeing(embedded, gateway, channel, tmp_path / "a.book")
        book = UsageBook.open(tmp_path / "a.book")
        working = asyncio.create_task(agrees.run(0.1))
        usage: Any = UsageServiceStub(channel)
        for number in range(1, 3):
            book.keep(await query(channel))

            async def agreed(size: int = number) -> bool:
                shown = await usage.GetUsageCosignature(pb.GetUsageCosignatureRequest())
                return shown.size == size == book.agreed().size

            await eventually(agreed)
        # Without its receipt a use is not agreed with.
        await query(channel)
        await asyncio.sleep(1.5)
        shown = await usage.GetUsageCosignature(pb.GetUsageCosignatureRequest())
        assert (shown.size, shown.logged_size) == (2, 3)
        working.cancel()
        book.close()


@rarely_on_postgresql
async def test_who_lost_an_answer_gets_its_receipt_by_a_retry_and_agrees(
    installation: Installation, tmp_path: Path
) -> None:
    policy = tmp_path / "agreement.yaml"
    policy.write_text(POLICY)
    async with (
        installation.running(agreement_policy=policy) as gateway,
        gateway.channel() as channel,
    ):
        stub: Any = CreditRecordServiceStub(channel)

        def lost(*subjects: str) -> Any:
            request = records_pb.BatchGetSubjectRecordsRequest(
                subjects=subjects, purpose=PURPOSE, request_id="lost"
            )
            return stub.BatchGetSubjectRecords(request)

        agrees = await agreeing(installation, gateway, channel, tmp_path / "a.book")
        book = UsageBook.open(tmp_path / "a.book")
        assert await reason_of(lost(company(1))) == ""

        async def refused() -> bool:
            try:
                book.keep(await query(channel))
            except grpc.aio.AioRpcError as error:
                return explain(error).reason == "USAGE_UNSIGNED"
            return False

        await eventually(refused, 15)
        with pytest.raises(NotAsPromised):
            await agrees.agree()
        # A retry of what was charged is no way to new records.
        assert await reason_of(lost(company(2))) == "REQUEST_ID_REUSED"
        book.keep(*[part async for part in lost(company(1))])
        assert await agrees.agree() > 1
        assert await eventually(lambda: served(channel), 5) < 1
        book.close()
