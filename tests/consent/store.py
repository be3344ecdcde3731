"""A real store of consents, brought quickly to where a test begins."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from consent.model import Actor, Consent
from consent.sql import SqlConsents
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Outcome
from tests.clock import NOW, StandingClock
from tests.consent.world import act, asked, consent
from tests.meter.world import claim, with_lines
from tests.receipts import RECEIPTS


class ConsentStore(SqlConsents):
    """Consents, and short ways to ask, grant and use."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.engine = engine

    def requested(self, **changes: Any) -> Consent:
        """Ask for a consent."""
        made = consent(**changes)
        return self.add(made, asked(made.requested_at))

    def granted(self, **changes: Any) -> Consent:
        """Ask for a consent and grant it at once."""
        made = self.requested(**changes)
        return self.move(made.consent_id, "grant", act(made.requested_at))

    def use(
        self,
        relied_on: Consent,
        at: int = NOW,
        request_id: str = "use-1",
        entries: Sequence[int] = (1,),
    ) -> Outcome:
        """Let the ledger give an answer that relies on a consent as it was read."""
        ledger = UsageLedger(with_lines(self.engine), StandingClock(at), RECEIPTS)
        made = claim(
            request_id,
            entries,
            operator_id=relied_on.operator_id,
            served_at=at,
            good_until=at + 60,
            relies_on=relied_on,
        )
        (outcome,) = ledger.commit([made])
        ledger.close()
        return outcome

    def actors(self, consent_id: str) -> list[Actor]:
        """Return who caused the changes of a consent, in order."""
        return [change.actor for change in self.changes(consent_id=consent_id, limit=100)]


def reason_of(refused: Refused) -> str:
    """Return the reason of a refusal, in short."""
    return RefusalReason.Name(refused.reason).removeprefix("REFUSAL_REASON_")
