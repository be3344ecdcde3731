"""Exports of usage, composed: one follower of the ledger for each receiver."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.exports.file import EventFiles
from gateway.exports.follower import Receiver, UsageFollower
from gateway.exports.http import EventEndpoint
from gateway.exports.metrics import CountedUses
from gateway.signin.tls import trusting
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns
from gateway.storage.turn import EVENT_ENDPOINT, EVENT_FILES, USAGE_METRICS, Work
from gateway.telemetry.telemetry import Telemetry

_PACE: Final = Pace(2.0, apart_seconds=1.0, share=0.1)


@asynccontextmanager
async def usage_exports(
    config: GatewayConfig,
    engines: Engines,
    signs: StoreSigns,
    telemetry: Telemetry,
    clock: Clock,
    issuer: str,
) -> AsyncGenerator[None]:
    """Export uses while the context lasts, to all receivers that are configured.

    Each has a turn and a thread of its own: one that is away holds up none of the others.
    Raises OSError where ``usage_export_ca`` cannot be read.
    """
    async with AsyncExitStack() as stack:
        receivers: list[tuple[Work, Receiver]] = []
        if config.usage_export_folder is not None:
            receivers.append((EVENT_FILES, EventFiles(config.usage_export_folder, issuer)))
        if config.usage_export_url is not None:
            endpoint = EventEndpoint(
                config.usage_export_url,
                issuer,
                config.usage_export_token,
                trusting(config.usage_export_ca),
            )
            stack.callback(endpoint.close)
            receivers.append((EVENT_ENDPOINT, endpoint))
        if telemetry.exports:
            receivers.append((USAGE_METRICS, CountedUses(telemetry.usage)))
        for work, receiver in receivers:
            follower = UsageFollower(engines.records, engines.evidence, receiver)
            exporting = BackgroundWork(
                engines.evidence, work, _step(follower, clock), pace=_PACE, sign=signs.records
            )
            await exporting.start()
            stack.push_async_callback(exporting.stop)
        yield


def _step(follower: UsageFollower, clock: Clock) -> Callable[[], bool]:
    return lambda: follower.step(clock.now())
