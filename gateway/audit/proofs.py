"""Proofs of decisions: each in the decision log, and the log only ever grown."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Engine, select

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.audit.tables import DECISIONS
from gateway.storage.engines import reading
from gateway.transparency.log import MerkleLog, SignedCheckpoint

LOGGED_SECONDS: Final = 2.0
"""For so long a decision just made is waited for."""
_LOOK_SECONDS: Final = 0.05
_KEYS_A_QUERY: Final = 500


class LogAt(NamedTuple):
    """The decision log as one answer shows it."""

    checkpoint: SignedCheckpoint
    proof: pb.AuditProof


class DecisionProofs:
    """Reads the decision log of one store. Calls block; any thread.

    ``hurry`` is called where a decision is waited for, from whichever thread.
    """

    def __init__(self, evidence: Engine, log: MerkleLog, hurry: Callable[[], object]) -> None:
        self._evidence = evidence
        self._log = log
        self._hurry = hurry

    def at(self, known_tree_size: int) -> LogAt:
        """Return the newest state of the log, proved to extend that of ``known_tree_size``.

        Raises Refused INVALID_REQUEST for a size it never had, TEMPORARILY_UNAVAILABLE before
        the first checkpoint.
        """
        latest = self._log.latest()
        if latest is None:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "No decision was logged yet; try again.",
                retry_after=1,
            )
        if not 0 <= known_tree_size <= latest.size:
            raise invalid(
                Violation("known_tree_size", "use the tree size of a checkpoint you hold, or 0")
            )
        proof = pb.AuditProof(checkpoint=latest.note)
        if known_tree_size:
            proof.consistency_proof.extend(self._log.consistency(known_tree_size, latest.size))
        return LogAt(latest, proof)

    def decisions(self, indexes: Sequence[int], at: LogAt) -> list[pb.LoggedDecision]:
        """Return entries of the log with their paths, in the order asked."""
        return [
            pb.LoggedDecision(entry=pb.DecisionEntry.FromString(entry), audit_path=path)
            for entry, path in zip(
                self._log.entries(indexes),
                self._log.inclusions(indexes, at.checkpoint.size),
                strict=True,
            )
        ]

    def indexes_of(self, decision_ids: Collection[str]) -> dict[str, int]:
        """Return where decisions are in the log, by id; waits a moment for those just made,
        and leaves out what is not logged then."""
        until = time.monotonic() + LOGGED_SECONDS
        found: dict[str, int] = {}
        while True:
            found.update(self._known(set(decision_ids) - found.keys()))
            if len(found) == len(set(decision_ids)) or time.monotonic() > until:
                return found
            self._hurry()
            time.sleep(_LOOK_SECONDS)

    def _known(self, decision_ids: Collection[str]) -> dict[str, int]:
        ids = sorted(decision_ids)
        found: dict[str, int] = {}
        with reading(self._evidence) as connection:
            for start in range(0, len(ids), _KEYS_A_QUERY):
                query = select(DECISIONS.c.decision_id, DECISIONS.c.log_index).where(
                    DECISIONS.c.decision_id.in_(ids[start : start + _KEYS_A_QUERY])
                )
                found |= {row.decision_id: row.log_index for row in connection.execute(query)}
        return found
