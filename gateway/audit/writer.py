"""Writing the decision log: follows the ledger, refusals and consents' changes into a Merkle
log.

Entries, what they are found by, how far was followed and the signed checkpoint are one
transaction.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, Engine, insert

from gateway.audit.decision import Decision, Receipts
from gateway.audit.following import Position, follow_to, news_of, position_in
from gateway.audit.lost import LOOK_SECONDS, found_of, lose, lost_in, ranges_of, regain
from gateway.audit.sources import TABLES, decisions_of
from gateway.audit.tables import DECISIONS, Source
from gateway.storage.engines import reading
from gateway.transparency.log import MerkleLog

DECISIONS_AT_ONCE: Final = 2_000
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
        self._operator_of = operator_of
        self._receipts = receipts
        self._looked_at = _NEVER

    def step(self, now: int) -> bool:
        """Log the next decisions and sign; tell whether there are more.

        Raises what the stores raise.
        """
        looking = not self._looked_at <= now < self._looked_at + LOOK_SECONDS
        with reading(self._evidence) as connection:
            before = _positions(connection)
            lost = _lost(connection) if looking else {}
        news = [
            news_of(self._records, TABLES[position.source], position, DECISIONS_AT_ONCE, now)
            for position in before
        ]
        came = {
            source: found_of(self._records, TABLES[source], numbers, DECISIONS_AT_ONCE)
            for source, numbers in lost.items()
        }
        more = any(len(rows) == DECISIONS_AT_ONCE for rows in came.values())
        if looking and not more:
            self._looked_at = now
        after = [each.position for each in news]
        rows = {
            each.position.source: [*each.rows, *came.get(each.position.source, ())] for each in news
        }
        if after == before and not any(rows.values()):
            return False
        # In the order they were made in, as far as they came at once.
        decisions = sorted(
            (
                decision
                for source, some in rows.items()
                for decision in decisions_of(source, some, self._operator_of, self._receipts)
            ),
            key=lambda decision: decision.entry.decide_time.seconds,
        )
        with self._evidence.begin() as connection:
            size = self._log.size(connection, writing=True)
            if _positions(connection) != before or (looking and _lost(connection) != lost):
                # Another process had the turn meanwhile: all again, from where it came to.
                self._looked_at = _NEVER
                return True
            for former, each in zip(before, news, strict=True):
                follow_to(connection, former, each.position)
                lose(connection, former.source, each.given_up)
            for source, found in came.items():
                regain(connection, source, lost[source], {row.sequence for row in found})
            if decisions:
                self._append(connection, size, decisions)
                self._log.sign(connection, now)
        if decisions:
            self._log.committed()
        for each in news:
            _tell(each.position.source, each.given_up, "were given up: they are looked for rarely")
        for source, found in came.items():
            late = ranges_of(row.sequence for row in found)
            _tell(source, late, "came after they had been given up, and were logged")
        return more or any(each.more for each in news)

    def _append(self, connection: Connection, size: int, decisions: list[Decision]) -> None:
        leaves: list[bytes] = []
        for sequence, decision in enumerate(decisions, size):
            decision.entry.sequence = sequence
            leaves.append(decision.entry.SerializeToString(deterministic=True))
        self._log.append(connection, leaves)
        connection.execute(insert(DECISIONS), [_row(decision) for decision in decisions])


def _positions(connection: Connection) -> list[Position]:
    return [position_in(connection, source) for source in Source]


def _lost(connection: Connection) -> dict[Source, list[range]]:
    return {source: lost_in(connection, source) for source in Source}


def _tell(source: Source, numbers: Sequence[range], what: str) -> None:
    if not numbers:
        return
    told = [f"{each.start}-{each[-1]}" for each in numbers[:_MOST_TOLD]]
    if len(numbers) > _MOST_TOLD:
        told.append(f"{len(numbers) - _MOST_TOLD} ranges more")
    _log.warning("numbers of %s %s: %s", TABLES[source].name, what, ", ".join(told))


def _row(decision: Decision) -> dict[str, object]:
    entry = decision.entry
    return {
        "log_index": entry.sequence,
        "at": entry.decide_time.seconds,
        "decision_id": decision.decision_id,
        "client_id": entry.client_id,
        "operator_id": entry.operator_id,
        "request_id": entry.request_id,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "source": int(decision.source),
        "source_sequence": decision.source_sequence,
    }
