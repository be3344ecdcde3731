"""QueryRecords between two gateways: what is served, to whom, and what is kept of it (G10)."""

import asyncio
import json
from functools import partial

import grpc
import pytest
from sqlalchemy import func, select

from consent.sql import SqlConsents
from creditgate.federated_query import batch_of
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import verify_answer
from creditgate.v1 import audit_service_pb2 as audit_pb
from creditgate.v1.audit_service_pb2_grpc import AuditServiceStub
from creditgate.v1.disclosure_service_pb2 import WithdrawRecordRequest
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.federation_service_pb2 import MeteredBefore, QueryRecordsRequest
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.audit.check import check_decisions
from gateway.consents.accesses import Accesses
from gateway.federation.asking.answers import (
    MOST_AGE_SECONDS,
    MOST_SKEW_SECONDS,
    RegionKeys,
    verified_before,
    verified_chunk,
)
from gateway.meter.region_asks import REGION_ASKS, REGION_CREDENTIALS
from gateway.meter.tables import USAGE
from gateway.selfcheck.kept import KEPT
from gateway.storage.engines import reading
from sdk.refusals import explain
from tests.consents.counter import OTHER, set_operator
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.federation.home.pair import ITEMS, LICENCE, WITHIN_SECONDS, Pair, records_of
from tests.installation import (
    ADMINISTRATOR,
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PRICE,
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    RESTRICTED_ITEM,
    company,
    eventually,
)
from tests.parties import claims_in
from tests.server.calls import query

pytestmark = [pytest.mark.asyncio(loop_scope="package"), rarely_on_postgresql]


async def log_key(pair: Pair, log: str = "disclosure") -> VerifierKey:
    """Return the key of a log of the home region."""
    async with pair.home.http() as http:
        return VerifierKey.parse((await http.get(f"/log/{log}/key")).text)


async def test_an_answer_is_the_disclosure_proved_and_signed_for_this_very_query(
    pair: Pair,
) -> None:
    subject, none = await pair.published(records=2), company(39_999)
    credential = pair.credential()
    request = pair.request(credential, [subject, none])
    answers = await pair.call(request, await pair.token(credential))
    verified = verify_answer(
        batch_of(request).SerializeToString(deterministic=True),
        [each.chunk.SerializeToString(deterministic=True) for each in answers],
        await log_key(pair),
    )
    assert len(verified.records) == 2
    # What an operator of the home region itself is served, byte for byte (G1).
    async with pair.home.gateway.channel(OPERATOR_CLIENT) as channel:
        own = await query(channel, subject, items=[PUBLIC_ITEM])
    assert [each.SerializeToString() for each in verified.records] == [
        each.SerializeToString() for each in own.records
    ]


async def test_an_answer_carries_its_checkpoint_with_the_witnesses_cosignatures(
    pair: Pair,
) -> None:
    (answer,) = await pair.query(await pair.published())
    assert answer.cosigned_checkpoint.split("\n")[0] == answer.chunk.proof.checkpoint.split("\n")[0]
    cosigners = [line for line in answer.cosigned_checkpoint.split("\n") if line.startswith("—")]
    assert len(cosigners) == 2


@always_on_postgresql
async def test_the_region_is_charged_once_however_often_it_asks_again(pair: Pair) -> None:
    subject = await pair.published(records=3)
    (first,) = await pair.query(subject, request_id="asked-twice")
    (again,) = await pair.query(subject, request_id="asked-twice")
    assert first.chunk.receipt.charged_micro_yuan == 3 * PRICE
    assert again.chunk.receipt.replayed
    assert again.chunk.receipt.charged_micro_yuan == 0
    with reading(pair.home.installation.engines.records) as connection:
        row = connection.execute(select(USAGE).where(USAGE.c.request_id == "asked-twice")).one()
    assert (row.operator_id, row.client_id, row.entry_count) == (
        pair.operator_id,
        pair.asking.client_id,
        3,
    )


async def test_the_subject_is_told_for_which_operator_the_region_asked(pair: Pair) -> None:
    subject = await pair.published()
    await pair.query(subject)
    home = pair.home.installation
    accesses = Accesses(home.engines.records, pair.consents, tuple[str, ...], home.clock)

    async def told() -> bool:
        found = accesses.of_subject(subject, limit=9).accesses
        return [(each.operator_id, each.asking_operator) for each in found] == [
            (pair.operator_id, OPERATOR_ID)
        ]

    await eventually(told)


async def test_a_retry_is_told_what_was_charged_before_and_no_other_use_passes_for_it(
    pair: Pair,
) -> None:
    subject = await pair.published(records=3)
    (first,) = await pair.query(subject, request_id="told")
    gone = first.chunk.records[1].name
    async with pair.home.gateway.channel(PUBLISHER) as publisher:
        await DisclosureServiceStub(publisher).WithdrawRecord(
            WithdrawRecordRequest(name=gone, expected_revision=1, reason="published in error")
        )
    told, again = await pair.query(subject, request_id="told")
    assert gone not in records_of([again])
    before = told.metered_before
    assert [each.name for each in before.records] == records_of([first])
    keys = RegionKeys(await log_key(pair), await log_key(pair, "usage"))
    asked, now = (
        QueryRecordsRequest(
            asking_region=pair.asking.entity_id,
            request_id="told",
            purpose=PURPOSE,
            items=[CONSENT_ITEM, PUBLIC_ITEM],
        ),
        pair.home.installation.clock.now(),
    )
    proved = verified_before(asked, before, keys, 0, now, now)
    assert proved.leaf.fee_micro_yuan == 3 * PRICE
    assert sum(proved.prices.values()) == PRICE

    def less(made: MeteredBefore) -> None:
        del made.records[0]

    def other(made: MeteredBefore) -> None:
        made.records[0].event_sequence += 1

    def twice(made: MeteredBefore) -> None:
        made.records[1].CopyFrom(made.records[0])

    def elsewhere(made: MeteredBefore) -> None:
        made.records[2].region = "999999"

    def nameless(made: MeteredBefore) -> None:
        made.records[2].name = "records/a\nb"

    def unsigned(made: MeteredBefore) -> None:
        made.usage.signature = bytes(64)

    for change in (less, other, twice, elsewhere, nameless, unsigned):
        changed = MeteredBefore()
        changed.CopyFrom(before)
        change(changed)
        with pytest.raises(ProofInvalid):
            verified_before(asked, changed, keys, 0, now, 0)
    for number, at, since in (
        (1, now, 0),
        (0, now + MOST_AGE_SECONDS + 60, 0),
        (0, now - MOST_SKEW_SECONDS - 60, 0),
        # Nobody had asked by then.
        (0, now, now + MOST_SKEW_SECONDS + 60),
    ):
        with pytest.raises(ProofInvalid):
            verified_before(asked, before, keys, number, at, since)
    for field, value in (
        ("request_id", "other"),
        ("purpose", 0),
        ("asking_region", pair.home.entity_id),
    ):
        wrong = QueryRecordsRequest()
        wrong.CopyFrom(asked)
        setattr(wrong, field, value)
        with pytest.raises(ProofInvalid):
            verified_before(wrong, before, keys, 0, now, 0)
    # What nobody asked for is not charged.
    wrong = QueryRecordsRequest()
    wrong.CopyFrom(asked)
    wrong.items[:] = [CONSENT_ITEM]
    with pytest.raises(ProofInvalid, match="not asked for"):
        verified_before(wrong, before, keys, 0, now, 0)
    credential = pair.credential()
    sent = pair.request(credential, [subject], request_id="told")
    with pytest.raises(ProofInvalid, match="more was charged"):
        verified_chunk(sent, "", [again], keys, 0, now)
    whole = verified_chunk(sent, "", [again], keys, 0, now, proved)
    assert [each.name for each in whole.gone] == [gone]


async def test_an_id_of_one_operators_question_is_no_retry_of_anothers(pair: Pair) -> None:
    subject = await pair.published()
    await pair.query(subject, request_id="whose")
    credential = pair.credential(OTHER, "L-BETA")
    request = pair.request(credential, [subject], request_id="whose")
    refusal = await pair.refused(request, await pair.token(credential))
    assert refusal.reason == "REQUEST_ID_REUSED"


@always_on_postgresql
async def test_the_decision_log_tells_for_whom_was_asked_and_by_which_decision(
    pair: Pair,
) -> None:
    subject = await pair.published()
    asked = {"request_id": "traced", "asking_decision_id": "decisions/of-the-asker"}
    await pair.query(subject, **asked)

    async def logged() -> audit_pb.DecisionEntry | None:
        channel = await pair.channels.of(pair.home.gateway, ADMINISTRATOR)
        answer = await AuditServiceStub(channel).ListDecisions(
            audit_pb.ListDecisionsRequest(client_id=pair.asking.client_id, page_size=1_000)
        )
        entries = [each.entry for each in answer.decisions]
        return next((each for each in entries if each.request_id == "traced"), None)

    await eventually(logged)
    entry = await logged()
    assert entry is not None
    assert entry.operator_id == pair.operator_id
    assert entry.asking_region == pair.asking.entity_id
    assert (entry.asking_operator, entry.asking_licence) == (OPERATOR_ID, LICENCE)
    assert entry.asking_decision == "decisions/of-the-asker"
    engines = pair.home.installation.engines
    receipts = SqlConsents(engines.records).receipts
    # The regions go on meanwhile: who looks at all decisions takes a while.
    _, faults = await asyncio.to_thread(check_decisions, engines, receipts, KEPT)
    assert faults == []


@always_on_postgresql
async def test_the_credential_shown_is_kept_once_as_evidence(pair: Pair) -> None:
    subject, credential = await pair.published(), pair.credential()
    token = await pair.token(credential)
    for _ in range(2):
        await pair.call(pair.request(credential, [subject]), token)
    with reading(pair.home.installation.engines.records) as connection:
        kept = select(func.count()).where(REGION_CREDENTIALS.c.credential == credential)
        assert connection.execute(kept).scalar() == 1
        digests = select(func.count(REGION_ASKS.c.payload_digest.distinct()))
        assert (connection.execute(digests).scalar() or 0) >= 2


async def test_a_stream_that_broke_is_taken_up_at_its_next_chunk(pair: Pair) -> None:
    size = pair.home.installation.config.chunk_subjects
    subjects = [company(60_000 + number) for number in range(size + 2)]
    first, second = await pair.query(*subjects, request_id="broken-off")
    credential = pair.credential()
    request = pair.request(credential, subjects, request_id="broken-off", resume_from=size)
    (rest,) = await pair.call(request, await pair.token(credential))
    assert (first.chunk.first_subject, first.chunk.subject_count) == (0, size)
    assert (rest.chunk.first_subject, rest.chunk.subject_count) == (size, 2)
    assert second.chunk.receipt.decision_id == rest.chunk.receipt.decision_id
    assert rest.chunk.receipt.replayed


async def test_no_more_chunks_are_metered_than_are_asked_for(pair: Pair) -> None:
    size = pair.home.installation.config.chunk_subjects
    subjects = [company(61_000 + number) for number in range(2 * size + 2)]
    (first,) = await pair.query(*subjects, request_id="one-chunk", most_chunks=1)
    assert first.chunk.chunk_complete
    metered = select(func.count()).where(USAGE.c.request_id == "one-chunk")
    with reading(pair.home.installation.engines.records) as connection:
        assert connection.execute(metered).scalar_one() == 1
    # It is no other question for that.
    rest = await pair.query(*subjects, request_id="one-chunk", resume_from=size, most_chunks=7)
    assert [each.chunk.first_subject for each in rest] == [size, 2 * size]
    assert not any(each.chunk.receipt.replayed for each in rest)


async def test_a_token_narrowed_to_a_subject_opens_no_other(pair: Pair) -> None:
    subject, other = await pair.published(), await pair.published()
    credential = pair.credential()
    details = [{"type": "public_credit_data", "subjects": [subject], "items": [PUBLIC_ITEM]}]
    token = await pair.token(credential, details)
    (answer,) = await pair.call(pair.request(credential, [subject]), token)
    assert len(records_of([answer])) == 1
    refusal = await pair.refused(pair.request(credential, [other]), token)
    assert refusal.reason == "SUBJECT_NOT_ALLOWED"


async def test_the_home_licence_bounds_what_the_credential_allows(pair: Pair) -> None:
    # The region's licence here lacks the restricted item, which the operator's there has.
    details = [{"type": "public_credit_data", "items": [RESTRICTED_ITEM]}]
    asked = json.dumps(details)
    credential = pair.credential()
    assert not (await pair.exchange(credential, authorization_details=asked)).is_success
    pair.map_items({**ITEMS, RESTRICTED_ITEM: RESTRICTED_ITEM})

    async def mapped() -> bool:
        return (await pair.exchange(credential, authorization_details=asked)).is_success

    try:
        await eventually(mapped)
        request = pair.request(credential, [company(1)], items=[RESTRICTED_ITEM])
        refusal = await pair.refused(request, await pair.token(credential, details))
        assert refusal.reason == "ITEM_NOT_ALLOWED"
    finally:
        pair.map_items()

    async def unmapped() -> bool:
        return not await mapped()

    await eventually(unmapped)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"items": ["unheard-of"]}, "ITEM_NOT_ALLOWED"),
        ({"items": [CONSENT_ITEM]}, "CONSENT_REQUIRED"),
        ({"purpose": Purpose.PURPOSE_BIDDING}, "PURPOSE_NOT_ALLOWED"),
        ({"asking_region": "https://elsewhere.example"}, "INVALID_REQUEST"),
        ({"items": []}, "INVALID_REQUEST"),
        ({"mapping_version": ""}, "INVALID_REQUEST"),
        ({"asking_decision_id": "there-1"}, "INVALID_REQUEST"),
        ({"request_id": ""}, "INVALID_REQUEST"),
        ({"request_id": "x" * 65}, "INVALID_REQUEST"),
        ({"request_id": "an id\0with more"}, "INVALID_REQUEST"),
        ({"subjects": []}, "INVALID_REQUEST"),
        ({"subjects": ["91000000DEM000011B"]}, "INVALID_REQUEST"),
        ({"resume_from": 1}, "INVALID_REQUEST"),
        ({"most_chunks": -1}, "INVALID_REQUEST"),
        ({"licence_credential": ""}, "INVALID_REQUEST"),
        ({"licence_credential": "x" * 16_385}, "INVALID_REQUEST"),
        ({"licence_credential": "x"}, "LICENCE_CREDENTIAL_INVALID"),
        ({"consent_receipt": "x" * 262_145}, "INVALID_REQUEST"),
    ],
)
async def test_what_a_query_must_not_be_is_refused_by_its_reason(
    pair: Pair, changed: dict[str, object], reason: str
) -> None:
    credential = pair.credential()
    request = pair.request(credential, [company(1)], **changed)
    assert (await pair.refused(request, await pair.token(credential))).reason == reason


async def test_nothing_is_kept_of_a_query_whose_id_is_none(pair: Pair) -> None:
    subject, too_long = await pair.published(), "x" * 65
    refusal = await pair.query_refused(subject, request_id=too_long)
    assert refusal.reason == "INVALID_REQUEST"
    kept = select(REGION_ASKS).where(REGION_ASKS.c.request_id == too_long)
    with reading(pair.home.installation.engines.records) as connection:
        assert connection.execute(kept).first() is None


async def test_a_token_serves_only_the_licence_it_was_exchanged_for(pair: Pair) -> None:
    token = await pair.token(pair.credential())
    other = pair.credential(OTHER, "L-BETA")
    refusal = await pair.refused(pair.request(other, [company(1)]), token)
    assert refusal.reason == "LICENCE_CREDENTIAL_INVALID"


async def test_a_token_of_the_region_itself_serves_no_operator(pair: Pair) -> None:
    token = await pair.asking.token_at(pair.home)
    refusal = await pair.refused(pair.request(pair.credential(), [company(1)]), token)
    assert refusal.reason == "LICENCE_CREDENTIAL_INVALID"


async def test_an_operator_of_the_home_region_cannot_ask_as_a_region(pair: Pair) -> None:
    async with pair.home.gateway.channel(OPERATOR_CLIENT) as channel:
        call = FederationServiceStub(channel).QueryRecords(
            pair.request(pair.credential(), [company(1)])
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
    assert "federation.records:query" in (refused.value.details() or "")


async def test_a_credential_that_another_signed_gives_no_token(pair: Pair) -> None:
    head, body, _ = pair.credential().split(".")
    forged = await pair.exchange(f"{head}.{body}.{'A' * 86}")
    assert (forged.status_code, forged.json()["error"]) == (400, "invalid_request")


async def test_details_beyond_the_licence_give_no_token(pair: Pair) -> None:
    asked = '[{"type":"public_credit_data","purposes":["BIDDING"]}]'
    answer = await pair.exchange(pair.credential(), authorization_details=asked)
    assert answer.json()["error"] == "invalid_authorization_details"
    assert "/0/purposes" in answer.json()["error_description"]


async def test_other_scopes_than_that_of_queries_cannot_be_exchanged_for(pair: Pair) -> None:
    answer = await pair.exchange(pair.credential(), scope="federation.consents:follow")
    assert answer.json()["error"] == "invalid_scope"


async def test_a_token_says_whose_licence_it_serves_and_who_acts(pair: Pair) -> None:
    claims = claims_in(await pair.token(pair.credential()))
    assert claims["sub"].startswith("licence:")
    assert claims["act"] == {"sub": pair.asking.client_id}
    (detail,) = claims["authorization_details"]
    assert set(detail["items"]) == {PUBLIC_ITEM, CONSENT_ITEM}
    assert claims["exp"] <= claims["iat"] + 300


async def test_an_operator_suspended_there_is_refused_here_within_a_second(pair: Pair) -> None:
    subject, credential = await pair.published(), pair.credential(OTHER, "L-BETA")
    token = await pair.token(credential)

    async def answered(wanted: bool) -> bool:
        try:
            await pair.call(pair.request(credential, [subject]), token)
        except grpc.aio.AioRpcError:
            return not wanted
        return wanted

    await eventually(partial(answered, True))
    set_operator(pair.asking.installation, OperatorState.OPERATOR_STATE_SUSPENDED)
    assert await eventually(partial(answered, False)) < WITHIN_SECONDS
    refusal = await pair.refused(pair.request(credential, [subject]), token)
    assert refusal.reason == "LICENCE_CREDENTIAL_INVALID"
    set_operator(pair.asking.installation, OperatorState.OPERATOR_STATE_ACTIVE)
    await eventually(partial(answered, True))


async def test_a_stream_ends_at_its_next_chunk_when_the_licence_it_serves_is_suspended(
    pair: Pair,
) -> None:
    credential = pair.credential(OTHER, "L-BETA")
    token = await pair.token(credential)
    size = pair.home.installation.config.chunk_subjects
    many = [company(80_000 + number) for number in range(10_000 // size * size)]
    call = FederationServiceStub(pair.channel).QueryRecords(
        pair.request(credential, many), metadata=(("authorization", f"Bearer {token}"),)
    )
    answers = aiter(call)
    assert (await anext(answers)).chunk.subject_count == size
    set_operator(pair.asking.installation, OperatorState.OPERATOR_STATE_SUSPENDED)
    try:
        # What is on its way to the reader was answered before.
        await asyncio.sleep(WITHIN_SECONDS)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            _ = [answer async for answer in answers]
        assert explain(refused.value).reason == "LICENCE_CREDENTIAL_INVALID"
    finally:
        set_operator(pair.asking.installation, OperatorState.OPERATOR_STATE_ACTIVE)
    await eventually(partial(_served, pair, credential, token), 10)


async def _served(pair: Pair, credential: str, token: str) -> bool:
    """Tell whether a query is answered."""
    try:
        return bool(await pair.call(pair.request(credential, [company(1)]), token))
    except grpc.aio.AioRpcError:
        return False


async def test_a_region_cut_off_is_refused_within_a_second_and_its_streams_end(
    pair: Pair,
) -> None:
    subject = await pair.published()
    credential = pair.credential()
    token = await pair.token(credential)
    size = pair.home.installation.config.chunk_subjects
    many = [company(70_000 + number) for number in range(10_000 // size * size)]
    call = FederationServiceStub(pair.channel).QueryRecords(
        pair.request(credential, many), metadata=(("authorization", f"Bearer {token}"),)
    )
    answers = aiter(call)
    assert (await anext(answers)).chunk.subject_count == size
    pair.anchor.cut_off(pair.asking.entity_id)

    async def refused() -> bool:
        try:
            await pair.call(pair.request(credential, [subject]), token)
        except grpc.aio.AioRpcError as error:
            return explain(error).reason == "REGION_NOT_TRUSTED"
        return False

    try:
        assert await eventually(refused) < WITHIN_SECONDS
        with pytest.raises(grpc.aio.AioRpcError):
            _ = [answer async for answer in answers]
    finally:
        pair.anchor.restore(pair.asking.entity_id)

    async def restored() -> bool:
        return await _served(pair, credential, token)

    await eventually(restored, 10)
