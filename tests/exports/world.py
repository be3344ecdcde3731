"""A ledger with uses, and what is given back of them, on a real store."""

from dataclasses import dataclass, field

from sqlalchemy import select, update

from gateway.exports.follower import Receiver, UsageFollower
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import REVERSAL, Charged, UsageClaim
from gateway.meter.tables import USAGE, USAGE_HEADS
from gateway.storage.engines import Engines
from tests.clock import StandingClock
from tests.meter.world import with_lines
from tests.receipts import RECEIPTS

ISSUER = "https://gateway.invalid"


@dataclass
class Ledger:
    """Charges, and gives back."""

    engines: Engines
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        self._ledger = UsageLedger(with_lines(self.engines.records), self.clock, RECEIPTS)

    def charge(self, *claims: UsageClaim) -> None:
        """Charge claims."""
        assert all(isinstance(each, Charged) for each in self._ledger.commit(claims))

    def give_back(self, request_id: str, at: int, operator_id: str = "alpha") -> None:
        """Write a row that credits all of an answer, as a delivery that broke is."""
        with self.engines.records.begin() as connection:
            found = connection.execute(
                select(USAGE).where(
                    USAGE.c.request_id == request_id, USAGE.c.operator_id == operator_id
                )
            )
            answer = dict(found.mappings().one())
            head = connection.execute(
                select(USAGE_HEADS.c.next_index).where(USAGE_HEADS.c.operator_id == operator_id)
            ).scalar_one()
            del answer["sequence"]
            values = answer | {
                "kind": REVERSAL,
                "usage_index": head,
                "reversed_index": answer["usage_index"],
                "served_at": at,
                "records_digest": b"",
            }
            connection.execute(USAGE.insert().values(**values))
            connection.execute(
                update(USAGE_HEADS)
                .where(USAGE_HEADS.c.operator_id == operator_id)
                .values(next_index=head + 1)
            )

    def follower(self, receiver: Receiver) -> UsageFollower:
        """Return what tells a receiver, as another process has it."""
        return UsageFollower(self.engines.records, self.engines.evidence, receiver)

    def tell(self, receiver: Receiver) -> None:
        """Tell a receiver all there is."""
        follower = self.follower(receiver)
        while follower.step(self.clock.now()):
            pass
