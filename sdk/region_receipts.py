"""Receipts of use of other regions, kept in a receipt book as the answer comes."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from creditgate.v1.federated_record_service_pb2 import QueryRegionsResponse, RegionPart
from creditgate.v1.usage_log_pb2 import UsageLeaf
from sdk.usage_book import UsageBook


class RegionReceipts:
    """Keeps the receipts of one answer of `sdk.federated`; one step at a time."""

    def __init__(self, book: UsageBook) -> None:
        self.book = book
        self._parts: defaultdict[str, list[RegionPart]] = defaultdict(list)

    def taken(self, step: QueryRegionsResponse) -> Callable[[], UsageLeaf] | None:
        """Take the next step; return what keeps the receipt it has, of the question or of the last
        part of a chunk, None where it has none.

        What is returned blocks, and may be called again. It raises ProofInvalid where the receipt is
        not of what was received; the book has it then all the same, where the gateway signed it.
        """
        if step.HasField("question"):
            return partial(self.book.keep_question, step.question)
        if not step.HasField("part"):
            return None
        self._parts[step.part.region].append(step.part)
        if not step.part.HasField("receipt"):
            return None
        return partial(self.book.keep_region, *self._parts.pop(step.part.region))
