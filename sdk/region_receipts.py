"""Receipts of use of other regions, kept in a receipt book as the answer comes."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from creditgate.v1.federated_record_service_pb2 import (
    QueryRegionsResponse,
    RegionClosing,
    RegionPart,
)
from creditgate.v1.usage_log_pb2 import UsageLeaf
from sdk.usage_book import UsageBook


class RegionReceipts:
    """Keeps the receipts of one answer of `sdk.federated`, to the question ``request_id``; one step
    at a time. Note in the book (`UsageBook.sending`) each time that the question is sent."""

    def __init__(self, book: UsageBook, request_id: str) -> None:
        self.book = book
        self._request_id = request_id
        self._parts: defaultdict[str, list[RegionPart]] = defaultdict(list)
        self._is_new = True

    def taken(self, step: QueryRegionsResponse) -> Callable[[], UsageLeaf] | None:
        """Take the next step; return what keeps the receipt it has, of the question, of the last
        part of a chunk, or of chunks that were lost, None where it has none.

        Of a question that was not asked before no region's chunk was charged before either, and
        what is told of such a charge is not kept: where one was made for an answer that broke, the
        retry tells it. What is returned blocks, and may be called again. It raises ProofInvalid
        where the receipt is not of what was received, which the book has as evidence then.
        """
        if step.HasField("question"):
            self._is_new = not step.question.replayed
            return partial(self.book.keep_question, step.question, self._request_id)
        if step.closing.charged_before and not self._is_new:
            return partial(self._kept_before, step.closing)
        if not step.HasField("part"):
            return None
        self._parts[step.part.region].append(step.part)
        if not step.part.HasField("receipt"):
            return None
        chunk = self._parts.pop(step.part.region)
        keep = partial(self.book.keep_region, *chunk, request_id=self._request_id)
        return partial(keep, new=self._is_new)

    def _kept_before(self, closing: RegionClosing) -> UsageLeaf:
        """Keep receipts of answers that were lost and do not come now; return the last's use."""
        kept = [
            self.book.keep_charged(each, self._request_id, closing.region)
            for each in closing.charged_before
        ]
        return kept[-1]
