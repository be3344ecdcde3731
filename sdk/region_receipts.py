"""Receipts of use of other regions, kept in a receipt book as the answer comes."""

from collections import defaultdict

from creditgate.v1.federated_record_service_pb2 import QueryRegionsResponse, RegionPart
from sdk.usage_book import UsageBook


class RegionReceipts:
    """Keeps the receipts of one answer of `sdk.federated`. Calls block; one at a time."""

    def __init__(self, book: UsageBook) -> None:
        self._book = book
        self._parts: defaultdict[str, list[RegionPart]] = defaultdict(list)

    def take(self, step: QueryRegionsResponse) -> None:
        """Keep what receipt a step has, of the question or of the last part of a chunk.

        Raises ProofInvalid where it is not of what was received; the book has it then all the
        same, where the gateway signed it.
        """
        if step.HasField("question"):
            self._book.keep_question(step.question)
        elif step.HasField("part"):
            chunk = self._parts[step.part.region]
            chunk.append(step.part)
            if step.part.HasField("receipt"):
                del self._parts[step.part.region]
                self._book.keep_region(*chunk)
