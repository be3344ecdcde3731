"""The keys that a log had before, has, and has next: what the store knows of them.

A key that was put away by `creditgate log rotate` signed which one follows, and that one signed it
too. One that was lost, or put away as stolen, did not, and nothing that it signed is believed any
more. Calls block; any thread.
"""

from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.note import VerifierKey
from gateway.storage.engines import reading
from gateway.transparency.former import former_keys
from gateway.transparency.identity import known_key
from gateway.transparency.tables import ANNOUNCEMENTS, LogId

MOST_TOLD: Final = 16
"""Most notes of former keys of a log that are told to others, the newest."""


class Announced(NamedTuple):
    """The note by which a log's key says which is to follow, and since when it does."""

    note: str
    at: int


class LogLinks:
    """The keys of one log of a store, whose present one is ``key``.

    Which were before is read once: none is put away while a gateway runs.
    """

    def __init__(self, evidence: Engine, log: LogId, key: VerifierKey) -> None:
        self._evidence = evidence
        self._log = log
        self.key = key
        with reading(evidence) as connection:
            self.former = former_keys(connection, log, key)

    @property
    def keys(self) -> LinkedKeys:
        """Those that sign or signed."""
        return LinkedKeys.of(self.key, [each.note for each in self.former])

    def notes(self) -> list[str]:
        """Return what is told to others: the newest notes of former keys, the oldest first, and the
        present one's announcement where there is one."""
        with reading(self._evidence) as connection:
            announced = announced_for(connection, self._log, self.key)
        told = [each.note for each in self.former[-MOST_TOLD:]]
        return told if announced is None else [*told, announced.note]


def linked_keys(connection: Connection, log: LogId) -> LinkedKeys | None:
    """Return the keys that sign and signed for a store's log, None before it began."""
    key = known_key(connection, log)
    if key is None:
        return None
    return LinkedKeys.of(key, [each.note for each in former_keys(connection, log, key)])


def announced_for(connection: Connection, log: LogId, key: VerifierKey) -> Announced | None:
    """Return what ``key`` announces, None where it announces nothing."""
    row = connection.execute(
        select(ANNOUNCEMENTS.c.note, ANNOUNCEMENTS.c.at).where(ANNOUNCEMENTS.c.log == log)
    ).first()
    if row is None or LinkedKeys.of(key, [row.note]).announced is None:
        return None
    return Announced(row.note, row.at)
