"""Consents travel: held where they reach, refused within a second of their end, or unheard (G4)."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc
import pytest

from consent.states import EXHAUSTED, GRANTED, PAUSED, REVOKED
from creditgate.federated_query import consent_elsewhere
from creditgate.refusal import Refused, reason_name
from creditgate.v1 import consent_service_pb2 as consent_pb
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.consent_service_pb2 import Consent, ConsentState
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.federation.home.calling import SCOPE
from gateway.federation.home.following import ConsentFollower, Requests, Responses
from operators.regions import REGION_ADMISSION, RegionAdmission
from sdk.refusals import explain
from tests.consents.counter import OTHER, set_operator
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.federation.home.pair import WITHIN_SECONDS, Pair, records_of
from tests.installation import CONSENT_ITEM, OPERATOR_ID, PUBLIC_ITEM, company, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="package"), rarely_on_postgresql]

LEASE_SECONDS = 1.5
HOME_CODE = "000002"
SUSPENDED = OperatorState.OPERATOR_STATE_SUSPENDED
ACTIVE = OperatorState.OPERATOR_STATE_ACTIVE
UNKNOWN = ConsentState.CONSENT_STATE_UNSPECIFIED


def known_as(pair: Pair, consent: Consent) -> str:
    """Return the id that the home region knows a consent by."""
    return consent_elsewhere(pair.asking.entity_id, consent.name).removeprefix("consents/")


async def answered(pair: Pair, consent: Consent) -> bool:
    """Tell whether a query under a consent is answered."""
    try:
        return bool(await pair.under(consent))
    except (grpc.aio.AioRpcError, AssertionError):
        return False


async def unanswered(pair: Pair, consent: Consent) -> bool:
    """Tell whether a query under a consent is refused."""
    return not await answered(pair, consent)


async def test_a_consent_opens_the_closed_item_of_its_subject_here_too(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject, regions=[HOME_CODE, "000000"])
    (answer,) = await pair.under(consent)
    assert len(records_of([answer])) == 1
    kept = pair.consents.get(known_as(pair, consent))
    assert kept is not None
    assert (kept.operator_id, kept.receipt) == (pair.operator_id, consent.receipt)


@always_on_postgresql
async def test_a_consent_holds_only_within_its_regions(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    refusal = await pair.under_refused(await pair.given(subject, regions=["31", "000001"]))
    assert refusal.reason == "CONSENT_EXCEEDED"
    assert refusal.metadata["field"] == "regions"


@always_on_postgresql
async def test_regions_of_the_consent_cut_what_it_opens(pair: Pair) -> None:
    # The records are of district 000000, the home region is of 000002.
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject, regions=[HOME_CODE])
    (answer,) = await pair.under(consent)
    assert records_of([answer]) == []


async def test_a_consent_is_of_the_operator_it_was_given_to(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject)
    credential = pair.credential(OTHER, "L-BETA")
    request = pair.request(
        credential, [subject], items=[CONSENT_ITEM], consent_receipt=consent.receipt
    )
    refusal = await pair.refused(request, await pair.token(credential))
    assert refusal.reason == "CONSENT_UNKNOWN"


async def test_a_consent_opens_no_other_subject_purpose_or_item(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject)
    other = await pair.query_refused(
        company(38_000), items=[CONSENT_ITEM], consent_receipt=consent.receipt
    )
    assert other.reason == "CONSENT_EXCEEDED"
    # For all regions it is proved that there is no more.
    (whole,) = await pair.under(consent, proof=ProofKind.PROOF_KIND_COMPLETE)
    assert whole.chunk.proof.HasField("map_head")
    both = await pair.query_refused(subject, items=[CONSENT_ITEM, PUBLIC_ITEM], consent_receipt="")
    assert both.reason == "CONSENT_REQUIRED"


async def test_a_receipt_that_was_altered_or_is_no_receipt_opens_nothing(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject)
    head, body, _ = consent.receipt.split(".")
    for text in (f"{head}.{body}.{'A' * 86}", "no receipt", pair.credential()):
        refusal = await pair.query_refused(subject, items=[CONSENT_ITEM], consent_receipt=text)
        assert refusal.reason == "CONSENT_UNKNOWN"


async def test_a_consent_for_one_use_opens_one_answer_here_and_its_retries(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject, access_mode=consent_pb.CONSENT_ACCESS_MODE_ONCE)
    await pair.under(consent, request_id="once")
    (again,) = await pair.under(consent, request_id="once")
    assert again.chunk.receipt.replayed
    assert (await pair.under_refused(consent)).reason == "CONSENT_EXHAUSTED"

    async def exhausted() -> bool:
        kept = pair.consents.get(known_as(pair, consent))
        return kept is not None and kept.state == EXHAUSTED

    await eventually(exhausted, 10)


async def test_a_revocation_is_refused_here_within_a_second(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject)
    assert await answered(pair, consent)
    pair.counter.revoke(consent)
    assert await eventually(partial(unanswered, pair, consent)) < WITHIN_SECONDS
    assert (await pair.under_refused(consent)).reason == "CONSENT_REVOKED"

    async def written() -> bool:
        kept = pair.consents.get(known_as(pair, consent))
        return kept is not None and kept.state == REVOKED

    await eventually(written)


async def test_a_receipt_shown_first_after_its_revocation_opens_nothing(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject)
    pair.counter.revoke(consent)
    assert (await pair.under_refused(consent)).reason == "CONSENT_REVOKED"
    assert pair.consents.get(known_as(pair, consent)) is None


async def test_a_consent_held_while_the_operator_is_suspended_is_told_as_held(
    pair: Pair,
) -> None:
    consent = await pair.given(company(35_000))
    async for following in stream(pair):
        await following.tell(consent.name)
        assert await following.told() == {consent.name: GRANTED}
        began = time.monotonic()
        set_operator(pair.asking.installation, SUSPENDED, operator_id=OPERATOR_ID)
        try:
            (told,) = (await following.call.read()).standings
            # Written down a moment after: the licence's own status is refused at once.
            assert time.monotonic() - began < 3.0
            assert told.state == PAUSED
        finally:
            set_operator(pair.asking.installation, ACTIVE, operator_id=OPERATOR_ID)
        (told,) = (await following.call.read()).standings
        assert told.state == GRANTED
    subject = await pair.published(CONSENT_ITEM)
    await eventually(partial(answered, pair, await pair.given(subject)), 10)


@pytest.mark.soak
async def test_what_is_not_heard_of_for_the_lease_is_refused(pair: Pair) -> None:
    subject = await pair.published(CONSENT_ITEM)
    consent = await pair.given(subject)
    assert await answered(pair, consent)
    # The region that granted it tells this one nothing any more.
    asking, there = pair.asking.installation, pair.home.client_id
    admission = asking.log.history(kind=REGION_ADMISSION, id=there, after=0, limit=10)[-1]
    kept = RegionAdmission.from_document(
        admission.document, version=admission.version, changed_at=admission.changed_at
    )
    began = time.monotonic()
    asking.keep(
        REGION_ADMISSION, there, kept.model_copy(update={"dismissed_at": asking.clock.now()})
    )
    try:
        lease = pair.home.installation.config.federation_lease_seconds
        await eventually(partial(unanswered, pair, consent), lease + 2)
        assert time.monotonic() - began <= lease + 1
        refusal = await pair.under_refused(consent)
        assert refusal.reason == "FEDERATION_UNKNOWN"
        assert refusal.retry_after
        kept_here = pair.consents.get(known_as(pair, consent))
        assert kept_here is not None
        assert kept_here.state == GRANTED
    finally:
        asking.keep(REGION_ADMISSION, there, kept)
    await eventually(partial(answered, pair, consent), 15)


class Straight:
    """The way to the asking region, which can be cut."""

    def __init__(self, pair: Pair, token: str) -> None:
        self._pair = pair
        self._token = token
        self.cut = False
        self.call: Any = None

    @asynccontextmanager
    async def follow_consents(self, region: str, requests: Requests) -> AsyncGenerator[Responses]:
        """Open the stream, unless the way is cut."""
        assert region == self._pair.asking.entity_id
        if self.cut:
            raise ConnectionError
        async with self._pair.home.channel_to(self._pair.asking) as channel:
            self.call = FederationServiceStub(channel).FollowConsents(
                requests, metadata=(("authorization", f"Bearer {self._token}"),)
            )
            try:
                yield aiter(self.call)
            finally:
                self.call.cancel()


async def test_a_follower_knows_until_its_lease_is_over_and_again_when_it_hears(
    pair: Pair,
) -> None:
    consent, region = await pair.given(company(34_000)), pair.asking.entity_id
    way = Straight(pair, await pair.home.token_at(pair.asking, SCOPE))
    news: list[tuple[str, int]] = []
    follower = ConsentFollower(
        way, lambda there, told: news.append((there, told.state)), time.monotonic, LEASE_SECONDS
    )

    async def heard(state: int | None) -> bool:
        known = follower.known(region, consent.name)
        return (None if known is None else known.state) == state

    try:
        assert (await follower.follow(region, consent.name)).state == GRANTED
        await asyncio.sleep(1.5 * LEASE_SECONDS)
        assert await heard(GRANTED)
        way.cut = True
        way.call.cancel()
        assert await heard(GRANTED)
        assert await eventually(partial(heard, None)) <= LEASE_SECONDS + 0.5
        with pytest.raises(Refused) as refused:
            await follower.follow(region, consent.name)
        assert reason_name(refused.value.reason) == "FEDERATION_UNKNOWN"
        pair.counter.revoke(consent)
        way.cut = False
        await eventually(partial(heard, REVOKED), 12)
        assert news == [(region, GRANTED), (region, REVOKED)]
    finally:
        await follower.stop()


class Following:
    """A stream of FollowConsents as a home region opens it."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.asks = 0

    async def tell(self, *names: str, **more: Any) -> None:
        """Ask, naming consents to follow."""
        self.asks += 1
        await self.call.write(pb.FollowConsentsRequest(ask=self.asks, consents=names, **more))

    async def told(self) -> dict[str, int]:
        """Return what is told up to the answer to the last question."""
        standings: dict[str, int] = {}
        while True:
            response: pb.FollowConsentsResponse = await self.call.read()
            standings |= {each.consent: each.state for each in response.standings}
            if response.answers == self.asks:
                return standings


async def stream(pair: Pair) -> AsyncIterator[Following]:
    """Open a stream at the asking region, as the home region."""
    token = await pair.home.token_at(pair.asking, SCOPE)
    async with pair.home.channel_to(pair.asking) as channel:
        call = FederationServiceStub(channel).FollowConsents(
            metadata=(("authorization", f"Bearer {token}"),)
        )
        yield Following(call)
        call.cancel()


async def test_only_of_consents_that_reach_the_caller_is_told_and_of_others_all_alike(
    pair: Pair,
) -> None:
    reaching = await pair.given(company(37_000), regions=[HOME_CODE])
    elsewhere = await pair.given(company(37_001), regions=["31"])
    unanswered = await pair.counter.ask(company(37_002))
    async for following in stream(pair):
        names = [reaching.name, elsewhere.name, unanswered.name, "consents/none"]
        await following.tell(*names)
        assert await following.told() == {
            reaching.name: GRANTED,
            elsewhere.name: UNKNOWN,
            unanswered.name: UNKNOWN,
            "consents/none": UNKNOWN,
        }
        pair.counter.revoke(reaching)
        began = time.monotonic()
        response = await following.call.read()
        assert time.monotonic() - began < WITHIN_SECONDS
        (told,) = response.standings
        assert (told.consent, told.state) == (reaching.name, REVOKED)


async def test_a_question_is_answered_after_all_that_had_changed_before_it(pair: Pair) -> None:
    consents = [await pair.given(company(36_000 + number)) for number in range(4)]
    async for following in stream(pair):
        await following.tell(*(each.name for each in consents))
        await following.told()
        for each in consents[:3]:
            await asyncio.to_thread(pair.counter.revoke, each)
        await following.tell(dropped=[consents[1].name])
        told = await following.told()
        assert {told[each.name] for each in (consents[0], consents[2])} == {REVOKED}
        assert consents[3].name not in told


@pytest.mark.parametrize(
    "request_",
    [
        {"ask": 0},
        {"ask": 1, "consents": ["none"]},
        {"ask": 1, "consents": [f"consents/{number}" for number in range(1_001)]},
        {"ask": 1, "dropped": ["consents/ blank"]},
    ],
)
async def test_a_question_out_of_form_ends_the_stream(pair: Pair, request_: dict[str, Any]) -> None:
    async for following in stream(pair):
        await following.call.write(pb.FollowConsentsRequest(**request_))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await following.told()
        assert explain(refused.value).reason == "INVALID_REQUEST"
