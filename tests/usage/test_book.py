"""The receipt book keeps every receipt, takes on only what is verified, and finds what differs."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.usage import verify_logged
from creditgate.transparency.usage_charges import DifferenceKind
from creditgate.transparency.usage_evidence import CONFLICT, MISCOUNTED, TWICE, UNPROMISED
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.usage_log_pb2 import UsageLeaf
from sdk.usage_book import BookRefused, UsageBook
from sdk.usage_disputes import dispute
from tests.receipts import KEY
from tests.transparency.keys import key_of
from tests.usage.promises import (
    OPERATOR,
    PRICE,
    SERVED,
    Log,
    answer,
    promised_again,
    record,
    use,
)

RECORDS = [record(3), record(5), record(8)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the book is."""
    return tmp_path / "receipts.book"


@pytest.fixture
def book(file: Path) -> Generator[UsageBook]:
    """An empty book."""
    made = UsageBook.begin(file, OPERATOR, KEY.verifier)
    yield made
    made.close()


def uses(size: int) -> list[UsageLeaf]:
    """Return what an operator used."""
    return [use(place, RECORDS[: 1 + place % 3]) for place in range(size)]


def keep(book: UsageBook, *leaves: UsageLeaf) -> None:
    """Keep the answers that charge ``leaves``."""
    for leaf in leaves:
        book.keep(answer(leaf, RECORDS[: leaf.lines[0].entries]))


def follow(book: UsageBook, log: Log) -> int:
    """Take the log on, as it is served page by page."""
    place = book.held().leaves
    while place < len(log.leaves):
        page = log.leaves[place : place + 100]
        book.take(place, page)
        place += len(page)
    return book.verify(log.note)


def test_book_is_of_one_operator_and_key(book: UsageBook, file: Path, tmp_path: Path) -> None:
    again = UsageBook.open(file)
    assert (again.operator_id, again.key) == (OPERATOR, KEY.verifier)
    again.close()
    UsageBook.begin(file, OPERATOR, KEY.verifier).close()
    for operator_id, key in (("beta", KEY.verifier), (OPERATOR, key_of("other.invalid").verifier)):
        with pytest.raises(BookRefused, match="another operator"):
            UsageBook.begin(file, operator_id, key)
    with pytest.raises(BookRefused, match="no book"):
        UsageBook.open(tmp_path / "none")
    (tmp_path / "text").write_text("no book at all, only words")
    with pytest.raises(BookRefused, match="no receipt book"):
        UsageBook.open(tmp_path / "text")
    with pytest.raises(ProofInvalid, match="another operator"):
        book.keep(answer(use(0, RECORDS, operator_id="beta"), RECORDS))


def test_receipts_are_kept_once_and_gaps_told(book: UsageBook, file: Path) -> None:
    keep(book, *uses(3), *uses(3), *uses(8)[6:])
    assert book.held() == (5, 0, "")
    assert list(book.gaps()) == [range(3, 6)]
    other = UsageBook.open(file)
    assert other.receipts_of(1)[0].leaf == Log(*uses(2)).leaves[1]
    other.close()


def test_threads_keep_receipts_at_once(book: UsageBook) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(keep, book), uses(40)))
    assert (book.held().receipts, list(book.gaps())) == (40, [])


def test_receipt_that_is_not_of_the_answer_is_kept_as_evidence(book: UsageBook) -> None:
    with pytest.raises(ProofInvalid, match="not those that were charged"):
        book.keep(answer(use(0, RECORDS), RECORDS[:1]))
    assert book.held().receipts == 1
    with pytest.raises(ProofInvalid, match="another key"):
        book.keep(answer(use(1, RECORDS), RECORDS, usage=None))
    assert book.held().receipts == 1


def test_what_was_asked_once_is_no_retry_because_it_says_so(book: UsageBook) -> None:
    again: dict[str, Any] = {"replayed": True, "charged_micro_yuan": 0, "charged_entries": 0}

    def retried(place: int, request_id: str) -> GetSubjectRecordsResponse:
        leaf = use(place, RECORDS, request_id=request_id)
        return answer(leaf, RECORDS[:1], promised_again(leaf, RECORDS[:1]), **again)

    book.sending("r-new", SERVED, new=True)
    with pytest.raises(ProofInvalid, match="sent once"):
        book.keep(retried(1, "r-new"))
    # It is evidence, and was kept.
    assert book.held().receipts == 1
    book.sending("r-new", SERVED + 60)
    assert book.keep(retried(1, "r-new")).usage_index == 1
    # Charged an hour before anybody asked.
    book.sending("r-later", SERVED + 3_600, new=True)
    book.sending("r-later", SERVED + 3_601)
    with pytest.raises(ProofInvalid, match="before its request was sent"):
        book.keep(retried(2, "r-later"))
    # Of an id that others may have sent nothing is known.
    book.sending("r-given", SERVED)
    assert book.keep(retried(3, "r-given"), request_id="r-given").usage_index == 3
    unsigned = answer(use(5, RECORDS), RECORDS[:1], **again)
    with pytest.raises(ProofInvalid, match="not signed"):
        book.keep(unsigned)
    with pytest.raises(ProofInvalid, match="of another request"):
        book.keep(answer(use(4, RECORDS), RECORDS), request_id="r-given")


def test_log_is_taken_on_as_it_grows_and_shown_with_its_paths(book: UsageBook) -> None:
    size = 0
    # Past a tile of 256, and to its very end.
    for size in (1, 200, 256, 257, 700):
        log = Log(*uses(size))
        assert follow(book, log) == size == book.checkpoint().size
    for place in (0, 255, 256, size - 1):
        shown = book.logged(place)
        found = verify_logged(
            shown.leaf, list(shown.audit_path), shown.checkpoint, OPERATOR, KEY.verifier
        )
        assert found.leaf.usage_index == place
    assert follow(book, Log(*uses(size))) == size
    with pytest.raises(LookupError):
        book.logged(size)
    with pytest.raises(LookupError):
        book.take(3, Log(*uses(4)).leaves[3:])


def test_log_that_is_not_what_it_was_is_not_taken_on(book: UsageBook) -> None:
    follow(book, Log(*uses(300)))
    changed = [*uses(310)]
    changed[7] = use(7, RECORDS)
    shorter = Log(*uses(200))
    with pytest.raises(ProofInvalid, match="not those of its checkpoint"):
        follow(book, Log(*changed))
    with pytest.raises(ProofInvalid, match="shorter"):
        book.verify(shorter.note)
    with pytest.raises(ProofInvalid, match="not signed"):
        book.verify(Log(*uses(310), operator_id="beta").note)
    with pytest.raises(ProofInvalid, match="another operator or place"):
        book.take(300, Log(*uses(302)).leaves[301:])
    with pytest.raises(ProofInvalid, match="not those of its checkpoint"):
        book.verify(Log(*uses(310)).note)
    assert book.held().leaves == book.verify(Log(*uses(300)).note) == 300
    # What was taken on in vain is gone, and the log that grew is taken on.
    assert follow(book, Log(*uses(310))) == 310


def test_differences_are_found_and_disputed(book: UsageBook) -> None:
    promised = [*uses(6), use(6, RECORDS[:2], request_id="r-1"), use(9, RECORDS)]
    keep(book, *promised)
    logged = [
        *uses(6),
        promised[6],
        use(7, RECORDS),
        use(8, RECORDS, fee_micro_yuan=4 * PRICE),
    ]
    logged[2] = use(2, [*RECORDS, record(11)])
    follow(book, Log(*logged))
    found = [each[:3] for each in book.differences()]
    assert found == [
        (DifferenceKind.CONFLICT, 2, PRICE),
        (DifferenceKind.UNPROMISED, 7, 3 * PRICE),
        (DifferenceKind.MISCOUNTED, 8, PRICE),
        (DifferenceKind.UNPROMISED, 8, 4 * PRICE),
        (DifferenceKind.UNLOGGED, 9, 0),
        (DifferenceKind.TWICE, 6, 2 * PRICE),
    ]
    for place, kind, overcharge, convicts in (
        (2, CONFLICT, PRICE, True),
        (6, TWICE, 2 * PRICE, True),
        (7, UNPROMISED, 3 * PRICE, False),
        (8, MISCOUNTED, PRICE, True),
    ):
        _, shown = dispute(book, place)
        assert (shown.kind, shown.leaf.usage_index) == (kind, place)
        assert (shown.overcharge, shown.convicts) == (overcharge, convicts)
    for place in (0, 9):
        with pytest.raises(ProofInvalid, match="what was promised"):
            dispute(book, place)


def test_records_received_are_counted_anew_in_a_dispute(book: UsageBook) -> None:
    leaf = use(0, RECORDS, records_digest=use(0, RECORDS[:1]).records_digest)
    follow(book, Log(leaf))
    _, shown = dispute(book, 0, RECORDS[:1])
    assert (shown.kind, shown.overcharge, shown.convicts) == (MISCOUNTED, 2 * PRICE, True)
    with pytest.raises(ProofInvalid, match="not those of the leaf"):
        dispute(book, 0, RECORDS[:2])


def test_leaves_count_once_they_are_verified(book: UsageBook) -> None:
    made = [*uses(5), use(5, RECORDS, request_id="r-1")]
    follow(book, Log(*made[:5]))
    book.take(5, Log(*made).leaves[5:])
    assert len(list(book.leaves())) == 5
    assert [each.usage_index for each in book.differences()] == [0, 1, 2, 3, 4]
    book.verify(Log(*made).note)
    assert [each.usage_index for each in book.differences()] == [0, 1, 2, 3, 4, 5, 5]
