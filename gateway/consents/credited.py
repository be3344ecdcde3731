"""Which records of answers were credited afterwards, since the operator did not receive them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.consents.beside import LedgerRow, key_of, rows_beside
from gateway.meter.model import REVERSAL, unpack_entries
from gateway.meter.tables import USAGE
from gateway.settle.usage import use_name

_REVERSED: Final = select(USAGE).where(USAGE.c.kind == REVERSAL)


class Credited(NamedTuple):
    """That a record was credited ``at`` an instant (seconds, UTC): where in the operator's usage log,
    and by which decision."""

    use: str
    decision_id: str
    at: int


NOTHING: Final[Mapping[int, Credited]] = MappingProxyType({})


class Credits:
    """What was credited of some answers of the ledger."""

    def __init__(self, connection: Connection, answers: Iterable[LedgerRow]) -> None:
        self._found: dict[tuple[str, str, int], dict[int, Credited]] = {}
        for row in rows_beside(connection, _REVERSED, USAGE, answers):
            credited = Credited(
                use_name(row.operator_id, row.usage_index), row.decision_id, row.served_at
            )
            self._found[key_of(row)] = dict.fromkeys(unpack_entries(row.entries), credited)

    def of(self, answer: LedgerRow) -> Mapping[int, Credited]:
        """Return what of one of the answers was credited, by the sequences of revisions."""
        return self._found.get(key_of(answer), NOTHING)
