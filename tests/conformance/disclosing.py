"""A small disclosure on a real store, served to operators through the real ledger."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import select

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.catalogue.admission import Admitted
from gateway.disclose.store import DisclosureStore
from gateway.disclose.tables import NO_END
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, Replayed, UsageClaim, unpack_entries
from gateway.meter.tables import USAGE
from gateway.storage.engines import Engines, reading
from tests.clock import StandingClock
from tests.meter.world import Disclosure, admitted, claim
from tests.receipts import RECEIPTS

HOUR = 3_600
DAYS_TO_REMOVE: Mapping[int, int] = {
    Severity.SEVERITY_UNSPECIFIED: 4,
    Severity.SEVERITY_MINOR: 3,
    Severity.SEVERITY_GENERAL: 2,
    Severity.SEVERITY_SERIOUS: 1,
}


class ByDays:
    """Removal within days: the more grave, the fewer."""

    def removal_seconds(self, severity: int) -> int:
        """Return how long after its event a void copy must be gone."""
        return DAYS_TO_REMOVE[severity] * 24 * HOUR


@dataclass
class LedgerHolders:
    """Who was served what, read from the whole ledger each time."""

    engines: Engines

    def holders(self, sequences: Collection[int]) -> dict[int, set[str]]:
        """Return the operators that were served each revision."""
        wanted, found = set(sequences), dict[int, set[str]]()
        with reading(self.engines.records) as connection:
            for row in connection.execute(select(USAGE.c.operator_id, USAGE.c.entries)):
                for sequence in wanted & set(unpack_entries(row.entries)):
                    found.setdefault(sequence, set()).add(row.operator_id)
        return found

    def keepers(
        self, sequences: Collection[int], operator_id: str = ""
    ) -> dict[int, dict[str, int]]:
        """Return who was served each revision: all whole, so for ever."""
        return {
            sequence: {each: NO_END for each in operators if operator_id in ("", each)}
            for sequence, operators in self.holders(sequences).items()
        }


@dataclass
class Disclosing:
    """Publishes, changes and serves invented records; the clock stands."""

    engines: Engines
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        self.disclosure = Disclosure(self.engines.records)
        self.ledger = UsageLedger(self.engines.records, self.clock, RECEIPTS)
        self.numbers = count(1)

    @property
    def store(self) -> DisclosureStore:
        """The disclosure."""
        return self.disclosure.store

    def publish(self, record_id: str, **changes: Any) -> int:
        """Publish a record and return its sequence."""
        (sequence,) = self.disclosure.publish(admitted(record_id, **changes))
        return sequence

    def serve(self, operator_id: str, *sequences: int, **changes: Any) -> UsageClaim:
        """Serve revisions to an operator; return the use."""
        asked = claim(
            f"request-{next(self.numbers)}",
            sequences,
            operator_id=operator_id,
            disclosure_sequence=self.store.head(),
            **changes,
        )
        assert self.ledger.commit([asked]) == [Charged(asked.fee)]
        return asked

    def serve_again(self, asked: UsageClaim) -> None:
        """Answer a use's request once more."""
        assert self.ledger.commit([asked]) == [Replayed(asked.decision_id)]

    def correct(self, record_id: str, revision: int = 1, **changes: Any) -> int:
        """Correct a record and return the event's sequence."""
        content = b'{"about":"revision %d"}' % (revision + 1)
        record: Admitted = admitted(record_id, content=content, **changes)
        return self.disclosure.correct(record, revision)

    def end(
        self,
        record_id: str,
        revision: int = 1,
        kind: DisclosureEventKind.ValueType = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED,
    ) -> int:
        """End a record and return the event's sequence."""
        return self.store.end(
            record_id, revision, kind, "decision", "site", self.clock.now()
        ).sequence
