"""What ends after an answer was metered and before it was given is charged, and told of."""

from collections.abc import Callable
from functools import partial

import grpc
import pytest

from creditgate.v1.federation_service_pb2 import QueryRecordsRequest, QueryRecordsResponse
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.federation.asking.answers import RegionKeys, verified_before
from sdk.refusals import explain
from tests.consents.counter import OTHER, set_operator
from tests.examples import always_on_postgresql
from tests.federation.home.pair import Pair
from tests.federation.home.test_queries import log_key
from tests.federation.metered_first import once_metered
from tests.installation import CONSENT_ITEM, PRICE, PUBLIC_ITEM, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="package"), always_on_postgresql]


async def asked(
    pair: Pair, request: QueryRecordsRequest, token: str
) -> tuple[list[QueryRecordsResponse], str]:
    """Return what a question is answered with, and the reason it is refused for, "" where it is
    not."""
    call = FederationServiceStub(pair.channel).QueryRecords(
        request, metadata=(("authorization", f"Bearer {token}"),), timeout=20
    )
    answers = list[QueryRecordsResponse]()
    try:
        async for answer in call:
            answers.append(answer)
    except grpc.aio.AioRpcError as error:
        return answers, explain(error).reason
    return answers, ""


async def require_told(
    pair: Pair, request: QueryRecordsRequest, token: str, end: Callable[[], object]
) -> str:
    """Ask while what the question rests on ends, and again; return why both are refused."""
    with once_metered(end):
        first, reason = await asked(pair, request, token)
    again, reason_again = await asked(pair, request, token)
    assert reason == reason_again
    keys = RegionKeys(await log_key(pair), await log_key(pair, "usage"))
    now = pair.home.installation.clock.now()
    for (told,) in (first, again):
        assert not told.HasField("chunk")
        leaf = verified_before(request, told.metered_before, keys, 0, now, now).leaf
        assert leaf.fee_micro_yuan == 2 * PRICE
        assert len(told.metered_before.records) == 2
    return reason


async def test_of_what_was_metered_before_its_consent_ended_the_region_is_told(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM, records=2)
    consent = await pair.given(subject)
    credential = pair.credential()
    request = pair.request(
        credential, [subject], items=[CONSENT_ITEM], consent_receipt=consent.receipt
    )
    end = partial(pair.counter.revoke, consent)
    assert await require_told(pair, request, await pair.token(credential), end) == "CONSENT_REVOKED"


async def test_of_what_was_metered_before_its_licence_ended_the_region_is_told(pair: Pair) -> None:
    subject, credential = (
        await pair.published(PUBLIC_ITEM, records=2),
        pair.credential(OTHER, "L-BETA"),
    )
    token = await pair.token(credential)
    installation = pair.asking.installation
    end = partial(set_operator, installation, OperatorState.OPERATOR_STATE_SUSPENDED)
    request = pair.request(credential, [subject])

    async def served() -> bool:
        return not (await asked(pair, pair.request(credential, [subject]), token))[1]

    # That the licence stands has to be heard of over there first.
    await eventually(served, 10)
    try:
        reason = await require_told(pair, request, token, end)
        assert reason == "LICENCE_CREDENTIAL_INVALID"
    finally:
        set_operator(installation, OperatorState.OPERATOR_STATE_ACTIVE)

    await eventually(served, 10)


async def test_a_region_that_is_cut_off_meanwhile_is_told_nothing(pair: Pair) -> None:
    subject, credential = await pair.published(records=2), pair.credential()
    token = await pair.token(credential)
    request = pair.request(credential, [subject])
    try:
        with once_metered(partial(pair.anchor.cut_off, pair.asking.entity_id)):
            answers, reason = await asked(pair, request, token)
        assert (answers, reason) == ([], "REGION_NOT_TRUSTED")
    finally:
        pair.anchor.restore(pair.asking.entity_id)

    async def served() -> bool:
        return not (await asked(pair, request, token))[1]

    await eventually(served, 10)
