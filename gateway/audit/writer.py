"""Writing the decision log: follows the ledger, refusals and consents' changes into a Merkle
log.

Entries, what they are found by, how far was followed and the signed checkpoint are one
transaction.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, insert

from gateway.audit.decision import Decision, Receipts
from gateway.audit.following import Position, follow_to, news_of, position_in
from gateway.audit.sources import TABLES, decisions_of
from gateway.audit.tables import DECISIONS, Source
from gateway.storage.engines import reading
from gateway.transparency.log import MerkleLog

DECISIONS_AT_ONCE: Final = 2_000


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

    def step(self, now: int) -> bool:
        """Log the next decisions and sign; tell whether there are more.

        Raises what the stores raise.
        """
        with reading(self._evidence) as connection:
            before = _positions(connection)
        news = [
            news_of(self._records, TABLES[position.source], position, DECISIONS_AT_ONCE, now)
            for position in before
        ]
        after = [each.position for each in news]
        if after == before and not any(each.rows for each in news):
            return False
        # In the order they were made in, as far as they came at once.
        decisions = sorted(
            (
                decision
                for each in news
                for decision in decisions_of(
                    each.position.source, each.rows, self._operator_of, self._receipts
                )
            ),
            key=lambda decision: decision.entry.decide_time.seconds,
        )
        with self._evidence.begin() as connection:
            size = self._log.size(connection, writing=True)
            if _positions(connection) != before:
                # Another process had the turn meanwhile: all again, from where it came to.
                return True
            for former, latter in zip(before, after, strict=True):
                follow_to(connection, former, latter)
            if decisions:
                self._append(connection, size, decisions)
                self._log.sign(connection, now)
        return any(each.more for each in news)

    def _append(self, connection: Connection, size: int, decisions: list[Decision]) -> None:
        leaves: list[bytes] = []
        for sequence, decision in enumerate(decisions, size):
            decision.entry.sequence = sequence
            leaves.append(decision.entry.SerializeToString(deterministic=True))
        self._log.append(connection, leaves)
        connection.execute(insert(DECISIONS), [_row(decision) for decision in decisions])


def _positions(connection: Connection) -> list[Position]:
    return [position_in(connection, source) for source in Source]


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
