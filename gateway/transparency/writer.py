"""What is done to the disclosure log and map in one go: events, map, head, checkpoint.

All of it is one transaction: each checkpoint's last entry is the head of the map as it was
committed with it.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from gateway.catalogue.model import CatalogueBook
from gateway.storage.engines import reading
from gateway.transparency.disclosure_map import DisclosureMap
from gateway.transparency.entries import batch_of, head_entry, last_head, note_head
from gateway.transparency.events import read_events
from gateway.transparency.log import MerkleLog
from gateway.transparency.salts import Salts

EVENTS_AT_ONCE: Final = 5_000


class DisclosureWriter:
    """Writes the log of one store; one thread at a time, of whoever has the turn.

    ``catalogue`` gives the present one; raises Refused where it is not known.
    """

    def __init__(
        self,
        records: Engine,
        evidence: Engine,
        log: MerkleLog,
        salts: Salts,
        disclosure_map: DisclosureMap,
        catalogue: Callable[[], CatalogueBook],
    ) -> None:
        self._records = records
        self._evidence = evidence
        self._log = log
        self._salts = salts
        self._map = disclosure_map
        self._catalogue = catalogue

    def step(self, now: int) -> bool:
        """Log the next events, or that time changed the map, and sign.

        Returns whether there is more to do at once. Raises what the stores raise.
        """
        catalogue = self._catalogue()
        with reading(self._evidence) as connection:
            head = last_head(connection)
            due = head is None or self._map.due(connection, now, catalogue)
        after, seal = (0, b"") if head is None else (head.event_sequence, bytes(head.seal))
        with reading(self._records) as connection:
            events = read_events(connection, after, EVENTS_AT_ONCE)
        if not events and not due:
            return False
        batch = batch_of(events, self._salts, seal, lambda some: self._map.digests(some, catalogue))
        with self._evidence.begin() as connection:
            size = self._log.size(connection, writing=True)
            if last_head(connection) != head:
                # Another process had the turn meanwhile: all again, from where it came to.
                return True
            new_head = self._map.advance(connection, events, catalogue, now, batch.members)
            self._log.append(connection, [*batch.entries, head_entry(new_head)])
            note_head(connection, size + len(events), new_head.event_sequence, batch.seal)
            self._log.sign(connection, new_head.map_time.seconds)
        self._log.committed()
        return len(events) == EVENTS_AT_ONCE
