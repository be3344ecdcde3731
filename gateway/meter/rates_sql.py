"""Counts of rates in the store of the ledger: read, written and pruned in its transaction.

Whoever charges an operator has it to himself (`gateway.meter.store`), so its counts are too.
"""

import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ARRAY, String, bindparam, delete, func, literal_column, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect

from gateway.meter.rates import RateCounts, RateKey
from gateway.meter.rates_tables import RATE_USE

MOST_PRUNED: Final = 2_000
"""Most counts forgotten at once: a transaction holds others up."""

_KEY: Final = (RATE_USE.c.operator_id, RATE_USE.c.limit_id, RATE_USE.c.key)
_ADD: Final = {"sqlite": sqlite.insert(RATE_USE), "postgresql": postgresql.insert(RATE_USE)}
_ASKS: Final = func.json_each(bindparam("asks")).table_valued("value")
_AS_JSON: Final = select(
    *(
        func.json_extract(_ASKS.c.value, literal_column(f"'$[{place}]'"), type_=String).label(name)
        for place, name in enumerate(RateKey._fields)
    )
).subquery("asked")
_AS_ARRAYS: Final = (
    func.unnest(*(bindparam(name, type_=ARRAY(String)) for name in RateKey._fields))
    .table_valued(*RateKey._fields)
    .render_derived()
)
_OVER: Final = delete(RATE_USE).where(
    tuple_(*_KEY).in_(
        select(*_KEY)
        .where(
            RATE_USE.c.operator_id == bindparam("operator_id"),
            RATE_USE.c.arrival <= bindparam("now"),
        )
        .limit(literal_column(str(MOST_PRUNED)))
        .offset(literal_column("0"))
    )
)


class RateStatements:
    """The statements, as text for one driver."""

    def __init__(self, dialect: Dialect) -> None:
        self._by_arrays = dialect.name == "postgresql"
        asked = _AS_ARRAYS if self._by_arrays else _AS_JSON
        read = select(*_KEY, RATE_USE.c.arrival, RATE_USE.c.owed).join_from(
            asked,
            RATE_USE,
            (RATE_USE.c.operator_id == asked.c.operator_id)
            & (RATE_USE.c.limit_id == asked.c.limit_id)
            & (RATE_USE.c.key == asked.c.key),
        )
        add = _ADD[dialect.name]
        self._read = str(read.compile(dialect=dialect))
        self._write = str(
            add.on_conflict_do_update(
                index_elements=[*_KEY],
                set_={"arrival": add.excluded.arrival, "owed": add.excluded.owed},
            ).compile(dialect=dialect)
        )
        self._prune = str(_OVER.compile(dialect=dialect))

    def read(self, cursor: DBAPICursor, keys: Collection[RateKey]) -> RateCounts:
        """Return counts, in microseconds UTC; those without use may lack."""
        asked: Any
        if self._by_arrays:
            asked = [list(column) for column in zip(*keys, strict=True)]
        else:
            asked = (json.dumps(list(keys)),)
        cursor.execute(self._read, asked)
        arrivals: dict[RateKey, int] = {}
        owing: dict[RateKey, int] = {}
        for *names, arrival, owed in cursor.fetchall():
            key = RateKey(*names)
            arrivals[key] = arrival
            if owed:
                owing[key] = owed
        return RateCounts(arrivals, owing)

    def write(self, cursor: DBAPICursor, counts: RateCounts) -> None:
        """Write counts."""
        owed = counts.owed
        rows = [(*key, arrival, owed.get(key, 0)) for key, arrival in counts.arrivals.items()]
        cursor.executemany(self._write, rows)

    def prune(self, cursor: DBAPICursor, operator_ids: Collection[str], now: int) -> None:
        """Forget counts of operators that are as full at ``now`` as those never used."""
        cursor.executemany(self._prune, [(operator_id, now) for operator_id in operator_ids])
