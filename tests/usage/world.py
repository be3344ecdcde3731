"""A ledger and the usage logs that follow it, on a real store."""

from dataclasses import dataclass, field

from creditgate.transparency.merkle import leaf_hash, verify_inclusion
from creditgate.transparency.note import Checkpoint, open_checkpoint
from creditgate.transparency.receipts import usage_log_key
from creditgate.transparency.strict import strictly
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, UsageClaim
from gateway.settlement.region_entries import RegionEntries
from gateway.storage.engines import Engines
from gateway.transparency.identity import require_own
from gateway.transparency.tables import LogId
from gateway.usage.logs import OperatorLogs
from gateway.usage.proofs import UsageProofs
from gateway.usage.writer import UsageLogWriter
from tests.clock import StandingClock
from tests.meter.world import with_lines
from tests.receipts import KEY, RECEIPTS


@dataclass
class Used:
    """Charges, follows, and shows."""

    engines: Engines
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        with self.engines.evidence.begin() as connection:
            require_own(connection, LogId.USAGE, KEY.verifier)
        self.ledger = UsageLedger(with_lines(self.engines.records), self.clock, RECEIPTS)
        self.logs = OperatorLogs(self.engines.evidence, KEY)
        self.writer = self.another_writer()
        self.proofs = UsageProofs(self.engines.records, self.logs, RegionEntries(), lambda: None)

    def another_writer(self) -> UsageLogWriter:
        """Return a writer, as another process has one."""
        return UsageLogWriter(
            self.engines.records, self.engines.evidence, OperatorLogs(self.engines.evidence, KEY)
        )

    def charge(self, *claims: UsageClaim) -> list[bytes]:
        """Charge claims; return the leaves of their receipts."""
        leaves: list[bytes] = []
        for outcome in self.ledger.commit(claims):
            assert isinstance(outcome, Charged)
            leaves.append(strictly(UsageReceipt, outcome.receipt).leaf)
        return leaves

    def follow(self) -> None:
        """Log all there is."""
        while self.writer.step(self.clock.now()):
            pass

    def logged(self, operator_id: str = "alpha") -> list[bytes]:
        """Return an operator's log as far as it is signed, each leaf verified in it."""
        page = self.proofs.leaves(operator_id, 0, 1_000, 0)
        if page.checkpoint is None:
            return []
        checkpoint = self.checkpoint(operator_id, page.checkpoint.note)
        assert len(page.leaves) == checkpoint.size
        log = self.logs.of(operator_id)
        assert log is not None
        for place, leaf in enumerate(page.leaves):
            assert strictly(UsageLeaf, leaf).usage_index == place
            path = log.inclusion(place, checkpoint.size)
            verify_inclusion(place, checkpoint.size, leaf_hash(leaf), path, checkpoint.root)
        return list(page.leaves)

    @staticmethod
    def checkpoint(operator_id: str, note: str) -> Checkpoint:
        """Return a checkpoint once it is verified by the key of receipts, which is pinned."""
        return open_checkpoint(note, usage_log_key(KEY.verifier, operator_id))
