"""A process that follows the authority log: ``python -m tests.authority.follower DATABASE HOME``.

Says "ready", then "seen NAME STATE INSTANT LAST" whenever an operator's state changes: when
that was seen, and when it last would have acted on the state before. Takes "set NAME STATE"
on standard input, appends that and says "set NAME STATE INSTANT" once it is durable.
Instants are of the monotonic clock that all processes of a host share.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from creditgate.refusal import Refused
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.authority.bell import open_bell
from gateway.authority.feed import AuthorityFeed
from gateway.clock import SystemClock
from gateway.config import GatewayConfig
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.storage.engines import open_engines
from operators.authority import Authority
from operators.log import Draft
from operators.model import OPERATOR
from operators.sql import SqlAuthorityLog


def say(*words: object) -> None:
    """Print a line at once."""
    print(*words, flush=True)


def set_state(log: SqlAuthorityLog, name: str, state: str) -> float:
    """Append an operator's new state and return when that was done."""
    known = Authority.empty().advanced(log.since(0)).operators[name]
    changed = known.model_copy(update={"state": OperatorState.Value(f"OPERATOR_STATE_{state}")})
    draft = Draft(OPERATOR, name, known.version, changed.as_document())
    log.append([draft], changed_by="office", changed_at=5, reason="test")
    return time.monotonic()


async def obey(log: SqlAuthorityLog) -> None:
    """Carry out what standard input says, until it ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        _, name, state = line.split()
        say("set", name, state, await asyncio.to_thread(set_state, log, name, state))


async def watch(feed: AuthorityFeed) -> None:
    """Say each change of a state as soon as the feed knows it."""
    known: dict[str, int] = {}
    acted = asked = time.monotonic()
    while True:
        with contextlib.suppress(Refused):
            asked = time.monotonic()
            for name, operator in feed.current().authority.operators.items():
                if known.setdefault(name, operator.state) != operator.state:
                    known[name] = operator.state
                    state = OperatorState.Name(operator.state).removeprefix("OPERATOR_STATE_")
                    say("seen", name, state, time.monotonic(), acted)
            acted = asked
        await asyncio.sleep(0.002)


async def main() -> None:
    """Follow with the settings a gateway has by default."""
    engines = open_engines(sys.argv[1], Path(sys.argv[2]))
    settings = GatewayConfig()
    log = SqlAuthorityLog(engines.authority)
    bell = open_bell(engines.authority)
    feed = AuthorityFeed(
        log,
        revocations=SqlRevocationLog(engines.authority),
        clock=SystemClock(),
        poll_seconds=settings.authority_poll_ms / 1000,
        lease_seconds=settings.lease_seconds,
        monotonic=time.monotonic,
        bell=bell,
    )
    await feed.start()
    watching = asyncio.create_task(watch(feed))
    say("ready")
    await obey(log)
    watching.cancel()
    await feed.stop()
    await bell.close()
    engines.dispose()


if __name__ == "__main__":
    asyncio.run(main())
