"""What is metered, and what became of it."""

from array import array
from dataclasses import dataclass
from typing import NamedTuple

from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose


class LineCount(NamedTuple):
    """Use of one revenue line in one answer: records, and micro-yuan for each."""

    line_no: int
    count: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class UsageClaim:
    """An answer about to be given: its claim on the request id and its entries.

    ``entries`` are the sequences of the revisions served, eight bytes each, little
    endian; ``subjects`` whom it is about; ``disclosure_sequence`` the head they were
    read at; ``daily_quota`` the most records the operator may be served in a UTC
    day; ``replay_seconds`` how long the id answers retries.
    """

    operator_id: str
    client_id: str
    request_id: str
    chunk: int
    payload_digest: bytes
    licence: str
    consent: str
    purpose: Purpose.ValueType
    decision_id: str
    served_at: int
    disclosure_sequence: int
    subjects: tuple[str, ...]
    entries: bytes
    lines: tuple[LineCount, ...]
    daily_quota: int
    replay_seconds: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What is unique in the ledger."""
        return self.operator_id, self.request_id, self.chunk

    @property
    def entry_count(self) -> int:
        """Number of usage entries."""
        return len(self.entries) >> 3

    @property
    def fee(self) -> int:
        """Fee in micro-yuan."""
        return sum(line.count * line.unit_price for line in self.lines)


@dataclass(frozen=True, slots=True)
class Charged:
    """The claim is durable; its entries are charged."""

    fee: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """The id was metered before with the same payload; nothing more is charged."""

    decision_id: str


@dataclass(frozen=True, slots=True)
class Stale:
    """A subject's disclosure changed after it was read: read again."""


@dataclass(frozen=True, slots=True)
class NotCharged:
    """The claim is refused and nothing was written.

    ``retry_after`` is in seconds, 0 where waiting does not help.
    """

    reason: RefusalReason.ValueType
    retry_after: int = 0


Outcome = Charged | Replayed | Stale | NotCharged


@dataclass(frozen=True, slots=True)
class RefusalEntry:
    """One refused call of a known client, for the log."""

    decision_id: str
    at: int
    client_id: str
    method: str
    reason: RefusalReason.ValueType
    purpose: Purpose.ValueType
    request_id: str


def pack_entries(sequences: list[int]) -> bytes:
    """Return revision sequences as stored in the ledger."""
    return array("q", sequences).tobytes()


def unpack_entries(entries: bytes) -> array[int]:
    """Return the revision sequences of a ledger row."""
    return array("q", entries)
