"""Which records of answers were credited afterwards, since the operator did not receive them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select, tuple_

from gateway.meter.model import REVERSAL, unpack_entries
from gateway.meter.tables import USAGE
from gateway.settle.usage import use_name

_U: Final = USAGE.c
_KEY: Final = tuple_(_U.operator_id, _U.request_id, _U.chunk)
_ANSWERS_A_QUERY: Final = 100
_Row = Row[*tuple[Any, ...]]


class Credited(NamedTuple):
    """That a record was credited ``at`` an instant (seconds, UTC): where in the operator's usage log,
    and by which decision."""

    use: str
    decision_id: str
    at: int


NOTHING: Final[Mapping[int, Credited]] = MappingProxyType({})


class Credits:
    """What was credited of some answers of the ledger, rows of `gateway.meter.tables.USAGE`."""

    def __init__(self, connection: Connection, answers: Iterable[_Row]) -> None:
        self._found: dict[tuple[str, str, int], dict[int, Credited]] = {}
        keys = sorted({_key(answer) for answer in answers if answer.entry_count})
        for start in range(0, len(keys), _ANSWERS_A_QUERY):
            some = keys[start : start + _ANSWERS_A_QUERY]
            query = select(USAGE).where(_KEY.in_(some), _U.kind == REVERSAL)
            for row in connection.execute(query):
                credited = Credited(
                    use_name(row.operator_id, row.usage_index), row.decision_id, row.served_at
                )
                self._found[_key(row)] = dict.fromkeys(unpack_entries(row.entries), credited)

    def of(self, answer: _Row) -> Mapping[int, Credited]:
        """Return what of one of the answers was credited, by the sequences of revisions."""
        return self._found.get(_key(answer), NOTHING)


def _key(row: _Row) -> tuple[str, str, int]:
    return row.operator_id, row.request_id, row.chunk
