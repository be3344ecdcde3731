"""Writing the usage logs: each follows its operator's rows of the ledger.

An operator's rows are committed in the order of their places, one behind the other
(`gateway.meter.ledger`), so none can come late: what is behind the newest entry is all that is
new. Each row has its leaf's hash, which is all that is read and written of it. Hashes and the
signed checkpoint are one transaction.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from creditgate.transparency.merkle import leaf_hash
from gateway.meter.tables import USAGE_HEADS
from gateway.storage.background import NotNow
from gateway.storage.engines import reading
from gateway.transparency.log import SignedCheckpoint
from gateway.usage.leaves import LedgerLeaves, LedgerLost
from gateway.usage.logs import NOT_BEGUN, OperatorLogs, Standing

LEAVES_AT_ONCE: Final = 5_000
_LEAST_OF_ONE: Final = 50


class _News(NamedTuple):
    operator_id: str
    before: Standing
    sequence: int
    hashes: Sequence[bytes]


class UsageLogWriter:
    """Writes the usage logs of one store; one thread at a time, of whoever has the turn."""

    def __init__(self, records: Engine, evidence: Engine, logs: OperatorLogs) -> None:
        self._records = records
        self._evidence = evidence
        self._logs = logs
        self._ledger = LedgerLeaves()

    def step(self, now: int) -> bool:
        """Log the next uses and sign; tell whether there are more.

        Raises what the stores raise, NotNow where another process wrote meanwhile, and
        LedgerLost once the other operators' are logged. Those whose log is of another key are passed
        over (`gateway.server.key_watch` tells of them).
        """
        with reading(self._evidence) as connection:
            standings = self._logs.standings(connection)
            of_another_key = self._logs.of_another_key(connection)
        with reading(self._records) as connection:
            grown = {
                operator_id: next_index
                for operator_id, next_index in _heads(connection)
                if next_index != standings.get(operator_id, NOT_BEGUN).size
                and operator_id not in of_another_key
            }
            lost = [
                operator_id
                for operator_id, standing in standings.items()
                if standing.size > grown.get(operator_id, standing.size)
            ]
            limit = max(LEAVES_AT_ONCE // max(len(grown), 1), _LEAST_OF_ONE)
            news: list[_News] = []
            for operator_id in grown.keys() - lost:
                each = self._news(
                    connection, operator_id, standings.get(operator_id, NOT_BEGUN), limit
                )
                if each is None:
                    lost.append(operator_id)
                else:
                    news.append(each)
        if news:
            self._write(news, now)
        if lost:
            raise LedgerLost
        return any(each.before.size + len(each.hashes) < grown[each.operator_id] for each in news)

    def _news(
        self, connection: Connection, operator_id: str, before: Standing, limit: int
    ) -> _News | None:
        """Return an operator's next leaves, None where they are not those of the next places, or
        the newest that is logged is not in the ledger any more."""
        if before.size and not self._is_there(connection, operator_id, before):
            return None
        found = self._ledger.hashes_after(connection, operator_id, before.sequence, limit)
        expected = range(before.size, before.size + len(found.places))
        if not expected or [*found.places] != [*expected]:
            return None
        return _News(operator_id, before, found.sequences[-1], found.hashes)

    def _is_there(self, connection: Connection, operator_id: str, before: Standing) -> bool:
        """Tell whether the ledger has what a log has newest."""
        log = self._logs.of(operator_id)
        found = self._ledger.after(connection, operator_id, before.sequence - 1, 1)
        # A ledger that was put back may give numbers anew: they do not tell.
        return log is not None and [(each.sequence, leaf_hash(each.leaf)) for each in found] == [
            (before.sequence, newest) for newest in log.leaf_hashes(before.size - 1, before.size)
        ]

    def _write(self, news: list[_News], now: int) -> None:
        heads: list[tuple[str, SignedCheckpoint]] = []
        with self._evidence.begin() as connection:
            for each in news:
                log = self._logs.begun(connection, each.operator_id)
                if log.append_hashes(connection, each.hashes) != each.before.size:
                    # Another process had the turn meanwhile: all again, from where it came to.
                    raise NotNow
                heads.append((each.operator_id, log.sign(connection, now)))
                self._logs.came_to(connection, each.operator_id, each.sequence)
            self._logs.link(connection, heads, now)
        self._logs.committed()


def _heads(connection: Connection) -> list[tuple[str, int]]:
    return [(row.operator_id, row.next_index) for row in connection.execute(select(USAGE_HEADS))]
