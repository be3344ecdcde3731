"""Checking usage logs: every leaf is made anew from the ledger and is to have the hash that is
logged, every other hash is made anew from these."""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, Row, select

from creditgate.transparency.linked import LinkedKeys, open_linked
from creditgate.transparency.merkle import GrowingRoot, ProofInvalid, leaf_hash
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.receipts import usage_log_key
from gateway.meter.tables import USAGE_HEADS
from gateway.storage.engines import Engines, reading, snapshot
from gateway.transparency.check_log import CheckedLog
from gateway.transparency.faults import EnoughFaults, Fault, Faults
from gateway.transparency.former import former_keys
from gateway.transparency.identity import known_key
from gateway.transparency.tables import LogId, OperatorLogId
from gateway.usage.leaves import LedgerLeaf, LedgerLeaves
from gateway.usage.tables import COSIGNATURES, USAGE_LOGS

_AT_ONCE = 1_000


class CheckedUsage(NamedTuple):
    """How many logs there are and leaves they have, and what was wrong."""

    logs: int
    leaves: int
    faults: list[Fault]


def check_usage(engines: Engines) -> CheckedUsage:
    """Check the usage logs of a store. Raises what the stores raise when they cannot be read."""
    faults = Faults()
    with snapshot(engines.evidence) as evidence, reading(engines.records) as records:
        check = _Check(records, evidence, faults)
        with suppress(EnoughFaults):
            check.run()
    return CheckedUsage(check.logs, check.leaves, faults.found)


class _Check:
    def __init__(self, records: Connection, evidence: Connection, faults: Faults) -> None:
        self._records = records
        self._evidence = evidence
        self._faults = faults
        self._ledger = LedgerLeaves()
        self.logs = 0
        self.leaves = 0

    def run(self) -> None:
        """Check everything. Raises EnoughFaults."""
        receipts = known_key(self._evidence, LogId.USAGE)
        logs = self._evidence.execute(select(USAGE_LOGS).order_by(USAGE_LOGS.c.log)).all()
        for operator_id, number, sequence in logs:
            log = OperatorLogId(number)
            key = known_key(self._evidence, log)
            own = receipts is not None and key == usage_log_key(receipts, operator_id)
            self._faults.require(
                own, f"logs, {log.path}", "its key or origin is not the operator's"
            )
            if key is not None and receipts is not None:
                agreed = self._agreed(operator_id)
                wanted = -1 if agreed is None else agreed.size
                root = self._log(operator_id, log, key, sequence, wanted)
                if agreed is not None:
                    self._cosignature(operator_id, log, receipts, agreed, root)
                self.logs += 1

    def _log(
        self, operator_id: str, log: OperatorLogId, key: VerifierKey, sequence: int, wanted: int
    ) -> bytes | None:
        """Check a log; return the root of its first ``wanted`` leaves, None where it has fewer."""
        ledger = self._made(operator_id)
        newest = size = 0
        grown, root = GrowingRoot(), None
        for size, logged in enumerate(
            CheckedLog(self._evidence, log, key, self._faults).leaf_hashes(), 1
        ):
            grown.add(logged)
            if size == wanted:
                root = grown.root()
            made = next(ledger, None)
            place = f"usage_answers, {log.path}, usage_index {size - 1}"
            if made is None:
                self._faults.note(place, "the ledger lacks what the usage log has")
                break
            newest = made.sequence
            self._faults.require(
                (made.place, leaf_hash(made.leaf)) == (size - 1, logged),
                place,
                "it is not what the usage log has",
            )
            # What is logged next is taken from there.
            self._faults.require(
                made.kept_hash is None or made.kept_hash == logged,
                place,
                "its leaf_hash is not that of its leaf",
            )
        self.leaves += size
        self._faults.require(
            newest == sequence, f"usage_logs, {log.path}", "it has not come to where it says"
        )
        head = self._records.execute(
            select(USAGE_HEADS.c.next_index).where(USAGE_HEADS.c.operator_id == operator_id)
        ).scalar()
        self._faults.require(
            head is not None and head >= size,
            f"usage_heads, {log.path}",
            "the ledger is behind the usage log",
        )
        return root

    def _made(self, operator_id: str) -> Iterator[LedgerLeaf]:
        """Yield an operator's leaves made anew, in order."""
        sequence = 0
        while page := self._ledger.after(self._records, operator_id, sequence, _AT_ONCE):
            yield from page
            sequence = page[-1].sequence

    def _agreed(self, operator_id: str) -> Row[str, int] | None:
        return self._evidence.execute(
            select(COSIGNATURES.c.checkpoint, COSIGNATURES.c.size).where(
                COSIGNATURES.c.operator_id == operator_id
            )
        ).first()

    def _cosignature(
        self,
        operator_id: str,
        log: OperatorLogId,
        receipts: VerifierKey,
        agreed: Row[str, int],
        root: bytes | None,
    ) -> None:
        """Check what an operator agreed with against ``root``, which its log has of that size."""
        place = f"usage_cosignatures, {log.path}"
        before = former_keys(self._evidence, LogId.USAGE, receipts)
        keys = LinkedKeys.of(receipts, [each.note for each in before])
        try:
            checkpoint = open_linked(agreed.checkpoint, keys.of_operator(operator_id))
        except ProofInvalid as error:
            self._faults.note(place, str(error))
            return
        if root is None and checkpoint.origin != usage_log_key(receipts, operator_id).name:
            # Under the present key the log is being made anew, and has not come so far.
            return
        self._faults.require(
            checkpoint.size == agreed.size and checkpoint.root == root,
            place,
            "what was agreed with is not in the usage log",
        )
