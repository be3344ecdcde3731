"""Proofs of use: that entries are in an operator's usage log, and the log only ever grown."""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Engine, select

from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.merkle import leaf_hash
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.reader import Elsewhere
from gateway.meter.tables import USAGE_HEADS
from gateway.storage.engines import reading
from gateway.transparency.log import MerkleLog, SignedCheckpoint
from gateway.usage.entries import has_entry
from gateway.usage.leaves import LedgerLeaf, LedgerLeaves, LedgerLost
from gateway.usage.logs import OperatorLogs
from gateway.usage.places import sequence_at

LOGGED_SECONDS: Final = 3.0
"""For so long a use just metered is waited for."""
_LOOK_SECONDS: Final = 0.05


class UseProof(NamedTuple):
    """A use as it is logged: its leaf, the audit path, and the checkpoint that leads to."""

    logged: LedgerLeaf
    path: Sequence[bytes]
    checkpoint: SignedCheckpoint


class LeafPage(NamedTuple):
    """Leaves of a log up to its newest checkpoint, None before the first; ``consistency``
    proves that the log begins with the tree asked for."""

    leaves: Sequence[bytes]
    checkpoint: SignedCheckpoint | None
    consistency: Sequence[bytes]


class UsageProofs:
    """Reads usage logs. Calls block; any thread.

    ``elsewhere`` gives the records of other regions, as listings of use have them; ``hurry`` is
    called where a use is waited for, from whichever thread.
    """

    def __init__(
        self,
        records: Engine,
        logs: OperatorLogs,
        elsewhere: Elsewhere,
        hurry: Callable[[], object],
    ) -> None:
        self._records = records
        self._logs = logs
        self._elsewhere = elsewhere
        self._hurry = hurry

    def named(self, operator_id: str, place: int, number: int | None) -> UseProof | None:
        """Return the proof of the use at a place of an operator's usage log, None where it has
        none, or one without a record of this ``number``. Raises as `use`."""
        with reading(self._records) as connection:
            sequence = sequence_at(connection, operator_id, place)
        return None if sequence is None else self.use(operator_id, sequence, number)

    def use(self, operator_id: str, sequence: int, number: int | None) -> UseProof | None:
        """Return the proof of an answer of the ledger, None where the operator has none of this
        sequence, or one without a record of this ``number``, from 0.

        Raises Refused TEMPORARILY_UNAVAILABLE where it is not logged in time, and LedgerLost
        where another use is logged in its place.
        """
        with reading(self._records) as connection:
            found = LedgerLeaves().of(connection, operator_id, sequence)
            if found is None or not (
                number is None
                or has_entry(connection, operator_id, sequence, number, self._elsewhere)
            ):
                return None
        log, checkpoint = self._covering(operator_id, found.place)
        _require_logged(log, [found])
        return UseProof(found, log.inclusion(found.place, checkpoint.size), checkpoint)

    def leaves(self, operator_id: str, start: int, limit: int, known: int) -> LeafPage:
        """Return leaves from a place on, and that the log grew from ``known`` leaves.

        Raises Refused INVALID_REQUEST for sizes it never had, TEMPORARILY_UNAVAILABLE for those
        that it is yet to have, and LedgerLost where the ledger has not what the log has.
        """
        log = self._logs.of(operator_id)
        latest = None if log is None else log.latest()
        size = 0 if latest is None else latest.size
        faults = [
            Violation(name, "name no more leaves than the newest checkpoint has")
            for name, number in (("start_index", start), ("consistent_with", known))
            if not 0 <= number <= size
        ]
        if faults and size < max(start, known) <= self._used(operator_id):
            # Under another key a log is made anew, and has not come so far yet.
            raise _behind()
        if faults:
            raise invalid(*faults)
        if log is None:
            return LeafPage((), None, ())
        places = range(start, min(start + limit, size))
        return LeafPage(
            self._leaves(operator_id, log, places) if places else (),
            latest,
            log.consistency(known, size) if known else (),
        )

    def _leaves(self, operator_id: str, log: MerkleLog, places: range) -> Sequence[bytes]:
        standing = self._logs.standing(operator_id)
        with reading(self._records) as connection:
            found = LedgerLeaves().at(connection, operator_id, places, standing)
        _require_logged(log, found)
        return [each.leaf for each in found]

    def _used(self, operator_id: str) -> int:
        """Return how many uses the ledger has."""
        query = select(USAGE_HEADS.c.next_index).where(USAGE_HEADS.c.operator_id == operator_id)
        with reading(self._records) as connection:
            return connection.execute(query).scalar() or 0

    def _covering(self, operator_id: str, place: int) -> tuple[MerkleLog, SignedCheckpoint]:
        until = time.monotonic() + LOGGED_SECONDS
        while True:
            log = self._logs.of(operator_id)
            latest = None if log is None else log.latest()
            if log is not None and latest is not None and place < latest.size:
                return log, latest
            if time.monotonic() > until:
                raise _behind()
            self._hurry()
            time.sleep(_LOOK_SECONDS)


def _behind() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "The usage log is behind the ledger; try again.",
        retry_after=1,
    )


def _require_logged(log: MerkleLog, found: Sequence[LedgerLeaf]) -> None:
    """Require leaves, one behind the other, to be those that are logged: they are made of rows
    that somebody may have changed. Raises LedgerLost."""
    logged = log.leaf_hashes(found[0].place, found[-1].place + 1)
    if logged != [leaf_hash(each.leaf) for each in found]:
        raise LedgerLost
