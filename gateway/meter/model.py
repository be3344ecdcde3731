"""What is metered, and what became of it."""

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from consent.relied import Relied
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_log_pb2 import UsageKind
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.meter.delivery import Delivering
from gateway.meter.holds import Room
from gateway.meter.licences import Licences, Shares, shares_text
from gateway.meter.rates import Debit, RateLeft, TooFast

SECONDS_A_DAY: Final = 86_400
# The same few lines recur.
_MOST_KNOWN: Final = 1_024
ANSWER: Final = UsageKind.USAGE_KIND_ANSWER
REVERSAL: Final = UsageKind.USAGE_KIND_REVERSAL
_ANSWER: Final = int(ANSWER)


class LineCount(NamedTuple):
    """Use of one revenue line in one answer: records, and micro-yuan for each."""

    line_no: int
    records: int
    unit_price: int


class AnswerKey(NamedTuple):
    """What an answer is known by: its request, and the number of its chunk."""

    operator_id: str
    request_id: str
    chunk: int


class QuotaDay(NamedTuple):
    """What a quota is counted by: an operator and a UTC day (days since 1970)."""

    operator_id: str
    day: int


class ConsentDay(NamedTuple):
    """What the use of a consent is counted by: its id and a UTC day (days since 1970)."""

    consent_id: str
    day: int


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
    ``records_digest`` is that of the records as they are sent (UsageLeaf), b"" where none is
    made. ``asked_items`` are the items looked for under that consent, found or not. ``debits`` are
    what it takes of the counts of limits. ``delivery`` is None but for a chunk of a delivery.
    ``asked_subjects`` is how many subjects were asked about, found or not; ``opened_entries`` how
    many of the entries that consent opened. ``owed`` is True of records of another region, which
    has metered them: they have lines and no entries, and are charged and counted whatever quota
    and limits say, for they were judged before that region was asked. ``takes`` is the room
    that such a question wants held: nothing is charged then, and ``debits`` are looked at alone.
    ``gives_back`` is the id of the hold that ends with what is charged, "" for none.
    ``rests_on`` are the licences it may rest on where those are several: then ``licence`` and
    ``daily_quota`` count once it is charged, as those of the first of ``borne``, which tells
    what each of them bears. ``is_too_large`` is True of an answer that would not be taken: it is judged
    as all are, and then refused.
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
    relies_on: Relied | None = None
    records_digest: bytes = b""
    asked_items: tuple[str, ...] = ()
    debits: tuple[Debit, ...] = ()
    delivery: Delivering | None = None
    asked_subjects: int = 0
    opened_entries: int = 0
    owed: bool = False
    takes: Room | None = None
    gives_back: str = ""
    rests_on: Licences | None = None
    borne: Shares = ()
    is_too_large: bool = False

    @property
    def consent(self) -> str:
        """Resource name of the consent relied on, "" where there is none."""
        return "" if self.relies_on is None else self.relies_on.name

    @property
    def under(self) -> tuple[str, str]:
        """Under which consent it is given, and what that opens to it, as the ledger has them."""
        return self.consent, " ".join(self.asked_items)

    @property
    def answer_key(self) -> AnswerKey:
        """What its answer is known by."""
        return AnswerKey(self.operator_id, self.request_id, self.chunk)

    @property
    def quota_day(self) -> QuotaDay:
        """What its records count against."""
        return _quota_day(self.operator_id, self.served_at)

    @property
    def consent_day(self) -> ConsentDay:
        """What its answer counts against of the consent it relies on, which it must have."""
        assert self.relies_on is not None, "only what relies on a consent counts against one"
        return ConsentDay(self.relies_on.version.consent_id, self.served_at // SECONDS_A_DAY)

    @property
    def entry_count(self) -> int:
        """Number of usage entries."""
        return len(self.entries) >> 3

    @property
    def records(self) -> int:
        """Number of records, of another region too."""
        own = len(self.entries) >> 3
        return own + self.region_records if self.owed else own

    @property
    def region_records(self) -> int:
        """Number of records of another region."""
        return sum(line.records for line in self.lines) if self.owed else 0

    @property
    def fee(self) -> int:
        """Fee in micro-yuan."""
        return _fee(self.lines)


class UsageRow(NamedTuple):
    """A row of the ledger (`gateway.meter.tables.USAGE`), in the order of its columns.

    ``lines`` is a JSON array of [line_no, records, unit_price], ``fee`` their sum in
    micro-yuan, ``entries`` as a claim has them, ``licences`` what `shares_text` makes of its shares. What a row of kind `REVERSAL` names is
    credited: its numbers are positive too. ``reversed_index`` is None in all other rows.
    """

    operator_id: str
    client_id: str
    request_id: str
    chunk: int
    payload_digest: bytes
    licence: str
    consent: str
    purpose: int
    decision_id: str
    served_at: int
    disclosure_sequence: int
    entry_count: int
    fee: int
    lines: str
    entries: bytes
    kind: int
    usage_index: int
    records_digest: bytes
    reversed_index: int | None
    asked_items: str = ""
    asked_subjects: int = 0
    opened_entries: int | None = None
    region_records: int | None = None
    licences: str | None = None

    @property
    def answer_key(self) -> AnswerKey:
        """What the answer is known by that it is, or credits."""
        return AnswerKey(self.operator_id, self.request_id, self.chunk)

    @classmethod
    def of(cls, claim: UsageClaim, usage_index: int) -> "UsageRow":
        """Return the row of a claim that is charged."""
        consent, entries, lines = claim.relies_on, claim.entries, claim.lines
        # Of a tuple: one by one each value costs as much again as to find it.
        return cls._make(
            (
                *claim[:6],
                "" if consent is None else consent.name,
                *claim[6:10],
                len(entries) >> 3,
                _fee(lines),
                lines_text(lines),
                entries,
                _ANSWER,
                usage_index,
                claim.records_digest,
                None,
                " ".join(claim.asked_items),
                claim.asked_subjects,
                claim.opened_entries,
                claim.region_records if claim.owed else 0,
                shares_text(claim.borne) if claim.borne else "",
            )
        )


class EarlierAnswer(NamedTuple):
    """A metered answer, as far as a retry is compared with it."""

    operator_id: str
    request_id: str
    chunk: int
    payload_digest: bytes
    decision_id: str
    served_at: int
    entries: bytes
    consent: str = ""
    asked_items: str = ""

    @property
    def under(self) -> tuple[str, str]:
        """Under which consent it was given, and what that opened to it."""
        return self.consent, self.asked_items


class Left(NamedTuple):
    """What an operator may still be served: records of the day's ``quota``, of ``of`` a day,
    until it starts anew ``seconds`` later; and of each limit that the answer took of."""

    quota: int
    of: int
    seconds: int
    rates: tuple[RateLeft, ...]


@dataclass(slots=True)
class Charged:
    """The claim is durable; its entries are charged. ``fee`` in micro-yuan.

    ``receipt`` is the signed receipt of the use, a serialised UsageReceipt, which it gets once the
    group is signed; ``left`` is what the operator may still be served; ``judged_at`` is when that
    was found (nanoseconds of `gateway.clock.host_nanoseconds`).
    """

    fee: int
    receipt: bytes = field(default=b"", compare=False, repr=False)
    left: Left | None = field(default=None, compare=False, repr=False)
    judged_at: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Replayed:
    """The id was metered before with the same payload; nothing more is charged.

    ``receipt`` is that of the first answer's use, a serialised UsageReceipt; ``served_at`` is
    when that was given (seconds, UTC); ``judged_at`` as of `Charged`.
    """

    decision_id: str
    receipt: bytes = field(default=b"", compare=False, repr=False)
    served_at: int = field(default=0, compare=False, repr=False)
    judged_at: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """The room that a claim takes is held."""


@dataclass(frozen=True, slots=True)
class Busy:
    """What is left of the quota, or of a limit, is held for answers under way: try again once
    one of them has come."""


@dataclass(frozen=True, slots=True)
class Stale:
    """What the answer rests on may not hold any more: decide and read again."""


@dataclass(frozen=True, slots=True)
class NotCharged:
    """The claim is refused and nothing was written.

    ``retry_after`` is in seconds, 0 where waiting does not help; ``left`` is what the operator
    may still be served where that is not enough. ``life_over`` tells of a retry that the data
    life of what it repeats is over. ``licences`` are those whose quota is used up, where the
    operator holds several. ``repeats`` tells of a retry of what was charged, and ``receipt`` is
    that of the first answer's use then, a serialised UsageReceipt without its detail.
    """

    reason: RefusalReason.ValueType
    retry_after: int = 0
    left: Left | None = field(default=None, compare=False, repr=False)
    life_over: bool = False
    licences: tuple[str, ...] = ()
    repeats: bool = field(default=False, compare=False, repr=False)
    receipt: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unwritable:
    """The store cannot hold this claim, whatever the others; nothing was written."""


Outcome = Charged | Replayed | Held | Busy | Stale | NotCharged | TooFast | Unwritable


@dataclass(frozen=True, slots=True)
class RefusalEntry:
    """One refused call of a known client, for the log, or one without a ``reason`` that was answered
    and is not metered.

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


@lru_cache(_MOST_KNOWN)
def _quota_day(operator_id: str, served_at: int) -> QuotaDay:
    return QuotaDay(operator_id, served_at // SECONDS_A_DAY)


@lru_cache(_MOST_KNOWN)
def _fee(lines: tuple[LineCount, ...]) -> int:
    return sum(line.records * line.unit_price for line in lines)


@lru_cache(_MOST_KNOWN)
def lines_text(lines: tuple[LineCount, ...]) -> str:
    """Return lines as stored in the ledger: JSON; they are all integers."""
    return "[" + ",".join([f"[{no},{records},{price}]" for no, records, price in lines]) + "]"


def lines_of(text: str) -> tuple[LineCount, ...]:
    """Return the lines of a ledger row."""
    return tuple([LineCount(*line) for line in json.loads(text)])


def unpack_entries(entries: bytes) -> "array[int]":
    """Return the revision sequences of a ledger row."""
    return array("q", entries)
