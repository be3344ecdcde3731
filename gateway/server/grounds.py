"""The grounds of a process, composed: what whoever serves, and whoever works in the background,
builds on."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.authority.bell import PostgresBell, open_bell
from gateway.authority.feed import AuthorityFeed, ChangeBell
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.conformance.uptime import Uptime
from gateway.failure_kind import failure_kind
from gateway.installation.finishing import finish_successions, is_any_begun
from gateway.installation.home import Home
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.oauth.signing import SigningKeys
from gateway.server.key_watch import KeyWatch
from gateway.server.log_keys import LogKeys
from gateway.server.policies import Policies
from gateway.server.uptime import uptime_of
from gateway.storage.at_work import AGAIN_SECONDS, LOCK, PATIENT_SECONDS, AtWork, KeysChanging
from gateway.storage.engines import Engines, open_engines
from gateway.storage.signs import ANY_COMMIT, StoreSigns, open_sign, open_signs
from gateway.telemetry.telemetry import Telemetry, open_telemetry
from operators.sql import SqlAuthorityLog

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a process stands on, and has one of.

    ``issuer`` is the gateway's own public URL.
    """

    config: GatewayConfig
    home: Home
    clock: Clock
    telemetry: Telemetry
    engines: Engines
    signs: StoreSigns
    feed: AuthorityFeed
    keys: SigningKeys
    log_keys: LogKeys
    key_watch: KeyWatch
    policies: Policies
    issuer: str


@asynccontextmanager
async def grounds_of(
    config: GatewayConfig, policies: Policies, issuer: str, clock: Clock
) -> AsyncGenerator[Grounds]:
    """Give the grounds while the context lasts; so long this process is at work on the store.

    A change of a log's key that was cut off is finished first. Raises OSError when a file is missing,
    Refused AUTHORITY_UNKNOWN or the store's errors when authority cannot be read, KeysChanging where
    another process changes what all go by, and ValueError where what lies beside a key is damaged.
    """
    home = Home.at(config.home)
    async with AsyncExitStack() as stack:
        telemetry = open_telemetry(config.otlp_endpoint)
        stack.callback(telemetry.close)
        engines = open_engines(
            config.database.get_secret_value(), home.root, config.database_connections
        )
        stack.callback(engines.dispose)
        bell = await _at_work(engines, home, stack)
        signs = open_signs(engines, stack.enter_context(ExitStack()))
        # Before anybody is answered: what operators owed while all was away is not late.
        uptime = uptime_of(engines, policies.conformance, policies.agreement)
        await asyncio.to_thread(_put_off, uptime, clock.now())
        feed = await _started_feed(config, clock, engines, bell, stack)
        log_keys = LogKeys(home, engines, issuer)
        key_watch = KeyWatch(engines.evidence, log_keys.known, signs.evidence)
        key_watch.start()
        stack.push_async_callback(key_watch.stop)
        yield Grounds(
            config,
            home,
            clock,
            telemetry,
            engines,
            signs,
            feed,
            SigningKeys(home.keys),
            log_keys,
            key_watch,
            policies,
            issuer,
        )


async def _at_work(engines: Engines, home: Home, stack: AsyncExitStack) -> ChangeBell:
    """Be at work on the store until ``stack`` closes, by keys whose change is done; return the bell
    that rings meanwhile."""
    while True:
        async with AsyncExitStack() as trying:
            bell = open_bell(engines.authority, holding=LOCK)
            trying.push_async_callback(bell.close)
            await _be_at_work(engines.evidence, bell, trying)
            # Whoever was alone until now may have been killed at it.
            if not await asyncio.to_thread(is_any_begun, engines.evidence, home):
                stack.push_async_exit(trying.pop_all())
                return bell
        await asyncio.to_thread(finish_successions, engines.evidence, home)


async def _be_at_work(evidence: Engine, bell: ChangeBell, stack: AsyncExitStack) -> None:
    """Be at work on the store until ``stack`` closes, before anything of it is gone by."""
    if isinstance(bell, PostgresBell):
        if not await bell.held(PATIENT_SECONDS):
            # Where the store is out of reach that is what is wrong, and it raises that.
            await asyncio.to_thread(lambda: evidence.connect().close())
            raise KeysChanging
        return
    at_work = AtWork(evidence)
    stack.callback(at_work.give_up)
    until = monotonic() + PATIENT_SECONDS
    while not await asyncio.to_thread(at_work.taken):
        if monotonic() >= until:
            raise KeysChanging
        await asyncio.sleep(AGAIN_SECONDS)


async def _started_feed(
    config: GatewayConfig,
    clock: Clock,
    engines: Engines,
    bell: ChangeBell,
    stack: AsyncExitStack,
) -> AuthorityFeed:
    feed = AuthorityFeed(
        SqlAuthorityLog(engines.authority),
        revocations=SqlRevocationLog(engines.authority),
        clock=clock,
        poll_seconds=config.authority_poll_ms / 1_000,
        lease_seconds=config.lease_seconds,
        bell=bell,
        # Asked by itself: by one that is a moment old the lease would last a moment longer.
        sign=open_sign(engines.authority, ANY_COMMIT, stack.enter_context(ExitStack())),
    )
    await feed.start()
    stack.push_async_callback(feed.stop)
    return feed


def _put_off(uptime: Uptime, now: int) -> None:
    try:
        uptime.step(now)
    except SQLAlchemyError as error:
        # Where nothing can be written no deadline is held against anybody, either.
        _log.warning("what operators owe could not be put off: %s", failure_kind(error))
