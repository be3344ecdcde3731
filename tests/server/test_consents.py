"""A consent that ended serves nothing more, in any process; refusals keep what was named (G3)."""

import asyncio
import time
from contextlib import AsyncExitStack
from uuid import uuid4

import grpc
import pytest

from consent.model import Consent, ConsentItem
from consent.sql import SqlConsents
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from sdk.refusals import explain
from tests import consenting
from tests.installation import (
    CONSENT_ITEM,
    PUBLISHER,
    PURPOSE,
    Gateway,
    Installation,
    company,
)
from tests.server.calls import draft, publish
from tests.server.test_transport import refusals_logged


def give(installation: Installation) -> Consent:
    """Let an invented company consent, from a minute ago on."""
    now = installation.clock.now()
    agreed = consenting.terms(
        [ConsentItem(item=CONSENT_ITEM, fields=frozenset({"finding"}))],
        purposes=frozenset({PURPOSE}),
        valid_from=now - 60,
        valid_until=now + 3_600,
    )
    return consenting.given(SqlConsents(installation.engines.records), company(1), agreed)


async def ask(channel: grpc.aio.Channel, consent: str) -> records_pb.GetSubjectRecordsResponse:
    """Ask under a consent."""
    request = records_pb.GetSubjectRecordsRequest(
        subject=company(1), purpose=PURPOSE, request_id=str(uuid4()), consent=consent
    )
    return await records_grpc.CreditRecordServiceStub(channel).GetSubjectRecords(
        request, timeout=10
    )


async def begun_last(
    gateway: Gateway, consent: str, several: asyncio.Event
) -> tuple[str, float, int]:
    """Ask without pause until refused; return why, when the last answered call was begun,
    and how many were answered. ``several`` is set once some were."""
    begun, answered = 0.0, 0
    async with gateway.channel() as channel:
        while True:
            started = time.monotonic()
            try:
                assert len((await ask(channel, consent)).records) == 1
            except grpc.aio.AioRpcError as error:
                told = explain(error)
                if told.status == "UNAVAILABLE":
                    # On a machine that is busy its lease of authority may lapse: asked again.
                    continue
                return told.reason, begun, answered
            begun, answered = started, answered + 1
            if answered > 5:
                several.set()


async def test_no_process_answers_a_call_begun_after_the_revocation(
    installation: Installation,
) -> None:
    consent = give(installation)
    async with AsyncExitStack() as stack:
        served = [await stack.enter_async_context(installation.process()) for _ in range(2)]
        async with served[0].gateway.channel(PUBLISHER) as publisher:
            await publish(publisher, [draft("r-1", company(1), CONSENT_ITEM)])
        several = [asyncio.Event() for _ in served]
        asking = [
            asyncio.create_task(begun_last(one.gateway, consent.name, some))
            for one, some in zip(served, several, strict=True)
        ]
        await asyncio.wait_for(asyncio.gather(*(some.wait() for some in several)), 30)
        consents = SqlConsents(installation.engines.records)
        now = installation.clock.now()
        await asyncio.to_thread(consenting.moved, consents, consent, "revoke", now)
        revoked_at = time.monotonic()
        ended = await asyncio.wait_for(asyncio.gather(*asking), 5)
    assert [reason for reason, _, _ in ended] == ["CONSENT_REVOKED"] * 2
    assert max(begun for _, begun, _ in ended) < revoked_at
    assert min(answered for _, _, answered in ended) > 5
    use = consents.uses([consent.consent_id])[consent.consent_id]
    assert use.answered == sum(answered for _, _, answered in ended)


@pytest.mark.parametrize(
    ("named", "logged"), [("consents/never-given", "consents/never-given"), ("x" * 200, "")]
)
async def test_a_refusal_keeps_the_consent_named_where_it_has_the_form_of_one(
    embedded: Installation, named: str, logged: str
) -> None:
    async with embedded.running() as gateway, gateway.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await ask(channel, named)
    assert explain(error.value).reason == ("CONSENT_UNKNOWN" if logged else "INVALID_REQUEST")
    assert [row.consent for row in refusals_logged(embedded)] == [logged]
