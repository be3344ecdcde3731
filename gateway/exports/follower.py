"""Telling a receiver of all uses, one operator's behind the other: at least once.

An operator's rows are committed in the order of their places (`gateway.meter.ledger`), so what is
behind the last one told is all that is new. How far a receiver was told is kept once it has it:
what it has twice after a crash has the same ids.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, insert, select, update

from gateway.exports.model import Use
from gateway.exports.tables import EXPORTED
from gateway.exports.uses import (
    NOT_BEGUN,
    Followed,
    LedgerLost,
    LedgerUses,
    RowUses,
    ends,
    heads,
)
from gateway.storage.engines import reading

ROWS_AT_ONCE: Final = 500
_NAMED_BY: Final = 32
_MET: Final = ""
"""No operator: that a receiver was met, though there was nothing yet."""


class Receiver(Protocol):
    """Takes uses. Calls block."""

    @property
    def name(self) -> str:
        """What its progress is kept by, 64 characters at most; see `receiver_name`."""
        ...

    @property
    def from_now(self) -> bool:
        """Whether it is told only of what comes after it was first met, not of all there is."""
        ...

    @property
    def at_once(self) -> int:
        """How many uses it is given at once, at most, unless one row of the ledger has more."""
        ...

    def take(self, uses: Sequence[Use], now: int) -> None:
        """Take uses, so that they are not lost any more. Raises where it cannot: then they come
        again."""
        ...


def receiver_name(kind: str, address: str) -> str:
    """Return what a receiver's progress is kept by: another address is told from the start."""
    return f"{kind}-{sha256(address.encode()).hexdigest()[:_NAMED_BY]}"


class UsageFollower:
    """Tells one receiver of the uses of a ledger; one thread at a time, of whoever has the
    turn."""

    def __init__(self, records: Engine, evidence: Engine, receiver: Receiver) -> None:
        self._records = records
        self._evidence = evidence
        self._receiver = receiver
        self._ledger = LedgerUses()

    def step(self, now: int) -> bool:
        """Tell of the next uses of each operator; tell whether there are more.

        Raises what the stores and the receiver raise, and LedgerLost once the other operators'
        are told.
        """
        with reading(self._evidence) as connection:
            told = self._told(connection)
        with reading(self._records) as connection:
            grown = {
                operator_id: size
                for operator_id, size in heads(connection).items()
                if size != told.get(operator_id, NOT_BEGUN).size
            }
            if self._receiver.from_now and not told:
                self._keep({}, {_MET: NOT_BEGUN, **ends(connection, grown)})
                return False
        more = lost = False
        for operator_id, size in grown.items():
            before = told.get(operator_id, NOT_BEGUN)
            try:
                after = self._tell(operator_id, before, now)
            except LedgerLost:
                lost = True
                continue
            more |= after.size < size
        if lost:
            raise LedgerLost
        return more

    def _tell(self, operator_id: str, before: Followed, now: int) -> Followed:
        with reading(self._records) as connection:
            found = self._ledger.after(connection, operator_id, before, ROWS_AT_ONCE)
        if not found:
            # It was told of more than there is.
            raise LedgerLost
        told = before
        # Kept each time: one that takes only so much comes further with every step all the same.
        for uses, to in _portions(found, self._receiver.at_once):
            if uses:
                self._receiver.take(uses, now)
            self._keep({operator_id: told}, {operator_id: to})
            told = to
        return told

    def _told(self, connection: Connection) -> dict[str, Followed]:
        query = select(EXPORTED.c.operator_id, EXPORTED.c.size, EXPORTED.c.sequence)
        own = query.where(EXPORTED.c.receiver == self._receiver.name)
        return {row[0]: Followed(row[1], row[2]) for row in connection.execute(own)}

    def _keep(self, before: dict[str, Followed], after: dict[str, Followed]) -> None:
        name = self._receiver.name
        with self._evidence.begin() as connection:
            for operator_id, (size, sequence) in after.items():
                if before.get(operator_id, NOT_BEGUN) == NOT_BEGUN:
                    own = {"receiver": name, "operator_id": operator_id}
                    connection.execute(insert(EXPORTED).values(**own, size=size, sequence=sequence))
                else:
                    connection.execute(
                        update(EXPORTED)
                        .where(EXPORTED.c.receiver == name, EXPORTED.c.operator_id == operator_id)
                        .values(size=size, sequence=sequence)
                    )


def _portions(rows: Sequence[RowUses], most: int) -> Iterator[RowUses]:
    """Yield rows put together as long as they have ``most`` uses at most; none is divided."""
    uses, to = list(rows[0].uses), rows[0].to
    for row in rows[1:]:
        if uses and len(uses) + len(row.uses) > most:
            yield RowUses(uses, to)
            uses = []
        uses += row.uses
        to = row.to
    yield RowUses(uses, to)
