"""What a transaction of the usage ledger does alike on both stores."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

from gateway.disclose.model import Line
from gateway.meter.holds import Hold, HoldKey
from gateway.meter.model import AnswerKey, UsageClaim
from gateway.meter.rates import RateCounts, RateKey
from gateway.meter.replays import Again, rows_of, written
from gateway.meter.store import Statements

_Statements = TypeVar("_Statements", bound=Statements)


class OnEitherStore(Generic[_Statements]):
    """The part of `LedgerTransaction` whose statements are the same but for the driver's words;
    ``cursor`` is the driver's own."""

    def __init__(self, cursor: Any, statements: _Statements) -> None:
        self._cursor = cursor
        self._statements = statements

    def head(self) -> int:
        """Return the newest event's sequence."""
        self._cursor.execute(self._statements.head, ())
        (head,) = self._cursor.fetchall()[0]
        return head or 0

    def note_replays(self, again: Mapping[Again, int], now: int) -> None:
        """Write that answers are given again, each so often, and tell it."""
        rows = rows_of(again, now)
        self._cursor.executemany(self._statements.replayed, rows)
        self._cursor.executemany(self._statements.told, written(rows))

    def hold(self, holds: Collection[Hold], given_back: Collection[HoldKey], now: int) -> None:
        """Write what is held, and forget what is not."""
        self._statements.holds.write(self._cursor, holds, given_back, now)

    def advance(self, claims: Iterable[UsageClaim]) -> set[AnswerKey]:
        """Take note of how far deliveries were acknowledged."""
        over: set[AnswerKey] = set()
        for claim in claims:
            if (delivery := claim.delivery) is None:
                continue
            places = (*delivery.reached, claim.served_at)
            had = (claim.operator_id, claim.request_id, delivery.turn)
            self._cursor.execute(self._statements.advance, (*places, *had))
            if not self._cursor.rowcount:
                over.add(claim.answer_key)
        return over

    def rates(self, keys: Collection[RateKey]) -> RateCounts:
        """Return counts."""
        return self._statements.rates.read(self._cursor, keys)

    def set_rates(self, counts: RateCounts) -> None:
        """Write counts."""
        self._statements.rates.write(self._cursor, counts)

    def prune_rates(self, operator_ids: Collection[str], now: int) -> None:
        """Forget counts that say nothing more."""
        self._statements.rates.prune(self._cursor, operator_ids, now)

    def lines(self) -> dict[int, Line]:
        """Return every revenue line."""
        self._cursor.execute(self._statements.lines, ())
        return {line_no: Line(*names) for line_no, *names in self._cursor.fetchall()}

    def place(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Take the next places of operators' usage logs."""
        first: dict[str, int] = {}
        for operator_id, count in counts.items():
            self._cursor.execute(self._statements.place, (operator_id, count))
            ((behind,),) = self._cursor.fetchall()
            first[operator_id] = behind - count
        return first
