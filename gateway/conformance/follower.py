"""The follower of holdings: writes down, after the fact, what operators were served.

Nothing that is served waits for it: it has a store of its own and works for a share of the
time. Nobody waits for it either: who asks what an operator holds reads on in the ledger from
where the follower has come (`gateway.conformance.holdings`). Of all processes on a store one
follows at a time; each step takes up where the last one, of whatever process, left off.
"""

from typing import Final

from gateway.conformance.following import HoldingsSteps
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.engines import Engines
from gateway.storage.signs import Sign
from gateway.storage.turn import HOLDINGS

TICK_SECONDS: Final = 5.0
"""Firms ask about the same companies again and again: what comes at once is written once."""
_SHARE: Final = 0.25
"""Share of the time that following may take."""


def holdings_follower(
    engines: Engines, sign: Sign | None = None, tick_seconds: float = TICK_SECONDS
) -> BackgroundWork:
    """Return what follows; ``sign`` shows news of the disclosure and of the ledger."""
    return BackgroundWork(
        engines.evidence,
        HOLDINGS,
        HoldingsSteps(engines).step,
        pace=Pace(tick_seconds, apart_seconds=tick_seconds, share=_SHARE),
        sign=sign,
    )
