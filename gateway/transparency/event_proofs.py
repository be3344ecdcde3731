"""Where events stand in the disclosure log, and proofs that they do."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine

from creditgate.v1.disclosure_proof_pb2 import EntryProof
from gateway.storage.engines import reading
from gateway.transparency.entries import log_index_of
from gateway.transparency.log import MerkleLog, SignedCheckpoint


class ProvenEvents(NamedTuple):
    """Proofs of events against one checkpoint, in the order asked."""

    checkpoint: SignedCheckpoint
    proofs: list[EntryProof]


class EventProofs:
    """Proves events of the disclosure log. Calls block; any thread."""

    def __init__(self, engine: Engine, log: MerkleLog) -> None:
        self._engine = engine
        self._log = log

    def index_of(self, event_sequence: int) -> int:
        """Return the place of an event in the log, whether or not it has come so far."""
        with reading(self._engine) as connection:
            return log_index_of(connection, event_sequence)

    def latest(self, event_sequences: Sequence[int]) -> ProvenEvents:
        """Return proofs of events against the newest checkpoint.

        Raises LookupError where it does not cover all of them.
        """
        # The checkpoint first: what it covers stands where it stands for ever.
        with reading(self._engine) as connection:
            checkpoint = self._log.latest_in(connection)
            if checkpoint is None:
                raise LookupError("nothing was logged yet")
            indexes = [log_index_of(connection, sequence) for sequence in event_sequences]
        if any(index >= checkpoint.size for index in indexes):
            raise LookupError("the log has not come so far")
        return ProvenEvents(checkpoint, self.against(checkpoint.size, indexes))

    def against(self, size: int, indexes: Sequence[int]) -> list[EntryProof]:
        """Return proofs of entries against the tree of ``size``. Raises LookupError."""
        return [
            EntryProof(log_index=index, entry=entry, audit_path=path)
            for index, entry, path in zip(
                indexes,
                self._log.entries(indexes),
                self._log.inclusions(indexes, size),
                strict=True,
            )
        ]
