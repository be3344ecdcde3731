"""The gateway with metering and receipts alone, of all that it does with a use after the answer.

``python -m benchmarks.servers.metering_gateway HOME``. The ledger, receipts, usage logs, deliveries
and what agreements and enforcement look at are its own; what other guarantees make of a use later is
left out: the log of decisions, the index of uses by subject, holdings, alerts. No setting makes a
gateway so.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.servers.gateway import run
from gateway.server import keeping
from gateway.server.grounds import Grounds
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.turn import ALERTS, CONSENTS, DECISIONS, HOLDINGS, Work

_AT_REST: Final = Pace(60.0)
_LEFT_OUT: Final = {
    "_clerk": CONSENTS,
    "_decisions": DECISIONS,
    "_holdings": HOLDINGS,
    "_alerts": ALERTS,
}


def _idle(work: Work) -> Callable[..., BackgroundWork]:
    def made(grounds: Grounds, *_: Any) -> BackgroundWork:
        return BackgroundWork(grounds.engines.evidence, work, pace=_AT_REST)

    return made


if __name__ == "__main__":
    for name, work in _LEFT_OUT.items():
        if not hasattr(keeping, name):
            raise SystemExit(f"the keeper has no {name}")
        setattr(keeping, name, _idle(work))
    run(Path(sys.argv[1]))
