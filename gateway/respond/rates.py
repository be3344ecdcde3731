"""What an answer takes of the limits that reach its operator, and who is known to be over."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable
from hashlib import sha256
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authorise.gate import Passage
from gateway.meter.model import LineCount
from gateway.meter.rates import (
    MICROS,
    Debit,
    RateKey,
    TooFast,
    arrival_after,
    interval_of,
    judged,
    left_of,
    wait_of,
)
from gateway.respond.left import tell_rate_refused
from gateway.respond.use import Use
from operators.limits import Limit

_MOST_REMEMBERED: Final = 65_536
_LOOKUPS: Final = LimitUnit.LIMIT_UNIT_LOOKUPS
_CLIENT: Final = LimitPer.LIMIT_PER_CLIENT
_ITEM: Final = LimitPer.LIMIT_PER_ITEM
_PURPOSE: Final = LimitPer.LIMIT_PER_PURPOSE
_SUBJECT: Final = LimitPer.LIMIT_PER_SUBJECT


def debits_of(
    limits: Iterable[Limit],
    use: Use,
    passage: Passage,
    subjects: Collection[str],
    lines: Iterable[LineCount] = (),
    *,
    by_name: bool = False,
) -> tuple[Debit, ...]:
    """Return what an answer about ``subjects`` with records of ``lines`` takes of ``limits``; the
    subject of one that is asked for ``by_name`` is known where it is there alone.

    Of each limit at least one unit, whatever was found, and judged by no more of one that counts
    records: what is counted or refused only where records are would tell who has some (G11).
    Without ``lines`` it is the least that any answer takes.
    ``subjects`` is empty where the record asked for is not there.
    """
    operator_id = passage.allow.operator_id
    records: Counter[str] = Counter()
    for line_no, count, _ in lines:
        records[passage.lines[line_no].item] += count
    asked = max(1, len(subjects))
    found: list[Debit] = []
    for limit in limits:
        interval = interval_of(limit.count, limit.period_seconds)
        if limit.per == _SUBJECT:
            found += [
                Debit(
                    RateKey(operator_id, limit.limit_id, _alias(subject)),
                    interval,
                    limit.burst,
                    cells=1,
                    least=0 if by_name else 1,
                )
                for subject in subjects
            ]
            continue
        key = _key(limit, use, passage)
        if key is None:
            continue
        cells = least = asked
        if limit.unit != _LOOKUPS:
            cells, least = max(1, _records_under(limit, records)), 1
        count = RateKey(operator_id, limit.limit_id, key)
        of_records = limit.unit != _LOOKUPS
        found.append(Debit(count, interval, limit.burst, cells, least, of_records))
    return tuple(found)


def record_debits(
    limits: Iterable[Limit], use: Use, passage: Passage, records: Counter[str], *, least: int = 0
) -> tuple[Debit, ...]:
    """Return what ``records``, by item, take of the limits that count records.

    Of each at least ``least`` units, and nothing of those of which they take none.
    """
    found: list[Debit] = []
    for limit in limits:
        if limit.unit == _LOOKUPS or limit.per == _SUBJECT:
            continue
        cells = max(least, _records_under(limit, records))
        key = _key(limit, use, passage)
        if cells and key is not None:
            interval = interval_of(limit.count, limit.period_seconds)
            count = RateKey(passage.allow.operator_id, limit.limit_id, key)
            found.append(Debit(count, interval, limit.burst, cells, least=1, of_records=True))
    return tuple(found)


class KnownOver:
    """Counts that a process knows to be over: an answer that takes more of one is refused
    before anything is done for it, unless it was charged before.

    An arrival time never goes back while clocks go on, so what was too soon by an old one is
    so by the store's. ``micros`` gives the time (µs, UTC).
    """

    def __init__(self, micros: Callable[[], int]) -> None:
        self._micros = micros
        self._arrivals: OrderedDict[RateKey, tuple[int, int]] = OrderedDict()

    def remember(self, over: TooFast) -> None:
        """Remember a count that the ledger found over."""
        if not over.wait:
            return
        self._arrivals[over.key] = over.arrival, over.owed
        self._arrivals.move_to_end(over.key)
        if len(self._arrivals) > _MOST_REMEMBERED:
            self._arrivals.popitem(last=False)

    def refusal(self, debits: Iterable[Debit]) -> TooFast | None:
        """Return how one of ``debits`` is known not to conform, None where none is."""
        arrivals = self._arrivals
        if not arrivals:
            return None
        now = self._micros()
        for debit in map(judged, debits):
            known = arrivals.get(debit.key)
            if known is None or not debit.cells:
                continue
            arrival, owed = known
            if arrival <= now:
                del arrivals[debit.key]
            elif wait := wait_of(debit, arrival_after(debit, arrival, now, owed), now):
                never = debit.cells > debit.burst
                left = left_of(debit, arrival, now, owed)
                return TooFast(debit.key, arrival, 0 if never else wait, left, owed)
        return None


def too_fast(over: TooFast, limits: Iterable[Limit]) -> Refused:
    """Return what an answer that would exceed one of ``limits`` is refused with, and keep what
    is left of that to be told behind it."""
    tell_rate_refused(over.left, limits)
    metadata = {"limit": over.key.limit_id}
    if not over.wait:
        return Refused(
            RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
            "The answer takes more at once than a limit of the administrator ever gives; ask for"
            " fewer subjects or items in one call.",
            metadata=metadata,
        )
    seconds, micros = divmod(over.wait, MICROS)
    return Refused(
        RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
        "The answer comes sooner than a limit of the administrator allows; nothing was charged."
        " Try again with the same request_id after the delay told.",
        retry_after=seconds,
        retry_micros=micros,
        metadata=metadata,
    )


def _records_under(limit: Limit, records: Counter[str]) -> int:
    return records[limit.item] if limit.item else records.total()


def _key(limit: Limit, use: Use, passage: Passage) -> str | None:
    """Return what of the operator is counted under a limit, None where it does not apply."""
    if limit.per == _CLIENT:
        client_id = use.ask.client_id
        return client_id if limit.client_id in ("", client_id) else None
    if limit.per == _PURPOSE:
        return str(use.purpose) if limit.purpose in (0, use.purpose) else None
    if limit.per == _ITEM:
        return limit.item if limit.item in passage.allow.items else None
    return ""


def _alias(subject: str) -> str:
    # No list of whom an operator asks about need stand in one more table.
    return sha256(subject.encode()).hexdigest()[:32]
