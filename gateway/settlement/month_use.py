"""The usage ledger as settlement reads it: where it ends, what is late, and its months."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import Engine, func, select

from gateway.meter.model import ANSWER, SECONDS_A_DAY
from gateway.meter.tables import USAGE, USAGE_HEADS
from gateway.settle.use import PriceClassOf
from gateway.settlement.ledger_month import (
    CREDIT,
    NOWHERE,
    LedgerMonth,
    LedgerPosition,
    of_answers,
)
from gateway.settlement.right_lines import NONE, RightLines
from gateway.storage.engines import reading
from gateway.storage.paging import pages

ANSWERS_AT_ONCE: Final = 20_000
_OWN: Final = USAGE.c


class LedgerMonths:
    """`gateway.settle.use.MonthUseReader` on SQLite and PostgreSQL. Calls block.

    Where entries are read, ``answers_at_once`` are held.
    """

    def __init__(self, engine: Engine, answers_at_once: int = ANSWERS_AT_ONCE) -> None:
        self._engine = engine
        self._at_once = answers_at_once

    def position(self, operator_id: str) -> LedgerPosition:
        """Return where an operator's ledger ends now."""
        query = (
            select(_OWN.usage_index, _OWN.sequence)
            .where(_OWN.operator_id == operator_id)
            .order_by(_OWN.sequence.desc())
            .limit(1)
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return NOWHERE if row is None else LedgerPosition(row[0] + 1, row[1])

    def earliest(self) -> int | None:
        """Return when the first use of all that is in the ledger was (seconds UTC), if any was."""
        query = select(USAGE_HEADS.c.operator_id)
        with reading(self._engine) as connection:
            firsts = [
                connection.execute(
                    select(func.min(_OWN.served_at)).where(_OWN.operator_id == operator_id)
                ).scalar_one()
                for operator_id in connection.execute(query).scalars().all()
            ]
        return min((first for first in firsts if first is not None), default=None)

    def operators(self) -> frozenset[str]:
        """Return the operators there is use of."""
        with reading(self._engine) as connection:
            return frozenset(connection.execute(select(USAGE_HEADS.c.operator_id)).scalars())

    def late_days(
        self, operator_id: str, since: LedgerPosition, through: LedgerPosition, before: int
    ) -> frozenset[int]:
        """Return the days of answers served before an instant that came to the ledger, or were
        credited, after ``since`` up to ``through``. Instants in seconds, UTC."""
        day = _OWN.served_at - _OWN.served_at % SECONDS_A_DAY
        answers = select(day).where(
            _OWN.operator_id == operator_id,
            _OWN.sequence > since.sequence,
            _OWN.sequence <= through.sequence,
            _OWN.served_at < before,
            _OWN.kind == ANSWER,
        )
        credited = of_answers(select(day)).where(
            CREDIT.c.operator_id == operator_id,
            CREDIT.c.sequence > since.sequence,
            CREDIT.c.sequence <= through.sequence,
            _OWN.served_at < before,
        )
        with reading(self._engine) as connection:
            # A union has each day once.
            return frozenset(connection.execute(answers.union(credited)).scalars())

    def served_at(self, operator_id: str, places: Collection[int]) -> Mapping[int, int]:
        """Return when the answers at places of an operator's log were served (seconds UTC);
        without those there are none of."""
        found: dict[int, int] = {}
        with reading(self._engine) as connection:
            for some in pages(set(places)):
                query = select(_OWN.usage_index, _OWN.served_at).where(
                    _OWN.operator_id == operator_id,
                    _OWN.usage_index.in_(some),
                    _OWN.kind == ANSWER,
                )
                found |= {row[0]: row[1] for row in connection.execute(query)}
        return found

    def month_use(
        self,
        operator_id: str,
        starts: Sequence[int],
        until: int,
        price_class_of: PriceClassOf,
        through: LedgerPosition | None = None,
        right: RightLines = NONE,
    ) -> "LedgerMonth":
        """Return the use of a month; see the port. None later than ``through`` is counted.

        Uses at the places of ``right`` count as they ought to.
        """
        at = through or self.position(operator_id)
        return LedgerMonth(
            self._engine, operator_id, starts, until, price_class_of, at, self._at_once, right
        )
