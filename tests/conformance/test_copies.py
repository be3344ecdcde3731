"""AttestCopies and ReconcileCopies: what differs is found, named for what it is, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio

from creditgate.conformance_certificate import ConformanceCertificate
from creditgate.reconcile.symbols import coded
from creditgate.transparency.facts import Copy
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1 import consent_service_pb2 as pb_consent
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.conformance import comparing, judging, matching, told_missing
from gateway.conformance.holdings import Holdings
from gateway.conformance.positions import come_to_answers
from gateway.conformance.served import served_operators
from gateway.disclose.store import DisclosureStore
from gateway.storage.engines import reading
from sdk.refusals import Refusal, explain
from sdk.tokens import TokenRefused
from tests.conformance.attesting import Told, attest, copy_of, digests, opening, reconcile
from tests.conformance.policies import policy_file
from tests.conformance.test_watch import Site, furnish, open_site
from tests.consents.counter import (
    DAY,
    Counter,
    fields_of,
    new_subject,
    open_counter,
    refusal_of,
)
from tests.examples import always_on_postgresql, examples, rarely_on_postgresql
from tests.installation import CONSENT_ITEM, Gateway, Installation, eventually
from tests.parties import claims_in
from tests.server.calls import draft, publish, query

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]
_numbers: Final = count(1)
on_sqlite: Final = pytest.mark.parametrize("world", ["sqlite"], indirect=True, scope="module")
"""For what is told before any store has a part in it."""
_KINDS: Final = {
    pb.FINDING_KIND_CORRECTED_HELD,
    pb.FINDING_KIND_REPAIRED_HELD,
    pb.FINDING_KIND_WITHDRAWN_HELD,
}


@dataclass
class Operator:
    """An operator of its own, and the copies it keeps."""

    site: Site
    channel: grpc.aio.Channel
    operator_id: str = ""
    copies: list[Copy] = field(default_factory=list[Copy])

    async def served(self, **changes: Any) -> str:
        """Be served a new record, and keep it; return its name."""
        record, subject = await self.site.published(**changes)
        await self.ask(subject)
        return record

    async def served_many(self, number: int) -> None:
        """Be served so many new records of one company, and keep them."""
        subject = new_subject()
        drafts = [draft(f"many-{next(_numbers)}", subject) for _ in range(number)]
        await publish(self.site.publisher, drafts)
        await self.ask(subject)

    async def ask(self, subject: str) -> None:
        """Be served what is disclosed about a company, and keep it."""
        self.copies += [copy_of(each) for each in (await query(self.channel, subject)).records]

    async def findings(self, attestation: pb.Attestation) -> dict[str, pb.Finding]:
        """Return what an attestation found, by record; what is missing left out."""
        answer: pb.ListFindingsResponse = await self.stub.ListFindings(
            pb.ListFindingsRequest(attestation=attestation.name)
        )
        missing = pb.FINDING_KIND_MISSING
        return {each.record: each for each in answer.findings if each.kind != missing}

    async def missing(self, attestation: pb.Attestation) -> set[str]:
        """Return the records that an attestation found missing."""
        answer: pb.ListFindingsResponse = await self.stub.ListFindings(
            pb.ListFindingsRequest(attestation=attestation.name)
        )
        kind = pb.FINDING_KIND_MISSING
        return {each.record for each in answer.findings if each.kind == kind}

    @property
    def stub(self) -> Any:
        """The methods of conformance."""
        return ConformanceServiceStub(self.channel)


@dataclass(frozen=True)
class World:
    """A gateway, and operators that come to it."""

    site: Site
    counter: Counter
    stack: AsyncExitStack

    async def newcomer(self) -> Operator:
        """Return an operator that holds nothing yet."""
        operator_id = f"holder-{next(_numbers)}"
        installation = self.site.installation
        installation.license(operator_id, f"L-{operator_id}")
        installation.enrol(f"{operator_id}-one", ClientRole.CLIENT_ROLE_OPERATOR, operator_id)
        gateway: Gateway = self.site.gateway
        while True:
            try:
                connected = gateway.channel(f"{operator_id}-one")
                channel = await self.stack.enter_async_context(connected)
            except TokenRefused as refused:
                # Not known there yet, or its scopes are not.
                assert refused.error in {"invalid_client", "invalid_scope"}
                await asyncio.sleep(0.02)
            else:
                return Operator(self.site, channel, operator_id)

    async def reached(self, seconds: int) -> None:
        """Wait until the gateway's clock says so."""

        async def has() -> bool:
            return self.site.installation.clock.now() >= seconds

        await eventually(has, 10)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """A gateway on each kind of store."""
    kind = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    with request.getfixturevalue(kind).database() as store:
        policy = policy_file(tmp_path_factory.mktemp("policy"))
        installation = Installation(*store, settings={"conformance_policy": policy})
        installation.furnish()
        furnish(installation)
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(installation.running())
            site = await stack.enter_async_context(open_site(gateway))
            counter = await stack.enter_async_context(open_counter(gateway))
            yield World(site, counter, stack)
        installation.close()


def _drawable(attestation: pb.Attestation) -> int:
    certificate = ConformanceCertificate.model_validate(claims_in(attestation.certificate))
    assert certificate.copies == attestation.copies
    return certificate.drawable


def _altered(copy: Copy) -> Copy:
    return copy._replace(content_digest=sha256(b"another").digest())


async def test_copies_as_they_are_disclosed_are_clean_whichever_way_they_are_told(
    world: World,
) -> None:
    operator = await world.newcomer()
    for _ in range(3):
        await operator.served()
    for told in (attest, reconcile):
        attestation = await told(operator.channel, operator.copies)
        assert attestation.copies == 3
        assert (attestation.standing_findings, attestation.opened_findings) == (0, 0)
        assert _drawable(attestation) == 3


@pytest.mark.parametrize("told", [attest, reconcile])
async def test_a_request_id_stands_for_the_opening_it_was_first_used_with(
    world: World, told: Any
) -> None:
    operator = await world.newcomer()
    for _ in range(2):
        await operator.served()
    first_opening = opening(2)
    first = await told(operator.channel, operator.copies, opened=first_opening)
    again = await told(operator.channel, operator.copies, opened=first_opening)
    assert again == first
    for other in (
        opening(1, request_id=first_opening.request_id),
        opening(2, reflects=1, request_id=first_opening.request_id),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await told(operator.channel, operator.copies[: other.copies], opened=other)
        assert explain(refused.value).reason == "REQUEST_ID_REUSED"


@always_on_postgresql
async def test_it_is_told_what_copies_that_are_spared_yet_were_compared_with(world: World) -> None:
    operator, site = await world.newcomer(), world.site
    record = await operator.served()
    before = DisclosureStore(site.installation.engines.records).head()
    await site.repair(record)
    attestation = await attest(operator.channel, operator.copies, opened=opening(1, before))
    assert attestation.standing_findings == 0
    assert attestation.disclosure_sequence == before
    assert attestation.compared_sequence > before
    assert (attestation.certified, attestation.certificate) == (False, "")


@on_sqlite
@pytest.mark.parametrize("until", [4, 5])
async def test_a_copy_whose_period_holds_no_instant_is_malformed(world: World, until: int) -> None:
    operator = await world.newcomer()
    copy = Copy("r-1", sha256(b"x").digest(), 5, until)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attest(operator.channel, [copy])
    refusal = explain(refused.value)
    assert refusal.reason == "INVALID_REQUEST"
    assert [each.field for each in refusal.violations] == ["copies.copies[0].disclosed_until"]


@pytest.mark.parametrize("told", [attest, reconcile])
async def test_each_difference_is_named_for_what_it_is(world: World, told: Any) -> None:
    operator, site = await world.newcomer(), world.site
    expected: dict[str, int] = {}
    for kind, change in (
        (pb.FINDING_KIND_CORRECTED_HELD, site.correct),
        (pb.FINDING_KIND_REPAIRED_HELD, site.repair),
        (pb.FINDING_KIND_WITHDRAWN_HELD, site.withdraw),
    ):
        record = await operator.served()
        await change(record)
        expected[record] = kind
    altered, periodic, lost = [await operator.served() for _ in range(3)]
    expected |= {
        altered: pb.FINDING_KIND_CONTENT_ALTERED,
        periodic: pb.FINDING_KIND_PERIOD_ALTERED,
    }
    at = {f"records/{copy.record_id}": copy for copy in operator.copies}
    copies = [copy for record, copy in at.items() if record not in (altered, periodic, lost)]
    copies += [_altered(at[altered]), at[periodic]._replace(disclosed_until=2_000_000_000)]
    elsewhere, subject = await site.published()
    beside = (await query(site.alpha, subject)).records[0]
    copies += [copy_of(beside), Copy("no-such-record", sha256(b"x").digest(), 1, 2)]
    expected |= dict.fromkeys((elsewhere, "records/no-such-record"), pb.FINDING_KIND_NEVER_SERVED)
    head = DisclosureStore(site.installation.engines.records).head()
    attestation = await told(operator.channel, copies, opened=opening(len(copies), reflects=head))
    found = await operator.findings(attestation)
    assert {record: each.kind for record, each in found.items()} == expected
    assert attestation.standing_findings == len(expected)
    assert not attestation.certificate
    assert await operator.missing(attestation) == {lost}
    ended = [each for each in found.values() if each.kind in _KINDS]
    assert all(each.event_sequence and each.held_digest for each in ended)
    # What is mended is found mended, the other way round too.
    mended = [
        copy for record, copy in at.items() if record != lost and expected.get(record) not in _KINDS
    ]
    clean = await attest(operator.channel, mended)
    assert (clean.standing_findings, bool(clean.certificate)) == (0, True)


async def test_a_copy_is_not_held_against_an_operator_that_cannot_have_heard_yet(
    world: World,
) -> None:
    operator = await world.newcomer()
    record = await operator.served()
    event = await world.site.withdraw(record)
    reflects = event.event_sequence - 1
    in_time = await reconcile(
        operator.channel, operator.copies, opened=opening(1, reflects=reflects)
    )
    assert (in_time.copies, in_time.standing_findings) == (1, 0)
    assert in_time.disclosure_sequence == reflects
    knowing = await reconcile(
        operator.channel, operator.copies, opened=opening(1, reflects=event.event_sequence)
    )
    found = await operator.findings(knowing)
    assert found[record].kind == pb.FINDING_KIND_WITHDRAWN_HELD


async def test_a_copy_held_after_its_period_is_found(world: World) -> None:
    operator, now = await world.newcomer(), world.site.installation.clock.now()
    made = draft(f"expiring-{next(_numbers)}", new_subject())
    made.disclosed_from.seconds, made.disclosed_until.seconds = now - 400 * DAY, now + 2
    await publish(world.site.publisher, [made])
    await operator.ask(made.subject)
    assert (await reconcile(operator.channel, operator.copies)).standing_findings == 0
    await world.reached(now + 2)
    found = await operator.findings(await reconcile(operator.channel, operator.copies))
    (finding,) = found.values()
    assert finding.kind == pb.FINDING_KIND_EXPIRED_HELD


async def test_a_copy_that_expired_after_it_was_read_is_not_held_against_an_operator(
    world: World,
) -> None:
    operator, now = await world.newcomer(), world.site.installation.clock.now()
    made = draft(f"expiring-{next(_numbers)}", new_subject())
    made.disclosed_from.seconds, made.disclosed_until.seconds = now - 400 * DAY, now + 2
    await publish(world.site.publisher, [made])
    await operator.ask(made.subject)
    await world.reached(now + 2)

    async def read(at: int) -> pb.Attestation:
        opened = opening(1)
        opened.made_time.seconds = at
        return await reconcile(operator.channel, operator.copies, opened=opened)

    in_time = await read(now + 1)
    assert (in_time.standing_findings, in_time.certificate) == (0, "")
    assert (await read(now + 2)).standing_findings == 1


async def test_a_request_repeated_of_copies_read_at_another_time_is_refused(world: World) -> None:
    operator, now = await world.newcomer(), world.site.installation.clock.now()
    opened = opening(0)
    opened.made_time.seconds = now
    first = await attest(operator.channel, [], opened=opened)
    assert await attest(operator.channel, [], opened=opened) == first
    opened.made_time.seconds = now - 1
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attest(operator.channel, [], opened=opened)
    assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS
    opened.made_time.nanos = 1
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attest(operator.channel, [], opened=opened)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_copy_under_a_consent_is_right_until_its_data_life_is_over(world: World) -> None:
    counter = world.counter
    holder = Operator(world.site, counter.alpha)
    fields = [pb_consent.ConsentItem(item=CONSENT_ITEM, fields=["finding"])]
    lasting = await counter.given(await counter.published(), counter.terms(fields))
    short = await counter.short_lived(await counter.published(), 2)
    taken_back = await counter.given(await counter.published(), counter.terms(fields))
    for consent in (lasting, short, taken_back):
        holder.copies += [copy_of(each) for each in (await counter.use(consent)).records]
    assert len(holder.copies) == 3
    clean = await reconcile(holder.channel, holder.copies)
    assert (clean.copies, clean.standing_findings) == (3, 0)
    # They are never asked for, and the certificate says so.
    assert _drawable(clean) == 0
    counter.revoke(taken_back)
    await asyncio.sleep(2.5)
    found = await holder.findings(await reconcile(holder.channel, holder.copies))
    # What is revoked may be kept for a while yet; what was served for two seconds may not.
    assert {record: each.kind for record, each in found.items()} == {
        f"records/{holder.copies[1].record_id}": pb.FINDING_KIND_CONSENT_LIFE_OVER
    }
    del holder.copies[1]
    for told in (attest, reconcile):
        assert (await told(holder.channel, holder.copies)).standing_findings == 0
    word = pb.RemovalAcknowledgement(consent=taken_back.name)
    word.remove_time.seconds = counter.now
    await holder.stub.AcknowledgeRemovals(pb.AcknowledgeRemovalsRequest(removals=[word]))
    # Who has said that it is gone cannot hold it.
    found = await holder.findings(await reconcile(holder.channel, holder.copies))
    assert {record: each.kind for record, each in found.items()} == {
        f"records/{holder.copies[1].record_id}": pb.FINDING_KIND_CONSENT_LIFE_OVER
    }
    del holder.copies[1]
    assert (await attest(holder.channel, holder.copies)).standing_findings == 0


async def test_the_follower_comes_to_what_was_served_without_being_asked(world: World) -> None:
    operator = await world.newcomer()
    record = await operator.served()
    engines = world.site.installation.engines
    with reading(engines.records) as connection:
        last = max(served_operators(connection).values())

    async def followed() -> bool:
        with reading(engines.evidence) as evidence:
            return max(come_to_answers(evidence).values()) >= last

    await eventually(followed)
    head = DisclosureStore(engines.records).head()
    assert record in {
        f"records/{Holdings(engines).copy_of(each).record_id}"
        for each, holders in Holdings(engines).holders(range(1, head + 1)).items()
        if operator.operator_id in holders
    }


async def test_a_request_made_again_is_answered_as_before(world: World) -> None:
    operator = await world.newcomer()
    await operator.served()
    opened = opening(1, request_id=f"again-{next(_numbers)}")
    first = await reconcile(operator.channel, operator.copies, opened=opened)
    told = Told()
    again = await reconcile(operator.channel, [], opened=opened, told=told)
    assert again == first
    assert told.turns == ["attestation"]
    assert await attest(operator.channel, [], opened=opened) == first


@always_on_postgresql
async def test_where_nearly_all_differs_all_copies_are_wanted(world: World) -> None:
    operator = await world.newcomer()
    await operator.served_many(200)
    told = Told()
    attestation = await reconcile(operator.channel, operator.copies[:1], told=told)
    assert told.turns == ["terms", "symbols_wanted", "all_copies_wanted", "attestation"]
    assert (attestation.copies, attestation.standing_findings) == (1, 0)
    assert len(await operator.missing(attestation)) == 199 or attestation.opened_findings == 199


@on_sqlite
async def test_where_peeling_is_given_up_all_copies_are_wanted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await world.newcomer()
    await operator.served_many(60)
    monkeypatch.setattr("creditgate.reconcile.decode.MOST_ROUNDS", 0)
    told = Told()
    attestation = await reconcile(operator.channel, operator.copies[1:], told=told)
    assert told.turns == ["terms", "symbols_wanted", "all_copies_wanted", "attestation"]
    assert (attestation.copies, len(await operator.missing(attestation))) == (59, 1)


async def _refused(operator: Operator, *turns: pb.ReconcileCopiesRequest) -> Refusal:
    async def requests() -> AsyncIterator[pb.ReconcileCopiesRequest]:
        for turn in turns:
            yield turn

    async def ask() -> None:
        async for _ in operator.stub.ReconcileCopies(requests(), timeout=30):
            pass

    return await refusal_of(ask())


def _opens(copies: int = 1, **changes: Any) -> pb.ReconcileCopiesRequest:
    opened = opening(copies)
    for name, value in changes.items():
        setattr(opened, name, value)
    return pb.ReconcileCopiesRequest(opening=opened)


@on_sqlite
@pytest.mark.parametrize(
    ("opened", "field_"),
    [
        ({"format_version": 2}, "opening.format_version"),
        ({"disclosure_sequence": 10**9}, "opening.disclosure_sequence"),
        ({"disclosure_sequence": -1}, "opening.disclosure_sequence"),
        ({"copies": -1}, "opening.copies"),
        ({"request_id": "no blanks"}, "opening.request_id"),
    ],
)
async def test_openings_that_cannot_be_are_refused(
    world: World, opened: dict[str, Any], field_: str
) -> None:
    operator = Operator(world.site, world.site.beta)
    assert fields_of(await _refused(operator, _opens(**opened))) == {field_}


@on_sqlite
async def test_turns_that_break_the_rules_are_refused(world: World) -> None:
    operator = Operator(world.site, world.site.beta)
    symbols = coded(b"e" * 16, bytes(16)).symbols(0, 64).packed()
    too_few = pb.CodedSymbols(first_index=0, symbols=symbols[:-26])
    misplaced = pb.CodedSymbols(first_index=1, symbols=symbols)
    unasked = pb.ReconcileCopiesRequest(copies=digests([]))
    for turns, field_ in (
        ([unasked], "opening"),
        ([_opens(1), unasked], "symbols"),
        ([_opens(1), _opens(1)], "symbols"),
        ([_opens(1), pb.ReconcileCopiesRequest(symbols=too_few)], "symbols"),
        ([_opens(1), pb.ReconcileCopiesRequest(symbols=misplaced)], "symbols"),
        ([_opens(1)], "symbols"),
    ):
        assert fields_of(await _refused(operator, *turns)) == {field_}


@on_sqlite
async def test_copies_must_be_as_many_as_were_said_and_each_once(world: World) -> None:
    operator = await world.newcomer()
    for _ in range(2):
        await operator.served()
    one, two = operator.copies
    for copies, said in (([one, two], 3), ([one], 2), ([one, two], 1)):
        for told in (attest, reconcile):
            refusal = await refusal_of(told(operator.channel, copies, opened=opening(said)))
            assert fields_of(refusal) == {"opening.copies"}
    twice = await refusal_of(attest(operator.channel, [one, one], opened=opening(2)))
    assert fields_of(twice) == {"copies.copies"}
    nothing = await refusal_of(attest(operator.channel, [one._replace(content_digest=b"")]))
    assert fields_of(nothing) == {"copies.copies[0].content_digest"}


@always_on_postgresql
async def test_an_operator_attests_one_at_a_time_and_a_call_cut_off_leaves_its_turn(
    world: World,
) -> None:
    operator = await world.newcomer()
    call = operator.stub.ReconcileCopies()
    await call.write(_opens(0))
    assert (await call.read()).HasField("terms")
    refusal = await refusal_of(attest(operator.channel, []))
    assert (refusal.reason, refusal.retry_after) == ("RATE_EXCEEDED", 1)
    call.cancel()

    async def left() -> bool:
        try:
            return (await attest(operator.channel, [])).copies == 0
        except grpc.aio.AioRpcError:
            return False

    await eventually(left)


@on_sqlite
async def test_a_refusal_reaches_whoever_is_still_sending(world: World) -> None:
    operator = await world.newcomer()
    copies = [Copy(f"made-up-{number}", sha256(b"x").digest(), 1, 2) for number in range(1_000)]
    sent = pb.AttestCopiesRequest(copies=digests(copies))

    async def requests() -> AsyncIterator[pb.AttestCopiesRequest]:
        yield pb.AttestCopiesRequest(opening=opening(0))
        for _ in range(200):
            yield sent

    for _ in range(examples(20)):
        refusal = await refusal_of(operator.stub.AttestCopies(requests(), timeout=30))
        assert fields_of(refusal) == {"opening.copies"}


async def test_what_is_served_while_an_attestation_is_under_way_is_not_drawn_for_it(
    world: World,
) -> None:
    operator = await world.newcomer()
    attested = {await operator.served() for _ in range(3)}
    held, go = list(operator.copies), asyncio.Event()

    async def requests() -> AsyncIterator[pb.AttestCopiesRequest]:
        yield pb.AttestCopiesRequest(opening=opening(len(held)))
        await go.wait()
        yield pb.AttestCopiesRequest(copies=digests(held))

    call = operator.stub.AttestCopies(requests(), timeout=30)
    await call.initial_metadata()
    for _ in range(5):
        await operator.served()
    go.set()
    assert (await call).attestation.copies == 3
    asked = await operator.stub.ListChallenges(pb.ListChallengesRequest())
    assert {each.record for each in asked.challenges} == attested


@pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True, scope="module")
@pytest.mark.parametrize("part", [100, pytest.param(1, marks=pytest.mark.soak)])
async def test_of_more_faults_than_are_judged_the_rest_is_counted_and_nothing_counts_as_mended(
    world: World, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, listed = judging.MOST_FAULTS // part, comparing.MOST_LISTED // part
    monkeypatch.setattr(judging, "MOST_FAULTS", judged)
    monkeypatch.setattr(matching, "MOST_UNKNOWN", judged)
    for module in (comparing, judging, told_missing):
        monkeypatch.setattr(module, "MOST_LISTED", listed)
    operator = await world.newcomer()
    digest = sha256(b"x").digest()
    (first,) = copies = [Copy("made-up-first", digest, 1, 2)]
    before = await attest(operator.channel, copies)
    assert (before.opened_findings, before.standing_findings) == (1, 1)
    # The copy found before comes last, where it is only counted.
    copies = [*(Copy(f"made-up-{number}", digest, 1, 2) for number in range(judged + 5)), first]
    kept = await attest(operator.channel, copies)
    assert kept.copies == judged + 6 <= kept.standing_findings
    assert (kept.opened_findings, kept.rectified_findings) == (listed - 1, 0)
    assert not kept.certificate
    clean = await attest(operator.channel, [])
    assert (clean.rectified_findings, clean.standing_findings) == (listed, 0)


@pytest.mark.parametrize("shown", [0, 1])
async def test_copies_that_symbols_told_and_are_not_shown_leave_no_attestation(
    world: World, shown: int
) -> None:
    operator = await world.newcomer()
    for _ in range(2):
        await operator.served()
    copies = [_altered(each) for each in operator.copies]

    async def hiding() -> None:
        await reconcile(operator.channel, copies, hidden=2 - shown)

    assert fields_of(await refusal_of(hiding())) == {"opening.copies"}
    answer = await operator.stub.ListAttestations(pb.ListAttestationsRequest())
    assert not answer.attestations
    assert (await reconcile(operator.channel, copies)).standing_findings == 2
