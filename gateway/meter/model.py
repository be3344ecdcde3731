"""What is metered, and what became of it."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from consent.model import Consent
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose

SECONDS_A_DAY: Final = 86_400


class LineCount(NamedTuple):
    """Use of one revenue line in one answer: records, and micro-yuan for each."""

    line_no: int
    records: int
    unit_price: int


class RequestKey(NamedTuple):
    """What a retry is known by, over all chunks of one batch."""

    operator_id: str
    request_id: str


class QuotaDay(NamedTuple):
    """What a quota is counted by: an operator and a UTC day (days since 1970)."""

    operator_id: str
    day: int


class ConsentDay(NamedTuple):
    """What the use of a consent is counted by: its id and a UTC day (days since 1970)."""

    consent_id: str
    day: int


class ConsentVersion(NamedTuple):
    """A consent as it was decided by; each change makes another version."""

    consent_id: str
    version: int

    @classmethod
    def of(cls, consent: Consent) -> "ConsentVersion":
        """Return the version of a consent."""
        return cls(consent.consent_id, consent.version)


class ConsentUse(NamedTuple):
    """How often a consent was used: whether ever, and the answers of one day."""

    ever: bool
    answered: int


class ConsentGrowth(NamedTuple):
    """What a group adds to the use of a consent on a day.

    Answers; when the last of them with records was given, None where none had any; and
    when one was given that used it up. Times in seconds UTC.
    """

    answered: int
    last_at: int | None = None
    spent_at: int | None = None


class UsageClaim(NamedTuple):
    """An answer about to be given: its claim on the request id and its entries.

    ``entries`` are the sequences of the revisions served, eight bytes each, little
    endian; ``disclosure_sequence`` is the head they were read at; ``daily_quota`` the
    most records the operator may be served in a UTC day; ``replay_seconds`` how long
    the id answers retries. ``good_until`` (seconds UTC) is the instant from which on
    what the answer rests on has to be looked at again. ``stands`` is asked
    with the ledger's locks held, from its thread: False where authority has changed since
    it was decided by, cannot be known any more, or nobody waits for the answer. ``may_be_empty``
    is False where an answer without records is a refusal. ``relies_on`` is the consent
    the answer rests on, as it was decided by, None where it rests on none.
    """

    operator_id: str
    client_id: str
    request_id: str
    chunk: int
    payload_digest: bytes
    licence: str
    purpose: Purpose.ValueType
    decision_id: str
    served_at: int
    disclosure_sequence: int
    entries: bytes
    lines: tuple[LineCount, ...]
    daily_quota: int
    replay_seconds: int
    good_until: int
    may_be_empty: bool
    stands: Callable[[], bool]
    relies_on: Consent | None = None

    @property
    def consent(self) -> str:
        """Resource name of the consent relied on, "" where there is none."""
        return self.relies_on.name if self.relies_on else ""

    @property
    def request_key(self) -> RequestKey:
        """What its retries are known by."""
        return RequestKey(self.operator_id, self.request_id)

    @property
    def quota_day(self) -> QuotaDay:
        """What its records count against."""
        return QuotaDay(self.operator_id, self.served_at // SECONDS_A_DAY)

    @property
    def consent_day(self) -> ConsentDay:
        """What its answer counts against of the consent it relies on, which it must have."""
        assert self.relies_on is not None, "only what relies on a consent counts against one"
        return ConsentDay(self.relies_on.consent_id, self.served_at // SECONDS_A_DAY)

    @property
    def entry_count(self) -> int:
        """Number of usage entries."""
        return len(self.entries) >> 3

    @property
    def fee(self) -> int:
        """Fee in micro-yuan."""
        return sum(line.records * line.unit_price for line in self.lines)


class EarlierAnswer(NamedTuple):
    """A metered answer, as far as a retry is compared with it."""

    operator_id: str
    request_id: str
    chunk: int
    payload_digest: bytes
    decision_id: str
    served_at: int
    entries: bytes


@dataclass(frozen=True, slots=True)
class Charged:
    """The claim is durable; its entries are charged. ``fee`` in micro-yuan."""

    fee: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """The id was metered before with the same payload; nothing more is charged."""

    decision_id: str


@dataclass(frozen=True, slots=True)
class Stale:
    """What the answer rests on may not hold any more: decide and read again."""


@dataclass(frozen=True, slots=True)
class NotCharged:
    """The claim is refused and nothing was written.

    ``retry_after`` is in seconds, 0 where waiting does not help.
    """

    reason: RefusalReason.ValueType
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Unwritable:
    """The store cannot hold this claim, whatever the others; nothing was written."""


Outcome = Charged | Replayed | Stale | NotCharged | Unwritable


@dataclass(frozen=True, slots=True)
class RefusalEntry:
    """One refused call of a known client, for the log.

    ``purpose`` and ``request_id`` are as the caller sent them, valid or not; ``consent``
    is the resource name the call gave, "" where it gave none or no such name.
    """

    decision_id: str
    at: int
    client_id: str
    method: str
    reason: RefusalReason.ValueType
    purpose: Purpose.ValueType
    request_id: str
    consent: str = ""


def pack_entries(sequences: Sequence[int]) -> bytes:
    """Return revision sequences as stored in the ledger."""
    return array("q", sequences).tobytes()


def unpack_entries(entries: bytes) -> "array[int]":
    """Return the revision sequences of a ledger row."""
    return array("q", entries)
