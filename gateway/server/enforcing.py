"""What is done about findings, composed: attestations kept, challenges, stages, certificates."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import SystemRandom

from starlette.routing import Route

from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.conformance.acknowledgement import RemovalsOwed
from gateway.conformance.attested import Attested
from gateway.conformance.certificate import Certificates
from gateway.conformance.certificate_routes import certificate_routes
from gateway.conformance.certified import Certified
from gateway.conformance.challenges import Challenges
from gateway.conformance.contest import Contests
from gateway.conformance.due import DueAttestations
from gateway.conformance.enforcer import Enforcer
from gateway.conformance.finding_service import FindingService
from gateway.conformance.findings import Findings
from gateway.conformance.holdings import Holdings
from gateway.conformance.overdue import OverdueRemovals
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.settling import Settling
from gateway.conformance.standing_service import StandingService
from gateway.conformance.standings import Standings
from gateway.conformance.suspension import Suspensions
from gateway.conformance.throttle import Throttle
from gateway.consents.long_reads import LongReads
from gateway.oauth.signing import SigningKeys
from gateway.storage.engines import Engines
from gateway.transparency.log import MerkleLog
from operators.sql import SqlAuthorityLog


@dataclass(frozen=True, slots=True)
class Enforcing:
    """What the other parts of a process need of it.

    ``attested`` keeps attestations; ``services`` serve methods of ConformanceService;
    ``routes`` are of the HTTP application; ``throttle`` stands before record calls.
    """

    attested: Attested
    findings: Findings
    services: Sequence[object]
    routes: Sequence[Route]
    throttle: Throttle


@asynccontextmanager
async def enforcing(
    config: GatewayConfig,
    engines: Engines,
    feed: AuthorityFeed,
    keys: SigningKeys,
    clock: Clock,
    policy: ConformancePolicy,
    holdings: Holdings,
    duties: RemovalDuties,
    owed: RemovalsOwed,
    log: MerkleLog,
    issuer: str,
) -> AsyncGenerator[Enforcing]:
    """Give what enforcing takes while the context lasts.

    Raises what the stores raise when they cannot be read.
    """
    evidence = engines.evidence
    findings = Findings(evidence, policy)
    standings = Standings(evidence)
    challenges = Challenges(engines, policy, holdings, SystemRandom())
    certificates = Certificates(policy, log, evidence, keys, feed.current, issuer)
    attested = Attested(evidence, policy, certificates, challenges)
    certified = Certified(attested, findings)
    due = DueAttestations(
        evidence, policy, holdings, lambda: tuple(feed.current().authority.operators)
    )
    settling = Settling(evidence, policy, Suspensions(SqlAuthorityLog(engines.authority)))
    async with AsyncExitStack() as stack:
        reads = LongReads()
        stack.callback(reads.close)
        throttle = Throttle(standings, _own_rate(policy, config), time.monotonic)
        await throttle.start()
        stack.push_async_callback(throttle.stop)
        enforcer = Enforcer(
            evidence,
            [
                OverdueRemovals(evidence, duties, findings).step,
                challenges.expire,
                challenges.forget,
                due.step,
                settling.step,
            ],
            clock,
        )
        await enforcer.start()
        stack.push_async_callback(enforcer.stop)
        yield Enforcing(
            attested,
            findings,
            [
                FindingService(
                    findings, Contests(evidence), challenges, policy, feed.current, clock
                ),
                StandingService(
                    attested,
                    certified,
                    findings,
                    standings,
                    owed,
                    holdings,
                    reads,
                    feed.current,
                    clock,
                ),
            ],
            certificate_routes(issuer, certified, clock),
            throttle,
        )


def _own_rate(policy: ConformancePolicy, config: GatewayConfig) -> float:
    """Return this process's share of the rate that throttled operators are cut to."""
    return policy.throttled_subjects_per_minute / config.workers
