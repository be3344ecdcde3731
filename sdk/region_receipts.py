"""Receipts of use of other regions, kept in a receipt book as the answer comes."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.federated_record_service_pb2 import QueryRegionsResponse, RegionPart
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from sdk.usage_book import UsageBook


class RegionReceipts:
    """Keeps the receipts of one answer of `sdk.federated`; one step at a time."""

    def __init__(self, book: UsageBook) -> None:
        self.book = book
        self._parts: defaultdict[str, list[RegionPart]] = defaultdict(list)
        self._is_new = False

    def taken(self, step: QueryRegionsResponse) -> Callable[[], UsageLeaf] | None:
        """Take the next step; return what keeps the receipt it has, of the question, of the last
        part of a chunk, or of chunks that were lost, None where it has none.

        Of a question that was not asked before no region's chunk was charged before either.
        What is returned blocks, and may be called again. It raises ProofInvalid where the receipt is
        not of what was received; the book has it then all the same, where the gateway signed it.
        """
        if step.HasField("question"):
            self._is_new = not step.question.replayed
            return partial(self.book.keep_question, step.question)
        if step.closing.charged_before:
            return partial(self._kept_before, step.closing.charged_before)
        if not step.HasField("part"):
            return None
        self._parts[step.part.region].append(step.part)
        if not step.part.HasField("receipt"):
            return None
        return partial(self._kept, self._parts.pop(step.part.region))

    def _kept(self, chunk: list[RegionPart]) -> UsageLeaf:
        leaf = self.book.keep_region(*chunk)
        if self._is_new and chunk[-1].receipt.replayed:
            raise ProofInvalid("a chunk is marked as a retry, and its question is none")
        return leaf

    def _kept_before(self, receipts: Sequence[UsageReceipt]) -> UsageLeaf:
        """Keep receipts of answers that were lost and do not come now; return the last's use."""
        *former, last = receipts
        for each in former:
            self.book.keep_charged(each)
        return self.book.keep_charged(last)
