"""What works in the background, composed: it follows what is served, and nothing that is served
waits for it.

Of all processes on a store one at a time has the turn at each work; several hosts may each have
a process that asks for it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from typing import Final, Protocol

from consent.overdue import SqlOverdue
from consent.sql import SqlConsents
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.alerts.watcher import AlertWatcher
from gateway.audit.fact_writer import FactWriter
from gateway.audit.writer import DecisionWriter
from gateway.catalogue.model import CatalogueBook
from gateway.conformance.challenges import Challenges
from gateway.conformance.contest_limits import EvidenceLife
from gateway.conformance.due import DueAttestations, EntitledAnywhere, HeldByWord
from gateway.conformance.enforcer import Step, enforcer
from gateway.conformance.findings import Findings
from gateway.conformance.firms import FirmFindings
from gateway.conformance.follower import holdings_follower
from gateway.conformance.holdings import Holdings
from gateway.conformance.overdue import OverdueRemovals
from gateway.conformance.overdue_consents import OverdueConsents
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.said_before import SaidBefore
from gateway.conformance.settling import Settling
from gateway.conformance.suspension import Suspensions
from gateway.consents.clerk import ConsentClerk
from gateway.federation.asking.copies import RegionCopies
from gateway.federation.asking.removal_tables import REGION_REMOVALS
from gateway.federation.asking.removals import RegionRemovals
from gateway.meter.decisions import DecisionIds
from gateway.meter.settler import DeliverySettler
from gateway.oauth.grants import SqlOAuthGrants
from gateway.selfcheck.kept import KEPT
from gateway.server.asking import ways_of
from gateway.server.clearing import clearing_kept
from gateway.server.exporting import usage_exports
from gateway.server.grounds import Grounds
from gateway.server.line import Line
from gateway.server.pulse import Busy, at_work, beat
from gateway.server.region_events import region_events_kept
from gateway.server.trust import trust_of
from gateway.server.uptime import uptime_of, while_up
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.signs import any_of, open_waiting_sign
from gateway.storage.turn import ALERTS, DECISIONS, DELIVERIES, LOGGING, USAGE
from gateway.storage.writes import ANY_WRITES
from gateway.transparency.disclosure_map import DisclosureMap
from gateway.transparency.log import MerkleLog
from gateway.transparency.logger import DisclosureLogger
from gateway.transparency.tables import LogId
from gateway.transparency.writer import DisclosureWriter
from gateway.usage.duties import AgreementDuties, agreement_step
from gateway.usage.logs import OperatorLogs
from gateway.usage.writer import UsageLogWriter
from operators.regions import REGION_CLASS
from operators.sql import SqlAuthorityLog

_ACTIVE: Final = OperatorState.OPERATOR_STATE_ACTIVE
# Fewer and larger steps cost less; what is waited for is logged sooner.
_DECISIONS_PACE: Final = Pace(1.0, apart_seconds=0.25, share=0.2)
_USAGE_PACE: Final = Pace(1.0, apart_seconds=0.5, share=0.1)
_DELIVERIES_PACE: Final = Pace(1.0, share=0.2)
_ALERTS_PACE: Final = Pace(5.0, apart_seconds=5.0, share=0.05)


class _Kept(Busy, Protocol):
    """Something that works from `start` to `stop`."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@asynccontextmanager
async def keeping(grounds: Grounds, line: Line) -> AsyncGenerator[None]:
    """Work while the context lasts; at the other end of ``line`` is who waits for it.

    Raises AnotherLog and ValueError where the installation's keys or secret are not those of
    the store's logs, as `trust_of`, OSError, and what the stores raise when they cannot be read.
    """
    async with AsyncExitStack() as stack:
        works: Sequence[_Kept] = (
            _clerk(grounds),
            _logger(grounds, line),
            _usage(grounds, line),
            _deliveries(grounds),
            _holdings(grounds),
            _enforcer(grounds),
            _decisions(grounds, line, stack),
            _alerts(grounds),
            *usage_exports(grounds, stack),
        )
        for work in works:
            await work.start()
            stack.push_async_callback(work.stop)
        between = await _federation(grounds, line, stack)
        await stack.enter_async_context(at_work(beat(line, (*works, *between))))
        yield


async def _federation(grounds: Grounds, line: Line, stack: AsyncExitStack) -> Sequence[Busy]:
    """Do what is done between regions until ``stack`` closes, where there are any; return who
    does."""
    trust = await stack.enter_async_context(trust_of(grounds))
    if trust is None:
        return ()
    ways = await stack.enter_async_context(ways_of(trust))
    clearing = await stack.enter_async_context(clearing_kept(grounds, trust, ways, line))
    return clearing, *await stack.enter_async_context(region_events_kept(grounds, trust, ways))


def _operators(grounds: Grounds) -> Sequence[str]:
    return tuple(grounds.feed.current().authority.operators)


def _is_region(grounds: Grounds, operator_id: str) -> bool:
    operator = grounds.feed.current().authority.operators.get(operator_id)
    return operator is not None and operator.operator_class == REGION_CLASS


def _firms(grounds: Grounds) -> Sequence[str]:
    return [each for each in _operators(grounds) if not _is_region(grounds, each)]


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
    engines, feed, salts = grounds.engines, grounds.feed, grounds.log_keys.salts
    key = grounds.log_keys.of(LogId.DISCLOSURE)

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
    engines, clock, key = grounds.engines, grounds.clock, grounds.log_keys.of(LogId.USAGE)
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
    engines, signs, policy = grounds.engines, grounds.signs, grounds.policies.conformance
    evidence = engines.evidence
    findings = FirmFindings(Findings(evidence, policy), partial(_is_region, grounds))
    holdings = Holdings(engines)
    duties = RemovalDuties(engines, holdings, policy)
    elsewhere = RegionRemovals(engines, policy)
    challenges = Challenges(engines, policy)
    timed: Sequence[Step] = (
        OverdueRemovals(evidence, SaidBefore(engines, duties, holdings), findings).step,
        OverdueRemovals(evidence, elsewhere, findings, REGION_REMOVALS).step,
        OverdueConsents(SqlOverdue(engines.records), findings).step,
        challenges.expire,
        DueAttestations(
            evidence,
            policy,
            EntitledAnywhere(HeldByWord(engines), RegionCopies(engines, elsewhere)),
            partial(_firms, grounds),
        ).step,
        Settling(evidence, policy, Suspensions(SqlAuthorityLog(engines.authority))).step,
    )
    uptime = uptime_of(engines, policy, grounds.policies.agreement)
    return enforcer(
        evidence,
        [
            *(while_up(uptime, step) for step in timed),
            challenges.forget,
            EvidenceLife(evidence).forget,
            while_up(uptime, _agreements(grounds)),
        ],
        grounds.clock,
        any_of(signs.disclosure, signs.evidence, signs.authority),
    )


def _agreements(grounds: Grounds) -> Step:
    engines = grounds.engines
    logs = OperatorLogs(engines.evidence, grounds.log_keys.of(LogId.USAGE))
    duties = AgreementDuties(engines.records, engines.evidence, logs, grounds.policies.agreement)

    def agreeing() -> Sequence[str]:
        authority = grounds.feed.current().authority
        # Other regions keep logs of their own of what they are charged for.
        regions = {each.operator_id for each in authority.regions.admissions.values()}
        return [
            each.operator_id
            for each in authority.operators.values()
            if each.state == _ACTIVE and each.operator_id not in regions
        ]

    return agreement_step(duties, agreeing)


def _decisions(grounds: Grounds, line: Line, stack: AsyncExitStack) -> BackgroundWork:
    engines, signs, clock, feed = grounds.engines, grounds.signs, grounds.clock, grounds.feed
    log = MerkleLog(engines.evidence, LogId.DECISIONS, grounds.log_keys.of(LogId.DECISIONS))
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
    told = open_waiting_sign(engines.evidence, ANY_WRITES, stack.enter_context(ExitStack()))
    work = BackgroundWork(
        engines.evidence,
        DECISIONS,
        lambda: writer.step(clock.now()),
        lambda: facts.step(clock.now()),
        pace=_DECISIONS_PACE,
        # Of the evidence alone what is to be logged: the log itself is written there too.
        sign=any_of(signs.authority, signs.records, told),
    )
    line.listen(DECISIONS, work.nudge)
    return work


def _alerts(grounds: Grounds) -> BackgroundWork:
    engines, clock = grounds.engines, grounds.clock
    watcher = AlertWatcher(engines.records, engines.evidence, grounds.policies.alerts)

    def watch() -> bool:
        return watcher.step(clock.now())

    return BackgroundWork(
        engines.evidence, ALERTS, watch, pace=_ALERTS_PACE, sign=grounds.signs.records
    )
