"""How often retries were given a record again, and when last: no use of its own, and charged
nothing, but the record was sent once more."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select, tuple_

from gateway.meter.model import unpack_entries
from gateway.meter.replays import REPLAYS

_R: Final = REPLAYS.c
_KEY: Final = tuple_(_R.operator_id, _R.request_id, _R.chunk)
_ANSWERS_A_QUERY: Final = 100
LedgerRow = Row[*tuple[Any, ...]]
"""A row of `gateway.meter.tables.USAGE`."""


class GivenAgain(NamedTuple):
    """So many ``times`` at least, ``last_at`` (seconds, UTC): before times were counted, once was
    all that was kept."""

    times: int
    last_at: int


class Replays:
    """What retries of some answers of the ledger were given again."""

    def __init__(self, connection: Connection, answers: Iterable[LedgerRow]) -> None:
        self._of_answer: dict[tuple[str, str, int], list[tuple[frozenset[int], GivenAgain]]]
        self._of_answer = defaultdict(list)
        keys = sorted({_key(answer) for answer in answers if answer.entry_count})
        for start in range(0, len(keys), _ANSWERS_A_QUERY):
            some = keys[start : start + _ANSWERS_A_QUERY]
            for row in connection.execute(select(REPLAYS).where(_KEY.in_(some))):
                given = frozenset(unpack_entries(bytes(row.entries)))
                self._of_answer[_key(row)].append((given, GivenAgain(row.times, row.replayed_at)))

    def of(self, answer: LedgerRow) -> "Replayed":
        """Return what retries of one of the answers were given again."""
        return Replayed(self._of_answer.get(_key(answer), ()))


class Replayed(NamedTuple):
    """What retries of one answer were given again, by the sequences of the revisions given."""

    given: Sequence[tuple[frozenset[int], GivenAgain]] = ()

    def of(self, sequence: int) -> GivenAgain | None:
        """Return how often a revision was given again and when last, None where it was not."""
        found = [again for sequences, again in self.given if sequence in sequences]
        if not found:
            return None
        return GivenAgain(sum(each.times for each in found), max(each.last_at for each in found))


def _key(row: LedgerRow) -> tuple[str, str, int]:
    return row.operator_id, row.request_id, row.chunk
