"""One question to all regions: what is passed on is proved, and every region is named (G10)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import delete, update

from creditgate.federated_query import region_request_id
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.region_use import verify_question, verify_region_use
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import verify_receipt
from creditgate.v1.federated_record_service_pb2 import RegionPart
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest, QueryRecordsResponse
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf
from creditgate.v1.usage_service_pb2 import GetUsageProofRequest, ListUsageRequest
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.federation.asking import directories
from gateway.federation.asking.answers import (
    MOST_SKEW_SECONDS,
    Chunk,
    RegionKeys,
    verified_chunk,
)
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.selfcheck.region_uses import check_region_uses
from gateway.settlement.month_use import LedgerMonths
from sdk.federated import ask_regions, query_regions
from sdk.refusals import explain
from sdk.region_receipts import RegionReceipts
from sdk.request_ids import new_request_id
from sdk.tokens import TokenRefused
from sdk.usage import Usage
from sdk.usage_book import UsageBook
from tests.cli.commands import creditgate_here
from tests.federation.asking.lost import withdraw
from tests.federation.asking.world import (
    World,
    closing,
    company,
    ended,
    map_items,
    names,
    not_asked,
    open_world,
    placed,
    question,
)
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PRICE,
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    RESTRICTED_ITEM,
    eventually,
)
from tests.server.calls import draft, publish, query
from tests.server.delivering import key_of
from tests.subject.world import caught_up

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    with pytest.MonkeyPatch.context() as patched:
        # Not to wait for minutes.
        patched.setattr(directories, "_RETRY_SECONDS", 1.0)
        patched.setattr(directories, "REFRESH_SECONDS", 1.0)
        folder = Path(tmp_path_factory.mktemp("asking"))
        async with open_world(folder, chunk_subjects=2) as opened:
            yield opened


async def refused(world: World, *subjects: str, **more: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.ask(*subjects, **more)
    return explain(error.value).reason


async def test_every_region_says_what_it_has_and_the_operator_can_verify_it_again(
    world: World,
) -> None:
    subjects = [company("two"), company("three"), company("two")]
    twos = await world.publish(world.two, subjects[0], 2)
    threes = await world.publish(world.three, subjects[1])
    answer = await world.ask(*subjects)
    assert names(answer, world.two) == twos
    assert names(answer, world.three) == threes
    assert ended(answer, world.two) == ended(answer, world.three) == "ANSWERED"
    assert not answer.unanswered
    for region in (world.two, world.three):
        came = answer.regions[region.entity_id]
        assert {item for item, _ in came.records} == {PUBLIC_ITEM}
        assert closing(answer, region).subjects_answered == 3
        proved = came.verify(subjects, world.key(region))
        assert [each.subject for each in proved] == subjects
    with pytest.raises(ProofInvalid):
        answer.regions[world.two.entity_id].verify(subjects, world.key(world.three))


async def test_a_region_without_records_proves_that_it_has_none(world: World) -> None:
    subject = company("two")
    answer = await world.ask(subject)
    assert ended(answer, world.two) == ended(answer, world.three) == "EMPTY"
    (proved,) = answer.regions[world.two.entity_id].verify([subject], world.key(world.two))
    assert proved.subject == subject
    assert not proved.withheld


async def test_an_operator_cannot_use_up_what_a_region_is_charged_by(world: World) -> None:
    subject, request_id = company("two"), new_request_id()
    await world.publish(world.two, subject, 3)
    charged_by = region_request_id(OPERATOR_ID, request_id, world.two.entity_id)
    async with world.one.gateway.channel(OPERATOR_CLIENT) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await query(channel, company("three"), request_id=charged_by)
    assert explain(caught.value).reason == "INVALID_REQUEST"
    answer = await world.ask(subject, request_id=request_id)
    assert closing(answer, world.two).charged_micro_yuan == 3 * PRICE


async def test_both_ends_meter_what_crosses_and_a_retry_charges_nothing_more(
    world: World,
) -> None:
    subject = company("two")
    await world.publish(world.two, subject, 3)
    asked = question([subject])
    first = await world.ask(subject, request_id=asked.request_id)
    again = await world.ask(subject, request_id=asked.request_id)
    charged = closing(first, world.two)
    assert charged.charged_micro_yuan == 3 * PRICE
    assert closing(again, world.two).charged_micro_yuan == 0
    assert names(again, world.two) == names(first, world.two)
    assert charged.decision == closing(again, world.two).decision
    (part,) = first.regions[world.two.entity_id].parts
    there = verify_receipt(
        part.answer.chunk.receipt.usage,
        RegionKeys.of(_log_keys(world)).usage,
    )
    kept = world.uses.answers(world.two.entity_id, there.serve_seconds, there.serve_seconds + 1)
    (answer,) = [each for each in kept if each.request_id == asked.request_id]
    assert answer.region_fee == there.fee_micro_yuan == 3 * PRICE
    assert answer.region_request_id == there.request_id
    assert answer.region_request_id == region_request_id(
        "alpha", asked.request_id, world.two.entity_id
    )
    assert [use.fee for use in world.uses.uses(answer)] == [PRICE] * 3
    assert charged.decision == f"decisions/{answer.decision_id}"


async def test_a_chunk_of_any_number_of_records_is_believed_and_given_again(
    world: World,
) -> None:
    # Past what details of receipts were once cut at, 4,096 records.
    subject = company("two")
    published = await world.publish(world.two, subject, 4_100)
    asked = question([subject], regions=[world.two.entity_id])
    answer = await world.ask(subject, request_id=asked.request_id)
    assert ended(answer, world.two) == "ANSWERED"
    assert sorted(names(answer, world.two)) == sorted(published)
    assert closing(answer, world.two).charged_micro_yuan == 4_100 * PRICE
    again = await world.ask(subject, request_id=asked.request_id)
    assert len(names(again, world.two)) == 4_100
    assert closing(again, world.two).charged_micro_yuan == 0
    # What regions are told that they were charged, where some of it ended meanwhile.
    await withdraw(world, published[0])
    await eventually(partial(_given, world, subject, asked.request_id, 4_099))
    engines = world.one.installation.engines
    assert await asyncio.to_thread(check_region_uses, engines) == []


async def _given(world: World, subject: str, request_id: str, records: int) -> bool:
    answer = await world.ask(subject, request_id=request_id)
    return len(names(answer, world.two)) == records


async def test_nothing_of_an_answer_can_be_changed_without_being_found_out(world: World) -> None:
    subjects = [company("two"), company("two")]
    for subject in subjects:
        await world.publish(world.two, subject, 2)
    asked = question(subjects)
    answer = await world.ask(*subjects, request_id=asked.request_id)
    (part,) = answer.regions[world.two.entity_id].parts
    query = QueryRecordsRequest(
        asking_region=world.one.entity_id,
        subjects=subjects,
        items=[PUBLIC_ITEM],
        purpose=PURPOSE,
        request_id=region_request_id("alpha", asked.request_id, world.two.entity_id),
    )
    keys = RegionKeys.of(_log_keys(world))
    now = part.answer.chunk.receipt.serve_time.seconds

    def verified(
        data: bytes, asked: QueryRecordsRequest = query, number: int = 0, at: int = now
    ) -> Chunk:
        parts = [strictly(QueryRecordsResponse, data)]
        return verified_chunk(asked, "", parts, keys, number, at)

    whole = part.answer.SerializeToString(deterministic=True)
    chunk = verified(whole)
    assert [record.subject for record in chunk.records] == [*subjects[:1] * 2, *subjects[1:] * 2]
    assert chunk.price(chunk.records[0]) == PRICE
    signed = QueryRecordsResponse(chunk=part.answer.chunk).SerializeToString(deterministic=True)
    rng = Random(7)
    for _ in range(300):
        at = rng.randrange(len(signed))
        changed = bytearray(signed)
        changed[at] ^= 1 << rng.randrange(8)
        with pytest.raises(ProofInvalid):
            verified(bytes(changed))
    other, elsewhere = QueryRecordsRequest(), QueryRecordsRequest()
    other.CopyFrom(query)
    other.subjects.reverse()
    elsewhere.CopyFrom(query)
    elsewhere.asking_region = world.three.entity_id
    for wrong in (
        lambda: verified(whole, other),
        lambda: verified(whole, elsewhere),
        lambda: verified(whole, query, number=1),
        lambda: verified(whole, query, at=now + MOST_SKEW_SECONDS + 1),
    ):
        with pytest.raises(ProofInvalid):
            wrong()


async def test_the_operator_gets_a_receipt_of_its_own_gateway(world: World) -> None:
    subject = company("two")
    await world.publish(world.two, subject, 2)
    answer = await world.ask(subject)
    (part,) = answer.regions[world.two.entity_id].parts
    receipt = part.receipt
    assert (receipt.charged_entries, receipt.charged_micro_yuan) == (2, 2 * PRICE)
    assert receipt.usage.leaf
    leaf = UsageLeaf.FromString(receipt.usage.leaf)
    assert leaf.kind == UsageKind.USAGE_KIND_ANSWER
    assert leaf.operator_id == "alpha"
    assert [(line.item, line.region, line.entries) for line in leaf.lines] == [
        (PUBLIC_ITEM, "000002", 2)
    ]


async def test_whatever_use_of_another_region_is_listed_is_proved_by_its_name(world: World) -> None:
    subject, request_id = company("two"), new_request_id()
    published = await world.publish(world.two, subject, 2)
    await world.ask(subject, request_id=request_id)
    async with world.one.gateway.channel(OPERATOR_CLIENT) as channel:
        stub = UsageServiceStub(channel)
        used = (await stub.ListUsage(ListUsageRequest(request_id=request_id))).entries
        assert [each.record for each in used] == published
        assert {each.request_id for each in used} == {request_id}
        for entry in used:
            answer = await stub.GetUsageProof(GetUsageProofRequest(name=entry.name))
            leaf = strictly(UsageLeaf, answer.leaf)
            assert leaf.decision_id == entry.decision_id
            assert leaf.request_id == entry.region_request_id
        use, _, _ = used[0].name.rpartition("-")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetUsageProof(GetUsageProofRequest(name=f"{use}-2"))
    assert explain(caught.value).reason == "RESOURCE_NOT_FOUND"


async def test_what_is_kept_of_other_regions_is_checked_against_receipts_and_ledger(
    world: World,
) -> None:
    subject = company("two")
    await world.publish(world.two, subject, 2)
    await world.ask(subject)
    engines = world.one.installation.engines

    async def faults() -> Sequence[object]:
        # The regions go on meanwhile: who looks at all that was kept takes seconds.
        return await asyncio.to_thread(check_region_uses, engines)

    assert await faults() == []
    kept = [REGION_ANSWERS.c.region_fee, REGION_ANSWERS.c.own_fee, REGION_ANSWERS.c.records]
    for column in (*kept, REGION_USES.c.fee, REGION_USES.c.own_fee):
        for change in (1, -1):
            with engines.records.begin() as connection:
                connection.execute(update(column.table).values({column.name: column + change}))
            assert bool(await faults()) == (change == 1)
    with engines.records.begin() as connection:
        gone = connection.execute(delete(REGION_USES).where(REGION_USES.c.subject == subject))
        assert gone.rowcount == 2
    assert await faults()
    with engines.records.begin() as connection:
        connection.execute(delete(REGION_USES))
        connection.execute(delete(REGION_ANSWERS))
    assert await faults()


async def test_a_month_has_what_is_charged_for_records_of_other_regions(world: World) -> None:
    subject = company("three")
    await world.publish(world.three, subject, 4)
    before = _statement(world)
    assert ended(await world.ask(subject), world.three) == "ANSWERED"
    assert _statement(world) - before == 4 * PRICE


async def test_a_batch_comes_in_verified_chunks_as_they_are_ready(world: World) -> None:
    subjects = [company("two") for _ in range(5)]
    for subject in subjects:
        await world.publish(world.two, subject)
    steps: list[str] = []
    async with world.one.gateway.channel() as channel:
        asked = question(subjects)
        async with aclosing(query_regions(channel, asked)) as answers:
            async for step in answers:
                steps.append(step.WhichOneof("step") or "")
                if step.HasField("part") and step.part.region == world.two.entity_id:
                    assert len(step.part.items) == step.part.answer.chunk.subject_count
    assert steps[:3] == ["question", "plan", "plan"]
    assert steps.count("part") == 6
    assert steps.count("closing") == 2


async def test_a_region_whose_items_are_not_mapped_is_not_asked(world: World) -> None:
    async def unmapped() -> bool:
        answer = await world.ask(company("two"))
        return ended(answer, world.three) == "NOT_ASKED"

    async def mapped() -> bool:
        return not await unmapped()

    try:
        map_items(world.one, world.three, {CONSENT_ITEM: CONSENT_ITEM})
        await eventually(unmapped)
        answer = await world.ask(company("two"))
        assert not_asked(answer, world.three) == "ITEMS_UNMAPPED"
        assert world.three.entity_id in answer.unanswered
        assert ended(answer, world.two) == "EMPTY"
    finally:
        map_items(world.one, world.three)
        # The gateway hears of it, before other tests ask.
        await eventually(mapped)


async def test_a_subject_is_asked_about_at_home_and_where_a_directory_may_have_it(
    world: World,
) -> None:
    async def routed() -> bool:
        # Another company each time: a directory answers yes of one in forty of whom there is
        # nothing, and would of the same one for as long as its key stays.
        nonlocal answer
        answer = await world.ask(company("two"), every_region=False)
        return ended(answer, world.three) == "NOT_ASKED"

    answer = await world.ask(company("two"), every_region=False)
    await eventually(routed, 20)
    assert not_asked(answer, world.three) == "NO_SUBJECT"
    assert answer.regions[world.three.entity_id].plan.HasField("directory_time")
    assert ended(answer, world.two) == "EMPTY"
    assert not answer.unanswered


async def test_only_the_regions_named_are_asked(world: World) -> None:
    subject = company("two")
    answer = await world.ask(subject, regions=[world.three.entity_id])
    assert not_asked(answer, world.two) == "NOT_NAMED"
    assert ended(answer, world.three) == "EMPTY"
    unknown = await world.ask(subject, regions=["https://nowhere.invalid"])
    (strange,) = [
        each.closing for name, each in unknown.regions.items() if name.endswith(".invalid")
    ]
    assert strange is not None
    assert strange.refusal == 47


async def test_what_the_operator_may_not_have_is_refused_before_any_region_is_asked(
    world: World,
) -> None:
    subject = company("two")
    assert await refused(world, subject, items=[RESTRICTED_ITEM]) == "ITEM_RESTRICTED"
    assert await refused(world, subject, items=[CONSENT_ITEM]) == "CONSENT_REQUIRED"
    assert await refused(world, subject, items=["unknown"]) == "ITEM_NOT_ALLOWED"
    assert await refused(world, subject, purpose=6) == "PURPOSE_NOT_ALLOWED"
    assert await refused(world, subject, subject) == "INVALID_REQUEST"
    assert await refused(world, items=[PUBLIC_ITEM]) == "INVALID_REQUEST"


async def test_a_question_rests_on_one_licence_or_is_refused(world: World) -> None:
    installation, subject = world.one.installation, company("two")
    installation.license("several", "L-several-1", items=[PUBLIC_ITEM], quota=5)
    installation.license("several", "L-several-2", items=[CONSENT_ITEM])
    installation.enrol("several-one", ClientRole.CLIENT_ROLE_OPERATOR, "several")
    asking: dict[str, Any] = {"client_id": "several-one"}

    async def answered(licence: str) -> bool:
        try:
            answer = await world.ask(subject, **asking)
        except TokenRefused:
            return False
        leaf = UsageLeaf.FromString(answer.question.usage.leaf)
        return leaf.licence == licence and ended(answer, world.two) == "EMPTY"

    await eventually(lambda: answered("L-several-1"), 10)
    both = asking | {"items": [PUBLIC_ITEM, CONSENT_ITEM]}
    assert await refused(world, subject, **both) == "ITEM_NOT_ALLOWED"
    # Of two that open it all, the one with the larger quota.
    installation.license("several", "L-several-3", items=[PUBLIC_ITEM], quota=500)
    await eventually(lambda: answered("L-several-3"), 10)
    installation.license("several", "L-several-4", items=[PUBLIC_ITEM, CONSENT_ITEM], quota=1)
    await caught_up()
    assert await refused(world, subject, **both) == "CONSENT_REQUIRED"


async def test_a_request_id_is_for_one_question(world: World) -> None:
    subject = company("two")
    await world.ask(subject, request_id="the-same")
    assert await refused(world, company("two"), request_id="the-same") == "REQUEST_ID_REUSED"


async def test_a_region_that_the_anchor_cuts_off_is_named_and_answers_no_more(
    world: World,
) -> None:
    subject = company("three")
    await world.publish(world.three, subject)
    world.anchor.cut_off(world.three.entity_id)
    try:

        async def gone() -> bool:
            return ended(await world.ask(subject), world.three) == "REFUSED"

        assert await eventually(gone, 5) < 2
        answer = await world.ask(subject)
        assert closing(answer, world.three).refusal == 47
        assert world.three.entity_id in answer.unanswered
        assert ended(answer, world.two) == "EMPTY"
    finally:
        world.anchor.restore(world.three.entity_id)

    async def back() -> bool:
        return ended(await world.ask(subject), world.three) == "ANSWERED"

    await eventually(back, 20)


async def test_a_receipt_book_has_all_that_is_charged_for_asking_and_nothing_differs(
    world: World, tmp_path: Path
) -> None:
    book = UsageBook.begin(tmp_path / "book", "alpha", key_of(world.one.installation))
    subjects = [company("two") for _ in range(3)]
    for subject in subjects:
        await world.publish(world.two, subject, 2)
    home = world.one.installation.home
    query = ("query", subjects[0], "--purpose", "supplier-check", "--item", PUBLIC_ITEM)
    async with world.one.gateway.channel() as channel:
        usage = Usage(channel)
        asked = question(subjects)
        answer = await ask_regions(channel, asked, RegionReceipts(book, asked.request_id))
        again = await ask_regions(channel, asked, RegionReceipts(book, asked.request_id))
        profile = ("--profile", home.profile("alpha-one"), "--book", str(tmp_path / "book"))
        only = ("--only", world.two.entity_id)
        done = await asyncio.to_thread(creditgate_here, home.root, *query, *only, *profile)
        assert not done.status, done.out

        # What was asked before has its receipts elsewhere.
        earlier = UsageLeaf.FromString(answer.question.usage.leaf).usage_index

        async def logged() -> bool:
            return await usage.follow(book) >= earlier + book.held().receipts

        await eventually(logged, 20)
    assert again.question.replayed
    assert answer.question.usage.leaf == again.question.usage.leaf
    # A question and two chunks of each of two regions; then a question and a chunk of one.
    assert book.held().receipts == 5 + 2
    assert [each for each in book.differences() if each.usage_index >= earlier] == []
    charged = [UsageLeaf.FromString(leaf) for leaf in book.leaves()][earlier:]
    assert sum(leaf.fee_micro_yuan for leaf in charged) == (6 + 2) * PRICE
    first, *_ = answer.regions[world.two.entity_id].parts
    with pytest.raises(ProofInvalid, match="not those that were charged"):
        verify_region_use([_of_item(first, "another")], book.key)
    with pytest.raises(ProofInvalid, match="another charge"):
        verify_region_use([_without_records(first)], book.key)
    with pytest.raises(ProofInvalid, match="a question is charged"):
        verify_question(first.receipt, book.key)
    book.close()


def _of_item(part: RegionPart, item: str) -> RegionPart:
    other = RegionPart()
    other.CopyFrom(part)
    other.items[0] = item
    return other


def _without_records(part: RegionPart) -> RegionPart:
    other = RegionPart()
    other.CopyFrom(part)
    del other.items[:]
    del other.answer.chunk.records[:]
    return other


async def test_the_command_line_asks_regions_and_shows_how_each_ended(world: World) -> None:
    subject = company("two")
    kept = await world.publish(world.two, subject)
    home = world.one.installation.home
    query = ("query", subject, "--purpose", "supplier-check", "--item", PUBLIC_ITEM)
    profile = ("--profile", home.profile("alpha-one"))
    done = await asyncio.to_thread(
        creditgate_here, home.root, *query, "--regions", *profile, "--json"
    )
    told = {each["plan"]["region"]: each for each in done.json["regions"]}
    assert [each["record"]["name"] for each in told[world.two.entity_id]["records"]] == kept
    assert told[world.two.entity_id]["closing"]["outcome"] == "REGION_OUTCOME_ANSWERED"
    shown = await asyncio.to_thread(creditgate_here, home.root, *query, "--regions", *profile)
    assert "ANSWERED" in shown.out
    assert world.two.entity_id in shown.out.replace("\n", "")
    wrong = await asyncio.to_thread(
        creditgate_here, home.root, *query, "--regions", "--proof", "complete", *profile
    )
    assert wrong.status == 1


def _statement(world: World) -> int:
    """Return what alpha owes for its use of the asking region, before terms of prices."""
    now = world.one.installation.clock.now()
    months = LedgerMonths(world.one.installation.engines.records)

    def price_class_of(item: str, at: int) -> str:
        del item, at
        return "adverse"

    use = months.month_use("alpha", (now - 86_400,), now + 86_400, price_class_of)
    return sum(part.records * part.unit_price for part in use.parts)


def _log_keys(world: World) -> dict[str, str]:
    history = world.one.installation.log.history(
        kind="region", id=world.two.client_id, after=0, limit=100
    )
    return dict(history[-1].document["log_keys"])  # type: ignore[call-overload]


async def test_a_region_is_empty_only_where_it_proves_that_there_is_nothing(world: World) -> None:
    installation = world.one.installation
    installation.license("narrow", "L-NARROW", regions=["000003"])
    installation.enrol("narrow-one", ClientRole.CLIENT_ROLE_OPERATOR, "narrow")
    await eventually(partial(_enrolled, world, "narrow-one"), 10)
    subject = company("three")
    publisher = await world.channels.of(world.three.gateway, PUBLISHER)
    await publish(publisher, [placed(draft(f"x-{subject}", subject), "000001")])

    answer = await world.ask(subject, client_id="narrow-one")

    closed = closing(answer, world.three)
    assert (ended(answer, world.three), closed.records) == ("ANSWERED", 0)
    assert (closed.complete, closed.withheld_records) == (False, 1)
    assert world.three.entity_id in answer.unanswered
    empty = await world.ask(company("three"), client_id="narrow-one")
    assert (ended(empty, world.three), closing(empty, world.three).complete) == ("EMPTY", True)
    assert world.three.entity_id not in empty.unanswered


async def _enrolled(world: World, client_id: str) -> bool:
    try:
        async with world.one.gateway.channel(client_id):
            return True
    except TokenRefused:
        return False
