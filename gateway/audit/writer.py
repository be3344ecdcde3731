"""Writing the decision log: follows the ledger, refusals and consents' changes into a Merkle
log.

Entries, what they are found by, how far was followed and the signed checkpoint are one
transaction.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection, Engine

from gateway.audit.decision import Entries, Receipts
from gateway.audit.following import follow_to, news_of, positions_in
from gateway.audit.lost import LOOK_SECONDS, found_of, lose, lost_in, ranges_of, regain
from gateway.audit.sources import COLUMNS, made_in, name_of
from gateway.audit.tables import DECISIONS, Source
from gateway.meter.region_asks import AskedFor, asked_for
from gateway.storage.engines import reading
from gateway.storage.statements import add_rows
from gateway.transparency.log import MerkleLog

DECISIONS_AT_ONCE: Final = 5_000
_NEVER: Final = -LOOK_SECONDS
_MOST_TOLD: Final = 50
_log = logging.getLogger(__name__)


class DecisionWriter:
    """Writes the log of one store; one thread at a time, of whoever has the turn.

    ``operator_of`` gives the operator a client is of, "" for none; raises Refused where
    authority is not known.
    """

    def __init__(
        self,
        records: Engine,
        evidence: Engine,
        log: MerkleLog,
        operator_of: Callable[[str], str],
        receipts: Receipts,
    ) -> None:
        self._records = records
        self._evidence = evidence
        self._log = log
        self._entries = Entries(operator_of, receipts, self._asks)
        self._looked_at = _NEVER

    def _asks(self, digests: Collection[bytes]) -> Mapping[tuple[str, bytes], AskedFor]:
        with reading(self._records) as connection:
            return asked_for(connection, digests)

    def step(self, now: int) -> bool:
        """Log the next decisions and sign; tell whether there are more.

        Raises what the stores raise.
        """
        looking = not self._looked_at <= now < self._looked_at + LOOK_SECONDS
        with reading(self._evidence) as connection:
            before = positions_in(connection)
            size = self._log.size(connection)
            lost = _lost(connection) if looking else {}
        news = [
            news_of(self._records, COLUMNS[position.source], position, DECISIONS_AT_ONCE, now)
            for position in before
        ]
        came = {
            source: found_of(self._records, COLUMNS[source], numbers, DECISIONS_AT_ONCE)
            for source, numbers in lost.items()
        }
        more = any(len(rows) == DECISIONS_AT_ONCE for rows in came.values())
        if looking and not more:
            self._looked_at = now
        after = [each.position for each in news]
        decisions = [
            decision
            for each in news
            for rows in (each.rows, came.get(each.position.source, ()))
            for decision in made_in(each.position.source, rows)
        ]
        if after == before and not decisions:
            return False
        # In the order they were made in, as far as they came at once.
        decisions.sort(key=itemgetter(0))
        # Before the lock is taken: the store of evidence has others who write.
        entries = self._entries.of(decisions, size)
        with self._evidence.begin() as connection:
            moved = self._log.size(connection, writing=True) != size
            moved = moved or positions_in(connection) != before
            if moved or (looking and _lost(connection) != lost):
                # Another process had the turn meanwhile: all again, from where it came to.
                self._looked_at = _NEVER
                return True
            for former, each in zip(before, news, strict=True):
                follow_to(connection, former, each.position)
                lose(connection, former.source, each.given_up)
            for source, found in came.items():
                regain(connection, source, lost[source], {row[0] for row in found})
            if entries:
                self._log.append(connection, [entry.leaf for entry in entries])
                add_rows(connection, DECISIONS, [entry.found_by for entry in entries])
                self._log.sign(connection, now)
        if entries:
            self._log.committed()
        for each in news:
            _tell(each.position.source, each.given_up, "were given up: they are looked for rarely")
        for source, found in came.items():
            late = ranges_of(row[0] for row in found)
            _tell(source, late, "came after they had been given up, and were logged")
        return more or any(each.more for each in news)


def _lost(connection: Connection) -> dict[Source, list[range]]:
    return {source: lost_in(connection, source) for source in Source}


def _tell(source: Source, numbers: Sequence[range], what: str) -> None:
    if not numbers:
        return
    told = [f"{each.start}-{each[-1]}" for each in numbers[:_MOST_TOLD]]
    if len(numbers) > _MOST_TOLD:
        told.append(f"{len(numbers) - _MOST_TOLD} ranges more")
    _log.warning("numbers of %s %s: %s", name_of(source), what, ", ".join(told))
