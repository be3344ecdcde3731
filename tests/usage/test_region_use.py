"""What was charged for other regions' records is what came, of retries as well."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from creditgate.federated_query import region_request_id
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.region_use import verify_region_use
from creditgate.transparency.usage import records_digest
from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsResponse, Receipt
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federated_record_service_pb2 import (
    QueryRegionsResponse,
    RegionClosing,
    RegionPart,
)
from creditgate.v1.federation_service_pb2 import QueryRecordsResponse
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from gateway.meter.receipts import again as made_again
from sdk.region_receipts import RegionReceipts
from sdk.usage_book import UsageBook
from tests.receipts import KEY, RECEIPTS
from tests.usage.promises import (
    OPERATOR,
    PRICE,
    SERVED,
    answer,
    bytes_of,
    elsewhere,
    promised,
    promised_again,
    record,
    use,
)

RECORDS = [record(number, "two-penalty") for number in (3, 5, 8)]
THERE = use(40, RECORDS)
"""What the region charged for them."""
AGAIN: dict[str, Any] = {"replayed": True, "charged_micro_yuan": 0, "charged_entries": 0}


def part(
    leaf: UsageLeaf,
    records: Sequence[DisclosedRecord],
    there: Receipt | None = None,
    items: Sequence[str] | None = None,
    **receipt: Any,
) -> RegionPart:
    """Return a chunk with ``records``, charged here by ``leaf``."""
    chunk = BatchGetSubjectRecordsResponse(
        records=records, receipt=there or answer(THERE, RECORDS).receipt, chunk_complete=True
    )
    return RegionPart(
        region="https://two.example",
        answer=QueryRecordsResponse(chunk=chunk),
        items=["penalty"] * len(records) if items is None else items,
        receipt=answer(leaf, records, **receipt).receipt,
    )


def given_again(records: Sequence[DisclosedRecord] = RECORDS) -> Receipt:
    """Return the region's receipt of a retry."""
    return answer(THERE, records, **AGAIN).receipt


def test_a_chunk_is_charged_as_the_records_and_items_that_came() -> None:
    leaf = elsewhere(7, RECORDS)
    assert verify_region_use([part(leaf, RECORDS)], KEY.verifier) == leaf
    for items in (["honour", "penalty", "penalty"], ["penalty"]):
        with pytest.raises(ProofInvalid, match=r"were charged|item of each"):
            verify_region_use([part(leaf, RECORDS, items=items)], KEY.verifier)
    unsigned = elsewhere(7, RECORDS, records_digest=records_digest(RECORDS))
    with pytest.raises(ProofInvalid, match="not those that were charged"):
        verify_region_use([part(unsigned, RECORDS)], KEY.verifier)


@pytest.mark.parametrize("more", [{}, {"records_digest": bytes(32)}])
def test_a_first_answer_charged_tenfold_is_no_retry_because_it_says_so(
    more: dict[str, Any],
) -> None:
    leaf = elsewhere(7, RECORDS * 10, **more)
    with pytest.raises(ProofInvalid, match="other records than"):
        verify_region_use([part(leaf, RECORDS, **AGAIN)], KEY.verifier)
    # Nor if the region repeats what it has given.
    with pytest.raises(ProofInvalid, match="that its region gives"):
        verify_region_use([part(leaf, RECORDS, given_again(), **AGAIN)], KEY.verifier)


def test_a_retry_lacks_what_its_region_charged_and_has_no_more() -> None:
    leaf = elsewhere(7, RECORDS)
    for left in (RECORDS, RECORDS[1:], []):
        made = part(leaf, left, given_again(left), **AGAIN)
        assert verify_region_use([made], KEY.verifier) == leaf
    # Charged before items were signed.
    earlier = elsewhere(7, RECORDS, records_digest=records_digest(RECORDS))
    made = part(earlier, RECORDS, given_again(), **AGAIN)
    assert verify_region_use([made], KEY.verifier) == earlier
    with pytest.raises(ProofInvalid, match="other records than"):
        verify_region_use([part(leaf, RECORDS[1:], **AGAIN)], KEY.verifier)
    dearer = elsewhere(7, RECORDS, fee_micro_yuan=4 * PRICE)
    with pytest.raises(ProofInvalid, match="not that of its lines"):
        verify_region_use([part(dearer, RECORDS, given_again(), **AGAIN)], KEY.verifier)


def test_no_chunk_of_a_question_that_is_new_was_charged_before(tmp_path: Any) -> None:
    book = UsageBook.begin(tmp_path / "book", OPERATOR, KEY.verifier)
    leaf = elsewhere(7, RECORDS)
    made = part(leaf, RECORDS, given_again(), **AGAIN)
    with pytest.raises(ProofInvalid, match="not signed"):
        book.keep_region(made)
    made.receipt.usage.CopyFrom(promised_again(leaf, (), region_digest=leaf.records_digest))
    fewer = part(leaf, RECORDS[1:], given_again(RECORDS[1:]), **AGAIN)
    fewer.receipt.usage.CopyFrom(made.receipt.usage)
    with pytest.raises(ProofInvalid, match="what is signed of the retry"):
        book.keep_region(fewer)
    for is_retry in (False, True):
        receipts = RegionReceipts(book, "r-6")
        keep_question = receipts.taken(QueryRegionsResponse(question=question(again=is_retry)))
        keep = receipts.taken(QueryRegionsResponse(part=made))
        assert keep_question is not None
        assert keep is not None
        keep_question()
        if is_retry:
            assert keep().usage_index == 7
        else:
            with pytest.raises(ProofInvalid, match="its question is none"):
                keep()
    book.close()


def question(*, again: bool) -> Receipt:
    """Return the receipt of a question, of the first time or of a retry."""
    leaf = use(6, records_digest=b"")
    if not again:
        return answer(leaf, ()).receipt
    mark = made_again(bytes_of(leaf), b"", b"", leaf.serve_seconds)
    signed = b"".join(RECEIPTS.receipts([bytes_of(leaf)], None, [mark]))
    return answer(leaf, (), UsageReceipt.FromString(signed), **AGAIN).receipt


TWO = "https://two.example"


def told_before(leaf: UsageLeaf) -> QueryRegionsResponse:
    """Return the closing statement of a region that tells of a charge of before."""
    closing = RegionClosing(region=TWO, charged_before=promised(leaf))
    return QueryRegionsResponse(closing=closing)


def charged_as(request_id: str) -> UsageLeaf:
    """Return what a chunk of region two was charged as, of a question."""
    return elsewhere(7, RECORDS, request_id=region_request_id(OPERATOR, request_id, TWO))


@pytest.fixture
def book(tmp_path: Path) -> Generator[UsageBook]:
    """An empty book."""
    made = UsageBook.begin(tmp_path / "book", OPERATOR, KEY.verifier)
    yield made
    made.close()


def test_of_a_question_that_is_new_no_charge_of_before_is_kept(book: UsageBook) -> None:
    receipts = RegionReceipts(book, "r-6")
    # Nor where nobody has said yet what the question is.
    assert receipts.taken(told_before(charged_as("r-6"))) is None
    receipts.taken(QueryRegionsResponse(question=question(again=False)))
    assert receipts.taken(told_before(charged_as("r-6"))) is None


@pytest.mark.parametrize("request_id", ["r-6", "never-asked"])
def test_of_a_retry_the_charges_of_its_own_chunks_are_kept(
    book: UsageBook, request_id: str
) -> None:
    receipts = RegionReceipts(book, "r-6")
    receipts.taken(QueryRegionsResponse(question=question(again=True)))
    keep = receipts.taken(told_before(charged_as(request_id)))
    assert keep is not None
    if request_id == "r-6":
        assert keep() == charged_as("r-6")
    else:
        with pytest.raises(ProofInvalid, match="another request"):
            keep()
        assert book.held().receipts == 0


def test_a_question_that_was_sent_once_is_no_retry_because_it_says_so(book: UsageBook) -> None:
    book.sending("r-6", SERVED, new=True)
    receipts = RegionReceipts(book, "r-6")
    for step in (
        QueryRegionsResponse(question=question(again=True)),
        told_before(charged_as("r-6")),
    ):
        keep = receipts.taken(step)
        assert keep is not None
        with pytest.raises(ProofInvalid, match="sent once"):
            keep()


def test_a_question_is_a_retry_where_the_gateway_signed_so_and_of_what_was_asked(
    book: UsageBook,
) -> None:
    unsigned = answer(use(6, records_digest=b""), (), **AGAIN).receipt
    with pytest.raises(ProofInvalid, match="not signed"):
        book.keep_question(unsigned, "r-6")
    with pytest.raises(ProofInvalid, match="another request"):
        book.keep_question(question(again=False), "r-7")
