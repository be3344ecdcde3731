"""The gateway as it would be without metering: every answer is granted, and nothing is written.

``python -m benchmarks.servers.unmetered_gateway HOME``. There is no claim on the request id, no
entry, no quota and no receipt; all else is the gateway's own, also that calls are read for in
groups, which is cheaper than one by one. No setting makes a gateway so.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.servers.gateway import run
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, Outcome, RefusalEntry, UsageClaim
from gateway.server import records


class GrantingLedger(UsageLedger):
    """Grants what is claimed."""

    def commit(
        self, claims: Sequence[UsageClaim], refusals: Sequence[RefusalEntry] = ()
    ) -> list[Outcome]:
        """Return that every claim is charged."""
        del refusals
        return [Charged(claim.fee) for claim in claims]


if __name__ == "__main__":
    records.UsageLedger = GrantingLedger
    run(Path(sys.argv[1]))
