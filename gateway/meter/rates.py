"""Rates: whether an answer comes too soon. Pure.

Source: the generic cell rate algorithm in its virtual scheduling form, ITU-T Recommendation
I.371 (03/2004), annex A. Of each count one number is kept: its theoretical arrival time, the
instant at which all that was taken so far would be earned at the sustained rate. An answer
of n cells conforms where that time, moved on by n intervals, lies no further ahead of now
than a whole burst takes. Times are integer microseconds since the epoch, UTC.

Guarantee: in any time w at most ``burst + w / interval`` cells are taken of a count, by all
processes of one store together, since each charge has its operator's lock. It is exact on
one clock; where clocks of hosts are apart by d, up to `STEP`, at most ``d / interval`` more.
The interval is rounded up to a microsecond, which costs a limit at most 1 % of its rate.

Records are an exception: how many an answer has is judged by nobody, since a refusal would tell
for nothing who has some, and how many (G11). An answer is given where the least conforms that
any has, one record, and so many are taken as it has. Those of another region, which has metered
them before anybody here knows them, are taken in any case. What goes beyond a whole burst is owed:
nothing more is given until it is earned too, so that in the long run the rate is the limit's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

MICROS: Final = 1_000_000
"""Microseconds in a second."""
STEP: Final = 5 * MICROS
"""How far an arrival time may lie beyond what its limit can have left. One further ahead was
written before the clock was set back, and counts for nothing: waiting for it to pass could
take years."""


SOON: Final = MICROS
"""When to try again where all that is left is held for answers under way."""


class RateKey(NamedTuple):
    """What a count is known by: an operator, a limit, and what of it is counted, "" for all."""

    operator_id: str
    limit_id: str
    key: str


class Debit(NamedTuple):
    """What an answer takes of one count: ``cells`` units, each earned in ``interval``
    microseconds, of which ``burst`` may be taken at once. It is judged by ``least`` of them, those
    that do not depend on what was found, and not at all where those are none. ``of_records`` tells
    that they are records: then what is held for answers under way is not left."""

    key: RateKey
    interval: int
    burst: int
    cells: int
    least: int
    of_records: bool = False


class RateLeft(NamedTuple):
    """What is left of a count: ``cells`` at once now; full again ``micros`` later."""

    limit_id: str
    cells: int
    micros: int


@dataclass(frozen=True, slots=True)
class TooFast:
    """An answer would exceed a limit, and nothing of it was written.

    ``arrival`` is the arrival time of the count ``key``, which owes ``owed`` (`RateCounts`); ``wait``
    the microseconds until the answer conforms, 0 where waiting does not help: it takes more than the
    limit ever gives; ``left`` is what the count has left.
    """

    key: RateKey
    arrival: int
    wait: int
    left: RateLeft
    owed: int = 0


def interval_of(count: int, period_seconds: int) -> int:
    """Return the microseconds in which one of ``count`` units a period is earned, rounded up."""
    return -(-period_seconds * MICROS // count)


class RateCounts(NamedTuple):
    """Counts as they are stored: arrival times; and of each that owes any, by how many
    microseconds it lay beyond a whole burst when it was written."""

    arrivals: Mapping[RateKey, int]
    owed: Mapping[RateKey, int]


NO_COUNTS: Final[Mapping[RateKey, int]] = MappingProxyType({})


def arrival_after(debit: Debit, arrival: int, now: int, owed: int = 0) -> int:
    """Return the arrival time after a debit at ``now``, 0 or more as ``arrival`` before it.

    ``owed`` is what it may lie beyond a whole burst for records that were taken unjudged.
    """
    if arrival > now + debit.burst * debit.interval + STEP + owed:
        arrival = now
    return max(arrival, now) + debit.cells * debit.interval


def judged(debit: Debit) -> Debit:
    """Return a debit of as many cells as it is judged by."""
    return debit._replace(cells=debit.least)


def wait_of(debit: Debit, after: int, now: int) -> int:
    """Return how long to wait until a debit conforms, 0 where it does at ``now``.

    ``after`` is from `arrival_after`. One of more cells than its burst never conforms.
    """
    return max(0, after - now - debit.burst * debit.interval)


def left_of(debit: Debit, arrival: int, now: int, owed: int = 0) -> RateLeft:
    """Return what a count has left whose arrival time is ``arrival``, with nothing debited."""
    used = arrival_after(debit._replace(cells=0), arrival, now, owed) - now
    cells = max(0, debit.burst - -(-used // debit.interval))
    return RateLeft(debit.key.limit_id, cells, used)


class Arrivals:
    """The counts of one group of answers, judged in order, each knowing those before it.

    ``known`` are the arrival times stored, those of counts without use may lack; ``owed`` as
    `RateCounts` has it.
    """

    def __init__(
        self, known: Mapping[RateKey, int], now: int, owed: Mapping[RateKey, int] = NO_COUNTS
    ) -> None:
        self._known = known
        self._owed = owed
        self._now = now
        self.moved: dict[RateKey, int] = {}
        """Counts that were taken of, and their arrival times now."""
        self.owing: dict[RateKey, int] = {}
        """What those owe now that owe or owed any."""

    def of(self, key: RateKey) -> int:
        """Return the arrival time of a count as it is now, 0 where there is none."""
        return self.moved.get(key) or self._known.get(key, 0)

    def refusal(self, debits: Sequence[Debit], held: int = 0) -> TooFast | None:
        """Return why debits do not all conform, None where they do.

        ``held`` are the records that are kept for answers under way.
        """
        now, refused, longest = self._now, None, 0
        for debit in map(judged, debits):
            if not debit.cells:
                continue
            wait = wait_of(debit, self._after(debit), now)
            if wait and debit.cells > debit.burst:
                return TooFast(debit.key, 0, 0, self._left(debit))
            if not wait and debit.of_records and self._left(debit).cells < debit.cells + held:
                wait = SOON
            if wait > longest:
                refused, longest = debit, wait
        if refused is None:
            return None
        key, left = refused.key, self._left(refused)
        return TooFast(key, self.of(key), longest, left, self._owing(key))

    def left(self, debits: Sequence[Debit]) -> int:
        """Return the units that each of the counts of ``debits``, one at least, has left."""
        return min(self._left(debit).cells for debit in debits)

    def take(self, debits: Sequence[Debit]) -> tuple[RateLeft, ...]:
        """Take debits, what is beyond a whole burst as owed, and return what is left of each limit:
        the least of its counts."""
        left: dict[str, RateLeft] = {}
        for debit in debits:
            after = self._after(debit)
            self.moved[debit.key] = after
            used = after - self._now
            beyond = max(0, used - debit.burst * debit.interval)
            if beyond or self._owing(debit.key):
                self.owing[debit.key] = beyond
            cells = max(0, debit.burst - -(-used // debit.interval))
            limit_id = debit.key.limit_id
            if limit_id not in left or cells < left[limit_id].cells:
                left[limit_id] = RateLeft(limit_id, cells, used)
        return tuple(left.values())

    def _after(self, debit: Debit) -> int:
        return arrival_after(debit, self.of(debit.key), self._now, self._owing(debit.key))

    def _left(self, debit: Debit) -> RateLeft:
        return left_of(debit, self.of(debit.key), self._now, self._owing(debit.key))

    def _owing(self, key: RateKey) -> int:
        owing = self.owing.get(key)
        return self._owed.get(key, 0) if owing is None else owing
