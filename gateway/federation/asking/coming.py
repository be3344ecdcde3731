"""A chunk of a region's answer while it comes."""

from creditgate.v1.federation_service_pb2 import QueryRecordsResponse
from gateway.federation.asking.answers import Metered


class Coming:
    """The chunk that comes: how many lie before it, its parts so far, what the region charged for it
    before, and whether it was asked for before."""

    def __init__(self, number: int, asked_before: bool) -> None:
        self.number = number
        self.asked_before = asked_before
        self.parts: list[bytes] = []
        self.answers: list[QueryRecordsResponse] = []
        self.size = 0
        self.before: Metered | None = None

    def take(self, part: bytes, answer: QueryRecordsResponse) -> None:
        """Take the next part."""
        self.parts.append(part)
        self.answers.append(answer)
        self.size += len(part)
