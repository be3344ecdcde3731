"""Exports of usage, composed: one follower of the ledger for each receiver."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

from gateway.clock import Clock
from gateway.exports.file import EventFiles
from gateway.exports.follower import Receiver, UsageFollower
from gateway.exports.http import EventEndpoint
from gateway.exports.metrics import CountedUses
from gateway.server.grounds import Grounds
from gateway.signin.tls import trusting
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.turn import EVENT_ENDPOINT, EVENT_FILES, USAGE_METRICS, Work

_PACE: Final = Pace(2.0, apart_seconds=1.0, share=0.1)


def usage_exports(grounds: Grounds, stack: AsyncExitStack) -> Sequence[BackgroundWork]:
    """Return what exports uses, to all receivers that are configured; ``stack`` closes what it
    sends by.

    Each has a turn and a thread of its own: one that is away holds up none of the others.
    Raises OSError where ``usage_export_ca`` cannot be read.
    """
    config, engines, telemetry = grounds.config, grounds.engines, grounds.telemetry
    receivers: list[tuple[Work, Receiver]] = []
    if config.usage_export_folder is not None:
        receivers.append((EVENT_FILES, EventFiles(config.usage_export_folder, grounds.issuer)))
    if config.usage_export_url is not None:
        endpoint = EventEndpoint(
            config.usage_export_url,
            grounds.issuer,
            config.usage_export_token,
            trusting(config.usage_export_ca),
        )
        stack.callback(endpoint.close)
        receivers.append((EVENT_ENDPOINT, endpoint))
    if telemetry.exports:
        receivers.append((USAGE_METRICS, CountedUses(telemetry.usage)))
    return [
        BackgroundWork(
            engines.evidence,
            work,
            _step(UsageFollower(engines.records, engines.evidence, receiver), grounds.clock),
            pace=_PACE,
            sign=grounds.signs.records,
        )
        for work, receiver in receivers
    ]


def _step(follower: UsageFollower, clock: Clock) -> Callable[[], bool]:
    return lambda: follower.step(clock.now())
