"""Feeds that run for a test, and waiting for what they should come to know."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Engine

from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.authority.bell import open_bell
from gateway.authority.feed import AuthorityFeed, ChangeBell
from gateway.clock import SystemClock
from gateway.oauth.revocation_log import SqlRevocationLog
from operators.model import Operator
from operators.sql import SqlAuthorityLog
from tests.operators.things import draft

POLL = 0.1
LEASE = 1.0
LONG_POLL = 30.0
SUSPENDED = OperatorState.OPERATOR_STATE_SUSPENDED
ACTIVE = OperatorState.OPERATOR_STATE_ACTIVE


@asynccontextmanager
async def following(
    engine: Engine, *, poll: float = POLL, lease: float = LEASE, bell: ChangeBell | None = None
) -> AsyncGenerator[AuthorityFeed]:
    """Run a feed over an engine."""
    bell = bell or open_bell(engine)
    feed = AuthorityFeed(
        SqlAuthorityLog(engine),
        revocations=SqlRevocationLog(engine),
        clock=SystemClock(),
        poll_seconds=poll,
        lease_seconds=lease,
        monotonic=time.monotonic,
        bell=bell,
    )
    await feed.start()
    try:
        yield feed
    finally:
        await feed.stop()
        await bell.close()


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() < started + seconds, "it did not happen in time"
        await asyncio.sleep(0.002)


async def acted_on(feed: AuthorityFeed, state: int, since: float, within: float = LEASE) -> float:
    """Wait until the feed has alpha's new state; return how long after ``since`` that was.

    Fails when it still gives the old one ``within`` seconds after ``since``. Refusing is no
    failure: that is what a feed does that a busy machine keeps from reading.
    """
    while True:
        asked = time.monotonic()
        if knows(feed):
            if state_of(feed) == state:
                return asked - since
            assert asked < since + within, "it acts on what is past"
        assert asked < since + 10.0, "it never came to know"
        await asyncio.sleep(0.002)


async def refuses(feed: AuthorityFeed, since: float, within: float) -> None:
    """Wait until the feed refuses; fail when it answers ``within`` seconds after ``since``."""
    while True:
        asked = time.monotonic()
        if not knows(feed):
            return
        assert asked < since + within, "it answers though it cannot know"
        await asyncio.sleep(0.002)


def knows(feed: AuthorityFeed) -> bool:
    """Tell whether the feed answers."""
    try:
        feed.current()
    except Refused as refused:
        assert reason_name(refused.reason) == "AUTHORITY_UNKNOWN"
        assert refused.retry_after == 1
        return False
    return True


def append(engine: Engine, *things: Operator, version: int = 0) -> int:
    """Append, and return the sequence reached."""
    drafts = [draft(thing, version) for thing in things]
    log = SqlAuthorityLog(engine)
    return log.append(drafts, changed_by="office", changed_at=5, reason="test")[-1].sequence


def state_of(feed: AuthorityFeed, name: str = "alpha") -> int:
    """Return the state of an operator as the feed has it."""
    return feed.current().authority.operators[name].state
