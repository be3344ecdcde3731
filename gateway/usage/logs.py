"""The usage logs of a store: one Merkle log for each operator, begun with its first use.

All are signed by one key, which signs receipts too; each has an origin of its own below the
key's name (`creditgate.transparency.receipts`). They keep hashes alone: the leaves are the
ledger's rows (`gateway.usage.leaves`).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from creditgate.transparency.receipts import usage_log_key
from gateway.storage.engines import reading
from gateway.transparency.identity import require_own
from gateway.transparency.keys import LogKey
from gateway.transparency.log import MerkleLog, SignedCheckpoint
from gateway.transparency.tables import LOGS, LogId, OperatorLogId
from gateway.usage.anchor import link
from gateway.usage.tables import USAGE_LOGS

_MOST_OPEN: Final = 64
_MOST_TILES: Final = 32
_STANDINGS: Final = select(USAGE_LOGS.c.operator_id, LOGS.c.size, USAGE_LOGS.c.sequence).join(
    LOGS, LOGS.c.log == USAGE_LOGS.c.log
)
_OF_ANOTHER_KEY: Final = (
    select(USAGE_LOGS.c.operator_id)
    .join(LOGS, LOGS.c.log == USAGE_LOGS.c.log)
    .where(LOGS.c.public_key != bindparam("public"))
)
_NUMBER: Final = select(USAGE_LOGS.c.log).where(USAGE_LOGS.c.operator_id == bindparam("operator"))
_CAME_TO: Final = (
    update(USAGE_LOGS)
    .where(USAGE_LOGS.c.operator_id == bindparam("operator"))
    .values(sequence=bindparam("come_to"))
)


class Standing(NamedTuple):
    """How far an operator's log has come: its number of entries, and the ledger's sequence
    of the newest."""

    size: int
    sequence: int


NOT_BEGUN: Final = Standing(0, 0)


class OperatorLogs:
    """Usage logs by operator; any thread. ``key`` signs, in whoever has the turn to write."""

    def __init__(self, evidence: Engine, key: LogKey) -> None:
        self._evidence = evidence
        self._key = key
        self._open = lru_cache(_MOST_OPEN)(self._opened)
        # A log's number never changes once it is committed.
        self._committed: dict[str, int] = {}

    def standings(self, connection: Connection) -> dict[str, Standing]:
        """Return how far each operator's log has come."""
        return {
            operator_id: Standing(*rest) for operator_id, *rest in connection.execute(_STANDINGS)
        }

    def of_another_key(self, connection: Connection) -> set[str]:
        """Return the operators whose logs another key signs, so that nothing can be added to them."""
        asked = {"public": self._key.verifier.public}
        return {*connection.execute(_OF_ANOTHER_KEY, asked).scalars()}

    def standing(self, operator_id: str) -> Standing:
        """Return how far an operator's log has come. Blocks."""
        query = _STANDINGS.where(USAGE_LOGS.c.operator_id == operator_id)
        with reading(self._evidence) as connection:
            row = connection.execute(query).first()
        return NOT_BEGUN if row is None else Standing(row.size, row.sequence)

    def of(self, operator_id: str) -> MerkleLog | None:
        """Return an operator's log, None where it has not begun. Blocks."""
        number = self._committed.get(operator_id)
        if number is None:
            with reading(self._evidence) as connection:
                number = _number_of(connection, operator_id)
            if number is None:
                return None
            self._committed[operator_id] = number
        return self._open(operator_id, number)

    def link(
        self, connection: Connection, heads: Sequence[tuple[str, SignedCheckpoint]], at: int
    ) -> None:
        """Bind the logs' new heads, by operator, to what was signed before: a part of the
        transaction that signs them. Raises as `gateway.usage.anchor.link`."""
        linked = [(self._number(connection, operator_id), head) for operator_id, head in heads]
        link(connection, self._key, linked, at)

    def committed(self) -> None:
        """Note that what was signed last is committed."""
        if self._key.last is not None:
            self._key.last.committed()

    def begun(self, connection: Connection, operator_id: str) -> MerkleLog:
        """Return an operator's log, begun in the connection's transaction where there is none.

        One process at a time. Raises AnotherLog where the store's receipts go by another key.
        """
        if self._key.last is not None:
            verifier = self._key.verifier
            require_own(connection, LogId.USAGE, verifier, writing=True, begins=False)
        known = self._committed.get(operator_id) or _number_of(connection, operator_id)
        if known is not None:
            return self._open(operator_id, known)
        last = connection.execute(select(func.max(USAGE_LOGS.c.log))).scalar()
        number = OperatorLogId.FIRST if last is None else last + 1
        connection.execute(
            insert(USAGE_LOGS).values(operator_id=operator_id, log=number, sequence=0)
        )
        return self._open(operator_id, number)

    def came_to(self, connection: Connection, operator_id: str, sequence: int) -> None:
        """Note which row of the ledger a log's newest entry is of."""
        connection.execute(_CAME_TO, {"operator": operator_id, "come_to": sequence})

    def _number(self, connection: Connection, operator_id: str) -> int:
        """Return the number of a log that has begun, be it in the connection's transaction."""
        number = self._committed.get(operator_id) or _number_of(connection, operator_id)
        assert number is not None, "a head is signed of a log that has begun"
        return number

    def _opened(self, operator_id: str, number: int) -> MerkleLog:
        key = self._key.named(usage_log_key(self._key.verifier, operator_id).name)
        return MerkleLog(self._evidence, OperatorLogId(number), key, _MOST_TILES)


def _number_of(connection: Connection, operator_id: str) -> int | None:
    return connection.execute(_NUMBER, {"operator": operator_id}).scalar()
