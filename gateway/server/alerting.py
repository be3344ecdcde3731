"""Alerts of unusual use, composed: who watches the ledger, and what shows alerts."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.alerts.policy_file import read_alert_policy
from gateway.alerts.service import AlertService
from gateway.alerts.store import SqlAlerts
from gateway.alerts.watcher import AlertWatcher
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns
from gateway.storage.turn import ALERTS

_PACE: Final = Pace(5.0, apart_seconds=5.0, share=0.05)


@asynccontextmanager
async def alerting(
    config: GatewayConfig, engines: Engines, signs: StoreSigns, clock: Clock
) -> AsyncGenerator[Sequence[object]]:
    """Watch while the context lasts; give what serves AlertService.

    Raises ConfigRefused for a policy that cannot be used.
    """
    watcher = AlertWatcher(
        engines.records, engines.evidence, read_alert_policy(config.alert_policy)
    )

    def watch() -> bool:
        return watcher.step(clock.now())

    work = BackgroundWork(engines.evidence, ALERTS, watch, pace=_PACE, sign=signs.records)
    await work.start()
    try:
        yield [AlertService(SqlAlerts(engines.evidence), clock)]
    finally:
        await work.stop()
