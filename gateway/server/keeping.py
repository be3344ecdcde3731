"""What works in the background, composed: it follows what is served, and nothing that is served
waits for it.

Of all processes on a store one at a time has the turn at each work; several hosts may each have
a process that asks for it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, Protocol

from consent.overdue import SqlOverdue
from consent.sql import SqlConsents
from gateway.alerts.policy_file import read_alert_policy
from gateway.alerts.watcher import AlertWatcher
from gateway.audit.fact_writer import FactWriter
from gateway.audit.writer import DecisionWriter
from gateway.catalogue.model import CatalogueBook
from gateway.conformance.challenges import Challenges
from gateway.conformance.contest_limits import EvidenceLife
from gateway.conformance.due import DueAttestations
from gateway.conformance.enforcer import enforcer
from gateway.conformance.findings import Findings
from gateway.conformance.follower import holdings_follower
from gateway.conformance.holdings import Holdings
from gateway.conformance.overdue import OverdueRemovals
from gateway.conformance.overdue_consents import OverdueConsents
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.settling import Settling
from gateway.conformance.suspension import Suspensions
from gateway.consents.clerk import ConsentClerk
from gateway.meter.decisions import DecisionIds
from gateway.meter.settler import DeliverySettler
from gateway.oauth.grants import SqlOAuthGrants
from gateway.selfcheck.kept import KEPT
from gateway.server.exporting import usage_exports
from gateway.server.grounds import Grounds
from gateway.server.line import Line
from gateway.server.log_keys import log_key
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.signs import any_of
from gateway.storage.turn import ALERTS, DECISIONS, DELIVERIES, LOGGING, USAGE
from gateway.transparency.disclosure_map import DisclosureMap
from gateway.transparency.log import MerkleLog
from gateway.transparency.logger import DisclosureLogger
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId
from gateway.transparency.writer import DisclosureWriter
from gateway.usage.logs import OperatorLogs
from gateway.usage.writer import UsageLogWriter
from operators.sql import SqlAuthorityLog

# Fewer and larger steps cost less; what is waited for is logged sooner.
_DECISIONS_PACE: Final = Pace(1.0, apart_seconds=0.25, share=0.2)
_USAGE_PACE: Final = Pace(1.0, apart_seconds=0.5, share=0.1)
_DELIVERIES_PACE: Final = Pace(1.0, share=0.2)
_ALERTS_PACE: Final = Pace(5.0, apart_seconds=5.0, share=0.05)


class _Kept(Protocol):
    """Something that works from `start` to `stop`."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@asynccontextmanager
async def keeping(grounds: Grounds, line: Line) -> AsyncGenerator[None]:
    """Work while the context lasts; at the other end of ``line`` is who waits for it.

    Raises AnotherLog and ValueError where the installation's keys or secret are not those of
    the store's logs, ConfigRefused for a policy that cannot be used, OSError, and what the
    stores raise when they cannot be read.
    """
    async with AsyncExitStack() as stack:
        works: Sequence[_Kept] = (
            _clerk(grounds),
            _logger(grounds, line),
            _usage(grounds, line),
            _deliveries(grounds),
            _holdings(grounds),
            _enforcer(grounds),
            _decisions(grounds, line),
            _alerts(grounds),
            *usage_exports(grounds, stack),
        )
        for work in works:
            await work.start()
            stack.push_async_callback(work.stop)
        yield


def _operators(grounds: Grounds) -> Sequence[str]:
    return tuple(grounds.feed.current().authority.operators)


def _clerk(grounds: Grounds) -> ConsentClerk:
    engines, signs, clock = grounds.engines, grounds.signs, grounds.clock
    grants = SqlOAuthGrants(engines.authority)
    return ConsentClerk(
        SqlConsents(engines.records),
        engines.records,
        SqlAuthorityLog(engines.authority),
        partial(_operators, grounds),
        lambda consent: grants.end_for_consent(consent, clock.now()),
        clock,
        sign=any_of(signs.records, signs.authority),
    )


def _logger(grounds: Grounds, line: Line) -> DisclosureLogger:
    home, engines, feed = grounds.home, grounds.engines, grounds.feed
    salts = Salts.kept_in(home.salts)
    key = log_key(home, engines, LogId.DISCLOSURE, grounds.issuer, salts)

    def catalogue() -> CatalogueBook:
        return feed.current().catalogue

    logger = DisclosureLogger(
        DisclosureWriter(
            engines.records,
            engines.evidence,
            MerkleLog(engines.evidence, LogId.DISCLOSURE, key),
            salts,
            DisclosureMap(engines.records, salts),
            catalogue,
        ),
        engines.evidence,
        grounds.clock,
        # The catalogue is a part of authority.
        sign=any_of(grounds.signs.disclosure, lambda: feed.current().sequence),
        stepped=partial(line.tell, LOGGING),
    )
    line.listen(LOGGING, logger.nudge)
    return logger


def _usage(grounds: Grounds, line: Line) -> BackgroundWork:
    engines, clock = grounds.engines, grounds.clock
    key = log_key(grounds.home, engines, LogId.USAGE, grounds.issuer)
    writer = UsageLogWriter(engines.records, engines.evidence, OperatorLogs(engines.evidence, key))
    work = BackgroundWork(
        engines.evidence,
        USAGE,
        lambda: writer.step(clock.now()),
        pace=_USAGE_PACE,
        sign=grounds.signs.records,
    )
    line.listen(USAGE, work.nudge)
    return work


def _deliveries(grounds: Grounds) -> BackgroundWork:
    config, records = grounds.config, grounds.engines.records
    settler = DeliverySettler(
        records,
        grounds.clock,
        DecisionIds(),
        grace_seconds=config.delivery_grace_seconds,
        per_day=config.delivery_unacknowledged_records_per_day,
    )
    # Without a sign: what is due comes with time, not with news.
    return BackgroundWork(records, DELIVERIES, settler.step, pace=_DELIVERIES_PACE)


def _holdings(grounds: Grounds) -> BackgroundWork:
    signs = grounds.signs
    return holdings_follower(grounds.engines, any_of(signs.records, signs.disclosure))


def _enforcer(grounds: Grounds) -> BackgroundWork:
    engines, signs, policy = grounds.engines, grounds.signs, grounds.policy
    evidence = engines.evidence
    findings = Findings(evidence, policy)
    holdings = Holdings(engines)
    challenges = Challenges(engines, policy)
    return enforcer(
        evidence,
        [
            OverdueRemovals(evidence, RemovalDuties(engines, holdings, policy), findings).step,
            OverdueConsents(SqlOverdue(engines.records), findings).step,
            challenges.expire,
            challenges.forget,
            EvidenceLife(evidence).forget,
            DueAttestations(evidence, policy, holdings, partial(_operators, grounds)).step,
            Settling(evidence, policy, Suspensions(SqlAuthorityLog(engines.authority))).step,
        ],
        grounds.clock,
        any_of(signs.disclosure, signs.evidence, signs.authority),
    )


def _decisions(grounds: Grounds, line: Line) -> BackgroundWork:
    engines, signs, clock, feed = grounds.engines, grounds.signs, grounds.clock, grounds.feed
    log = MerkleLog(
        engines.evidence,
        LogId.DECISIONS,
        log_key(grounds.home, engines, LogId.DECISIONS, grounds.issuer),
    )
    with engines.evidence.begin() as connection:
        # So that there is a checkpoint to prove against before the first decision.
        if log.latest_in(connection) is None:
            log.sign(connection, clock.now())
    log.committed()

    def operator_of(client_id: str) -> str:
        client = feed.current().authority.clients.get(client_id)
        return "" if client is None else client.operator_id

    receipts = SqlConsents(engines.records).receipts
    writer = DecisionWriter(engines.records, engines.evidence, log, operator_of, receipts)
    facts = FactWriter(engines, log, KEPT)
    work = BackgroundWork(
        engines.evidence,
        DECISIONS,
        lambda: writer.step(clock.now()),
        lambda: facts.step(clock.now()),
        pace=_DECISIONS_PACE,
        sign=any_of(signs.authority, signs.records, signs.evidence),
    )
    line.listen(DECISIONS, work.nudge)
    return work


def _alerts(grounds: Grounds) -> BackgroundWork:
    engines, clock = grounds.engines, grounds.clock
    policy = read_alert_policy(grounds.config.alert_policy)
    watcher = AlertWatcher(engines.records, engines.evidence, policy)

    def watch() -> bool:
        return watcher.step(clock.now())

    return BackgroundWork(
        engines.evidence, ALERTS, watch, pace=_ALERTS_PACE, sign=grounds.signs.records
    )
