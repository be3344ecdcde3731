"""Every answer brings the signed receipt of its use, which says what was served."""

from hashlib import sha256

from creditgate.v1 import credit_record_service_pb2 as pb
from gateway.meter.model import pack_entries
from tests.meter.world import company
from tests.receipts import verified
from tests.respond.world import PRICE, World, record


def digest(answer: pb.GetSubjectRecordsResponse | pb.GetRecordResponse) -> bytes:
    """Return the digest of an answer's records, as its receiver makes it."""
    return sha256(b"".join(each.SerializeToString() for each in answer.records)).digest()


async def test_receipt_of_a_unary_call_says_what_was_served(world: World) -> None:
    sequences = world.publish(record("a"), record("b", content=b'{"about":"%s"}' % (b"x" * 200)))
    for answer, served in (
        (await world.ask(1, request_id="r-1"), sequences),
        (await world.get("b", request_id="r-2"), sequences[1:]),
        (await world.ask(2, request_id="r-3"), []),
    ):
        leaf = verified(answer.receipt.usage)
        assert leaf.records_digest == digest(answer)
        assert leaf.revisions == pack_entries(served)
        assert [each.event_sequence for each in answer.records] == served
        assert leaf.decision_id == answer.receipt.decision_id
        assert leaf.serve_seconds == answer.receipt.serve_time.seconds
        assert leaf.fee_micro_yuan == answer.receipt.charged_micro_yuan == PRICE * len(served)
        assert sum(line.entries for line in leaf.lines) == answer.receipt.charged_entries


async def test_retry_brings_the_receipt_of_the_first_answer(world: World) -> None:
    world.publish(record("a"), record("b"))
    first = await world.ask(1, request_id="same")
    again = await world.ask(1, request_id="same")
    assert again.receipt.replayed
    assert again.receipt.charged_micro_yuan == 0
    assert verified(again.receipt.usage) == verified(first.receipt.usage)


async def test_receipt_of_a_chunk_comes_with_its_last_part(world: World) -> None:
    content = b'{"about":"%s"}' % (b"x" * 2_500)
    world.publish(*(record(f"{i}", 1, content=content) for i in range(8)), record("other", 5))
    messages = await world.batch(range(1, 7), request_id="r-1")
    *parts, last, next_chunk = messages
    assert parts
    assert not any(part.receipt.HasField("usage") for part in parts)
    first, second = verified(last.receipt.usage), verified(next_chunk.receipt.usage)
    assert (first.chunk, second.chunk) == (0, 1)
    assert second.usage_index == first.usage_index + 1
    served = [each.event_sequence for part in (*parts, last) for each in part.records]
    assert first.revisions == pack_entries(served)
    # What each revision is, is in the disclosure log.
    assert first.records_digest == b""
    assert [each.subject for each in next_chunk.records] == [company(5)]
