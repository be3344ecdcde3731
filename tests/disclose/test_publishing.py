"""Batches are committed once, whole, and told what became of each record."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from creditgate.refusal import Refused
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.disclose.model import Batch
from gateway.disclose.store import DISCLOSURE_LOCK
from operators.log import Draft
from operators.model import CLIENT
from tests.catalogue.drafts import DAY, NOW, credit_code, national, penalty, registration
from tests.disclose.world import PUBLISHER, SITE, World, batch, counts, reason_of

SUBJECT = credit_code(1)


def told(answer: pb.PublishRecordsResponse) -> list[tuple[str, int, str, str, str]]:
    """Return the rejections without their descriptions."""
    return [(r.batch_id, r.index, r.record_id, r.field, r.reason) for r in answer.rejections]


async def test_published_record_is_found_with_the_bytes_published(world: World) -> None:
    draft = penalty("p-1", fine_fen=100)
    answer = await world.publish(batch("b-1", draft, registration("r-1")))
    assert counts(answer) == (1, 0, 2, 0, 0)
    assert answer.disclosure_sequence == 2
    found = await world.lookup.of_subject(SUBJECT)
    assert found.head == 2
    response = GetSubjectRecordsResponse.FromString(b"".join(world.served(found)))
    first, second = response.records
    assert (first.name, second.name) == ("records/p-1", "records/r-1")
    assert (first.content, first.revision, first.event_sequence) == (draft.content, 1, 1)
    assert first.disclosed_until == draft.disclosed_until
    assert not second.HasField("disclosed_until")


async def test_feed_sent_again_changes_nothing_and_tells_the_same(world: World) -> None:
    batches = [
        batch("b-1", penalty("p-1"), registration("r 1")),
        batch("b-2", penalty("p-2"), penalty("p-1")),
    ]
    first = await world.publish(*batches)
    assert counts(first) == (2, 0, 2, 1, 1)
    again = await world.publish(*batches)
    assert counts(again) == (0, 2, 0, 3, 1)
    assert told(again) == told(first) == [("b-1", 1, "r 1", "record_id", "RECORD_ID_INVALID")]
    assert again.disclosure_sequence == first.disclosure_sequence == 2


async def test_feed_sent_again_waits_for_no_writer(world: World) -> None:
    sent = batch("b-1", penalty("p-1"))
    await world.publish(sent)
    with world.engines.records.begin() as writing:
        if writing.dialect.name == "postgresql":
            writing.execute(text(f"SELECT pg_advisory_xact_lock({DISCLOSURE_LOCK})"))
        answer = await asyncio.wait_for(world.publish(sent), 5)
    assert counts(answer) == (0, 1, 0, 1, 0)


async def test_broken_feed_is_resumed_by_sending_it_again(world: World) -> None:
    batches = [batch(f"b-{n}", penalty(f"p-{n}")) for n in range(4)]

    async def broken() -> AsyncIterator[pb.PublishRecordsRequest]:
        yield batches[0]
        yield batches[1]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await world.service.publish_records(broken(), PUBLISHER)
    assert world.store.head() == 2
    assert counts(await world.publish(*batches)) == (2, 2, 2, 2, 0)
    assert len((await world.lookup.of_subject(SUBJECT)).revisions) == 4


async def test_batch_is_committed_before_the_next_is_read(world: World) -> None:
    heads: list[int] = []

    async def watched() -> AsyncIterator[pb.PublishRecordsRequest]:
        for number in range(3):
            heads.append(await asyncio.to_thread(world.store.head))
            yield batch(f"b-{number}", penalty(f"p-{number}"))

    await world.service.publish_records(watched(), PUBLISHER)
    assert heads == [0, 1, 2]


async def test_batch_id_with_other_records_is_refused(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1")))
    with pytest.raises(Refused) as refusal:
        await world.publish(batch("b-0", penalty("p-0")), batch("b-1", penalty("p-2")))
    assert reason_of(refusal) == "REQUEST_ID_REUSED"
    assert world.store.head() == 2
    with pytest.raises(Refused) as refusal:
        world.store.commit_batch(Batch(SITE, "b-1", b"other", (), ()), NOW)
    assert reason_of(refusal) == "REQUEST_ID_REUSED"


async def test_batch_ids_of_two_publishers_do_not_meet(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1")))
    assert world.store.earlier_outcome("another", "b-1", b"other") is None
    assert not world.store.commit_batch(Batch("another", "b-1", b"other", (), ()), NOW).skipped


async def test_disclosed_id_with_another_record_is_rejected(world: World) -> None:
    minor = penalty("m-1", days=91, severity=Severity.SEVERITY_MINOR)
    await world.publish(batch("b-1", penalty("p-1"), minor))
    others = [
        penalty("m-1", days=91, severity=Severity.SEVERITY_GENERAL),
        penalty("p-1", fine_fen=1),
        penalty("p-1", days=201),
        penalty("p-1", subject=credit_code(2)),
        penalty("p-1", severity=Severity.SEVERITY_SERIOUS, days=400),
        registration("p-1"),
    ]
    answer = await world.publish(batch("b-2", *others, penalty("p-1")))
    assert counts(answer) == (1, 0, 0, 1, 6)
    assert {(field, reason) for *_, field, reason in told(answer)} == {
        ("record_id", "RECORD_DIFFERS")
    }


async def test_id_named_twice_in_a_batch_is_disclosed_once(world: World) -> None:
    answer = await world.publish(
        batch("b-1", penalty("p-1"), penalty("p-1"), penalty("p-1", fine_fen=1))
    )
    assert counts(answer) == (1, 0, 1, 1, 1)
    assert told(answer) == [("b-1", 2, "p-1", "record_id", "RECORD_DIFFERS")]


async def test_ended_record_does_not_enter_again(world: World) -> None:
    await world.publish(batch("b-1", penalty("p-1"), penalty("p-2")))
    await world.repair("p-1", 1)
    await world.withdraw("p-2", 1)
    answer = await world.publish(batch("b-2", penalty("p-1"), penalty("p-2", fine_fen=1)))
    assert [reason for *_, reason in told(answer)] == ["RECORD_ENDED", "RECORD_ENDED"]
    assert not (await world.lookup.of_subject(SUBJECT)).revisions


async def test_rejections_are_told_by_place_and_only_the_first_thousand(world: World) -> None:
    bad = [penalty(f"p-{n}", fine_fen=-1 if n else 1) for n in range(5)]
    for draft in bad[1:]:
        draft.region = "1"
    many = [registration("r" * 300 if n == 0 else f"r-{n}", name=7) for n in range(1_200)]
    answer = await world.publish(batch("b-1", *bad), batch("b-2", *many))
    assert counts(answer) == (2, 0, 1, 0, 1_204)
    assert len(answer.rejections) == 1_000
    assert [r.index for r in answer.rejections[:4]] == [1, 2, 3, 4]
    assert answer.rejections[4].record_id == "r" * 128
    assert answer.rejections[4].description


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.PublishRecordsRequest(), ["batch_id"]),
        (pb.PublishRecordsRequest(batch_id="a b"), ["batch_id"]),
        (pb.PublishRecordsRequest(batch_id="é"), ["batch_id"]),
        (pb.PublishRecordsRequest(batch_id="b" * 129), ["batch_id"]),
        (batch("b", *[pb.RecordDraft()] * 5_001), ["records"]),
        (batch("b", pb.RecordDraft(content=bytes(3 << 20))), ["records"]),
    ],
)
async def test_malformed_batch_is_refused(
    world: World, request_: pb.PublishRecordsRequest, fields: list[str]
) -> None:
    with pytest.raises(Refused) as refusal:
        await world.publish(batch("good", penalty("p-1")), request_)
    assert [violation.field for violation in refusal.value.violations] == fields
    assert world.store.head() == 1


async def test_largest_batch_is_taken(world: World) -> None:
    drafts = [penalty(f"p-{n}", subject=credit_code(n)) for n in range(5_000)]
    answer = await world.publish(batch("b" * 128, *drafts))
    assert counts(answer) == (1, 0, 5_000, 0, 0)
    assert answer.disclosure_sequence == 5_000


async def test_publisher_removed_while_it_waits_for_its_turn_publishes_nothing(
    world: World,
) -> None:
    def removed() -> None:
        raise Refused(RefusalReason.REFUSAL_REASON_CLIENT_NOT_ACTIVE, "Removed.")

    made = Batch(SITE, "b-1", b"digest", (), ())
    with pytest.raises(Refused):
        world.store.commit_batch(made, NOW, permit=removed)
    assert world.store.earlier_outcome(SITE, "b-1", b"digest") is None


async def test_publisher_removed_meanwhile_publishes_nothing_more(world: World) -> None:
    async def until_removed() -> AsyncIterator[pb.PublishRecordsRequest]:
        yield batch("b-1", penalty("p-1"))
        client = world.feed.current().authority.clients[SITE]
        removed = client.model_copy(update={"removed_at": NOW})
        world.append([Draft(CLIENT, SITE, client.version, removed.as_document())])
        await world.feed.refresh()
        yield batch("b-2", penalty("p-2"))

    with pytest.raises(Refused) as refusal:
        await world.service.publish_records(until_removed(), PUBLISHER)
    assert reason_of(refusal) == "CLIENT_NOT_ACTIVE"
    assert world.store.head() == 1


async def test_changed_catalogue_judges_the_next_batch(world: World) -> None:
    async def across() -> AsyncIterator[pb.PublishRecordsRequest]:
        yield batch("b-1", registration("r-1"))
        item = national()["registration.enterprise"].model_copy(update={"sources": ("他局",)})
        world.append([Draft(CATALOGUE_ITEM, item.code, 1, item.as_document())])
        await world.feed.refresh()
        yield batch("b-2", registration("r-2"))

    answer = await world.service.publish_records(across(), PUBLISHER)
    assert told(answer) == [("b-2", 0, "r-2", "source", "SOURCE_NOT_LISTED")]


async def test_expired_and_future_records_enter_but_are_not_served(world: World) -> None:
    past, future = penalty("past"), penalty("future")
    past.disclosed_from.seconds -= 250 * DAY
    past.disclosed_until.seconds = NOW
    future.disclosed_from.seconds = NOW + 1
    answer = await world.publish(batch("b-1", past, future))
    assert counts(answer) == (1, 0, 2, 0, 0)
    assert not world.served(await world.lookup.of_subject(SUBJECT))
    world.clock.at += 1
    (frame,) = world.served(await world.lookup.of_subject(SUBJECT))
    (record,) = GetSubjectRecordsResponse.FromString(frame).records
    assert record.name == "records/future"


async def test_content_of_the_greatest_size_is_served_unchanged(world: World) -> None:
    long = "字" * 1_999
    draft = penalty("p-1", facts="\t\n" + "😀" * 3_900, legal_basis=long, penalty=long)
    assert len(draft.content) > 25_000
    await world.publish(batch("b-1", draft))
    (frame,) = world.served(await world.lookup.of_subject(SUBJECT))
    (record,) = GetSubjectRecordsResponse.FromString(frame).records
    assert record.content == draft.content
