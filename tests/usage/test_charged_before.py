"""That a request was charged before is the gateway's word: it is believed only where it can be."""

from collections.abc import Generator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from creditgate.transparency.linked import UnknownKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.succession import succession_note
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from gateway.cli.failures import CommandFailed
from gateway.cli.receipts import keeping_refused as keeping_refused_here
from gateway.meter.receipts import ReceiptSigner
from sdk.deliveries import Delivery
from sdk.usage import keeping_refused
from sdk.usage_book import UsageBook
from tests.receipts import KEY
from tests.transparency.keys import key_of
from tests.usage.lying import lying
from tests.usage.promises import (
    OPERATOR,
    PRICE,
    REVERSAL,
    SERVED,
    Log,
    answer,
    bytes_of,
    elsewhere,
    promised,
    promised_again,
    record,
    use,
)

RECORDS = [record(3), record(5), record(8)]
AGAIN: dict[str, Any] = {"replayed": True, "charged_micro_yuan": 0, "charged_entries": 0}
UNPROMISED = [("unpromised", 0, 3 * PRICE)]
LEAF = use(0, RECORDS, request_id="mine")


@pytest.fixture
def book(tmp_path: Path) -> Generator[UsageBook]:
    """An empty book."""
    made = UsageBook.begin(tmp_path / "book", OPERATOR, KEY.verifier)
    yield made
    made.close()


def differences(book: UsageBook, *leaves: UsageLeaf) -> list[tuple[str, int, int]]:
    """Return what differs once the log has ``leaves``."""
    log = Log(*leaves)
    book.take(0, log.leaves)
    book.verify(log.note)
    return [(each.kind.value, each.usage_index, each.overcharge) for each in book.differences()]


def test_what_was_sent_once_was_not_charged_before(book: UsageBook) -> None:
    book.sending("mine", SERVED, new=True)
    with pytest.raises(ProofInvalid, match="sent once"):
        book.keep_charged(promised(LEAF)[0], "mine")
    assert differences(book, LEAF) == UNPROMISED


def test_what_was_sent_again_has_its_receipt_with_the_refusal(book: UsageBook) -> None:
    book.sending("mine", SERVED, new=True)
    book.sending("mine", SERVED + 60)
    assert book.keep_charged(promised(LEAF)[0], "mine") == LEAF
    assert differences(book, LEAF) == []


def test_what_was_charged_before_it_was_sent_is_not_believed(book: UsageBook) -> None:
    book.sending("mine", SERVED + 3_600, new=True)
    book.sending("mine", SERVED + 3_660)
    with pytest.raises(ProofInvalid, match="before its request was sent"):
        book.keep_charged(promised(LEAF)[0], "mine")


def test_of_an_id_that_others_may_have_sent_the_receipt_is_kept(book: UsageBook) -> None:
    book.sending("mine", SERVED)
    assert book.keep_charged(promised(LEAF)[0], "mine") == LEAF


OTHERS: dict[str, UsageLeaf] = {
    "another request": use(0, RECORDS, request_id="never-asked"),
    "a credit": use(0, RECORDS, request_id="mine", kind=REVERSAL),
    "another region's records": elsewhere(0, RECORDS, request_id="mine"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_refusal_brings_no_receipt_of(case: str, book: UsageBook) -> None:
    with pytest.raises(ProofInvalid, match="another request"):
        book.keep_charged(promised(OTHERS[case])[0], "mine")
    assert book.held().receipts == 0


def test_a_key_that_comes_to_be_known_makes_nothing_believed(book: UsageBook) -> None:
    second = key_of(f"{KEY.verifier.name}/2")
    (signed,) = ReceiptSigner(second).receipts([bytes_of(LEAF)])
    book.sending("mine", SERVED, new=True)
    with pytest.raises(ProofInvalid, match="sent once"):
        book.keep_charged(UsageReceipt.FromString(signed), "mine")
    book.learn([succession_note(9, bytes(32), second, KEY)])
    assert book.held().receipts == 0


def test_a_retry_that_is_none_promises_nothing_until_it_is_one(book: UsageBook) -> None:
    retried = answer(LEAF, RECORDS, promised_again(LEAF, RECORDS), **AGAIN)
    book.sending("mine", SERVED, new=True)
    with pytest.raises(ProofInvalid, match="sent once"):
        book.keep(retried)
    assert (book.held().receipts, differences(book, LEAF)) == (1, UNPROMISED)
    book.sending("mine", SERVED + 60)
    book.keep(retried)
    assert list(book.differences()) == []


def test_what_is_not_what_came_promises_nothing(book: UsageBook) -> None:
    with pytest.raises(ProofInvalid, match="not those that were charged"):
        book.keep(answer(LEAF, RECORDS[:1], charged_entries=1))
    assert differences(book, LEAF) == UNPROMISED


def test_nor_where_its_key_was_learnt_in_between(book: UsageBook) -> None:
    second = key_of(f"{KEY.verifier.name}/2")
    (signed,) = ReceiptSigner(second).receipts([bytes_of(LEAF)])
    lie = answer(LEAF, RECORDS[:1], UsageReceipt.FromString(signed), charged_entries=1)
    with pytest.raises(UnknownKey):
        book.keep(lie)
    book.learn([succession_note(9, bytes(32), second, KEY)])
    with pytest.raises(ProofInvalid, match="not those that were charged"):
        book.keep(lie)
    assert differences(book, LEAF) == UNPROMISED


def test_it_is_evidence_where_the_log_has_another_charge(book: UsageBook) -> None:
    with pytest.raises(ProofInvalid):
        book.keep(answer(LEAF, RECORDS[:1]))
    dearer = use(0, [*RECORDS, record(9)], request_id="mine")
    assert differences(book, dearer) == [("conflict", 0, PRICE)]


def test_what_was_rightly_charged_stays_promised_whatever_its_retry_is(book: UsageBook) -> None:
    book.keep(answer(LEAF, RECORDS))
    with pytest.raises(ProofInvalid, match="not signed"):
        book.keep(answer(LEAF, RECORDS[:1], promised(use(1), LEAF)[1], **AGAIN))
    assert differences(book, LEAF) == []


async def refusal(channel: grpc.aio.Channel, request_id: str) -> grpc.RpcError:
    """Return the refusal of a request."""
    stub: Any = CreditRecordServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetSubjectRecords(records_pb.GetSubjectRecordsRequest(request_id=request_id))
    return caught.value


async def test_a_refused_call_keeps_no_charge_of_a_request_that_was_sent_once(
    book: UsageBook, tmp_path: Path
) -> None:
    async with lying(Log(LEAF)) as (gateway, channel):
        (gateway.charged,) = promised(LEAF)
        book.sending("mine", SERVED, new=True)
        error = await refusal(channel, "mine")
        with pytest.raises(ProofInvalid, match="sent once"):
            await keeping_refused(channel, book, error, "mine")
        with (
            pytest.raises(CommandFailed, match="sent once"),
            keeping_refused_here(tmp_path / "book", "mine"),
        ):
            raise error
        assert book.held().receipts == 0


async def test_a_delivery_that_is_answered_first_is_no_retry(book: UsageBook) -> None:
    retried = answer(LEAF, RECORDS[:1], promised_again(LEAF, RECORDS[:1]), **AGAIN)
    chunk = records_pb.BatchGetSubjectRecordsResponse(
        records=retried.records,
        receipt=retried.receipt,
        first_subject=0,
        subject_count=1,
        chunk_complete=True,
    )
    request = records_pb.BatchGetSubjectRecordsRequest(
        subjects=["91000000DEM000011A"], request_id="mine"
    )
    async with lying(Log(LEAF)) as (gateway, channel):
        gateway.parts = [chunk]
        with pytest.raises(ProofInvalid, match="sent once"):
            async with aclosing(Delivery(channel, request, book, new=True).records()) as came:
                await anext(came)
        # Whoever takes it up again has sent it twice.
        async with aclosing(Delivery(channel, request, book).records()) as came:
            assert len([record async for each in came for record in each.records]) == 1
