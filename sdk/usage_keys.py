"""The keys a receipt book verifies by: the one it was begun with, and those that follow.

A key follows where the one before it signed so, in a note that the gateway hands on; or where the
owner has compared it, on another way than the network, and pins it in its turn.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.succession import former_named
from sdk.usage_tables import ASIDE, LINKS, PINS

MOST_ASIDE: Final = 1_000
"""Most receipts of unknown keys that a book keeps."""


class BookKeys:
    """The keys of one book's file, whose first is ``pinned``. Calls block; any thread."""

    def __init__(self, engine: Engine, pinned: VerifierKey) -> None:
        self._engine = engine
        self._pinned = pinned
        with engine.connect() as connection:
            self.known = self._read(connection)

    def learn(self, notes: Sequence[str]) -> bool:
        """Take on the keys that ``notes`` lead to; tell whether there are others than before."""
        if _with(self.known, notes) == self.known:
            return False
        with self._engine.begin() as connection:
            # Another process may have learnt them, or have pinned one, meanwhile.
            before = self._read(connection)
            leading = _leading(before, _with(before, notes), notes)
            rows = [{"note": note} for note in leading]
            if rows:
                connection.execute(insert(LINKS).on_conflict_do_nothing(), rows)
            self.known = self._read(connection)
        return True

    def pin(self, key: VerifierKey) -> None:
        """Pin a key that follows though no note says so."""
        if key in self.known.chain:
            return
        with self._engine.begin() as connection:
            connection.execute(insert(PINS).values(key=str(key)).on_conflict_do_nothing())
            self.known = self._read(connection)

    def put_aside(self, receipt: bytes) -> None:
        """Keep a receipt, serialised, that is signed by a key which may be learnt yet; not more than
        `MOST_ASIDE`."""
        with self._engine.begin() as connection:
            there = connection.execute(select(func.count()).select_from(ASIDE)).scalar_one()
            if there < MOST_ASIDE:
                connection.execute(insert(ASIDE).values(receipt=receipt).on_conflict_do_nothing())

    def taken_back(self) -> list[bytes]:
        """Return what was put aside, the first first; it is not any more."""
        with self._engine.begin() as connection:
            found = connection.execute(select(ASIDE.c.receipt).order_by(ASIDE.c.number)).scalars()
            receipts = list(found)
            connection.execute(delete(ASIDE).where(ASIDE.c.receipt.in_(receipts)))
        return receipts

    def _read(self, connection: Connection) -> LinkedKeys:
        notes = list(connection.execute(select(LINKS.c.note).order_by(LINKS.c.number)).scalars())
        found = LinkedKeys.of(self._pinned, notes)
        for text in connection.execute(select(PINS.c.key).order_by(PINS.c.number)).scalars():
            key = VerifierKey.parse(text)
            if key not in found.chain:
                found = LinkedKeys((*found.chain, key)).extended(notes)
        return found


def _with(known: LinkedKeys, notes: Sequence[str]) -> LinkedKeys:
    return known.preceded(notes).extended(notes)


def _leading(before: LinkedKeys, after: LinkedKeys, notes: Iterable[str]) -> Iterable[str]:
    """Yield the notes by which there is more in ``after`` than in ``before``: no others, or a key
    that names a second successor later would unsay what is known."""
    new = {*pairwise(after.chain)} - {*pairwise(before.chain)}
    for note in notes:
        key = former_named(note)
        if key is None:
            continue
        led = LinkedKeys((key,)).extended([note])
        announced = led.announced is not None and led.announced == after.announced
        if (announced and key == after.present) or led.chain in new:
            yield note
