"""What is agreed with is what was compared, whatever happens to the book meanwhile."""

from collections.abc import Callable, Generator
from pathlib import Path

import grpc
import pytest

from gateway.pki.client_keys import make_assertion_key
from sdk.signing import SigningKey
from sdk.usage_agreeing import Agreeing, NotAsPromised
from sdk.usage_book import UsageBook
from tests.receipts import KEY
from tests.usage.lying import lying
from tests.usage.promises import OPERATOR, SERVED, Log, answer, record, use

RECORDS = [record(1), record(2)]
GOOD, NEVER_ASKED = use(0, RECORDS), use(1, RECORDS, request_id="never-asked")
NOW = SERVED + 3_600


@pytest.fixture
def book(tmp_path: Path) -> Generator[UsageBook]:
    """A book that has the receipt of the one use that was made."""
    made = UsageBook.begin(tmp_path / "book", OPERATOR, KEY.verifier)
    made.keep(answer(GOOD, RECORDS))
    yield made
    made.close()


def agreeing(channel: grpc.aio.Channel, book: UsageBook, now: Callable[[], int]) -> Agreeing:
    """Return what agrees with a book."""
    return Agreeing(channel, book, "alpha-one", SigningKey.read(make_assertion_key().key), now)


async def test_a_log_that_another_process_takes_on_meanwhile_is_not_agreed_with(
    book: UsageBook, tmp_path: Path
) -> None:
    async with lying(Log(GOOD)) as (gateway, channel):
        looks: list[int] = []

        def now() -> int:
            # The first look is for what is due, and the second for the agreement.
            looks.append(NOW)
            if len(looks) == 2:
                log = Log(GOOD, NEVER_ASKED)
                other = UsageBook.open(tmp_path / "book")
                other.take(1, log.leaves[1:])
                other.verify(log.note)
                other.close()
            return NOW

        assert await agreeing(channel, book, now).agree() == 1
        assert gateway.cosigned == Log(GOOD).note
        assert (len(looks), book.held().leaves, book.agreed().size) == (2, 2, 1)
        gateway.log = Log(GOOD, NEVER_ASKED)
        with pytest.raises(NotAsPromised):
            await agreeing(channel, book, now).agree()


async def test_how_far_it_was_agreed_is_no_word_of_the_gateway(book: UsageBook) -> None:
    async with lying(Log(GOOD)) as (gateway, channel):
        gateway.told_size = 2
        assert await agreeing(channel, book, lambda: NOW).agree() == 1
        gateway.log = Log(GOOD, NEVER_ASKED)
        with pytest.raises(NotAsPromised):
            await agreeing(channel, book, lambda: NOW).agree()


def test_a_receipt_behind_what_is_compared_is_not_logged_there(book: UsageBook) -> None:
    log = Log(GOOD, use(1, RECORDS))
    book.keep(answer(use(1, RECORDS), RECORDS))
    book.take(0, log.leaves)
    book.verify(log.note)
    assert list(book.differences(2)) == []
    assert [(each.kind, each.usage_index) for each in book.differences(1)] == [("unlogged", 1)]
