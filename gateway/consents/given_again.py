"""How often retries were given a record again, and when last: no use of its own, and charged
nothing, but the record was sent once more."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from gateway.consents.beside import LedgerRow, key_of, rows_beside
from gateway.meter.model import unpack_entries
from gateway.meter.replays import REPLAYS


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
        for row in rows_beside(connection, select(REPLAYS), REPLAYS, answers):
            given = frozenset(unpack_entries(bytes(row.entries)))
            self._of_answer[key_of(row)].append((given, GivenAgain(row.times, row.replayed_at)))

    def of(self, answer: LedgerRow) -> "Replayed":
        """Return what retries of one of the answers were given again."""
        return Replayed(self._of_answer.get(key_of(answer), ()))


class Replayed(NamedTuple):
    """What retries of one answer were given again, by the sequences of the revisions given."""

    given: Sequence[tuple[frozenset[int], GivenAgain]] = ()

    def of(self, sequence: int) -> GivenAgain | None:
        """Return how often a revision was given again and when last, None where it was not."""
        return together([again for sequences, again in self.given if sequence in sequences])


def together(found: Sequence[GivenAgain]) -> GivenAgain | None:
    """Return how often one record was given again with several parts of its answer, None for none."""
    if not found:
        return None
    return GivenAgain(sum(each.times for each in found), max(each.last_at for each in found))
