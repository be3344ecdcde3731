"""What is done about findings, composed: attestations kept, challenges, stages, certificates."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import SystemRandom

from starlette.routing import Route

from creditgate.transparency.linked import LinkedKeys
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.authority.feed import AuthorityFeed
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.conformance.acknowledgement import RemovalsOwed
from gateway.conformance.attested import Attested
from gateway.conformance.certificate import Certificates
from gateway.conformance.certificate_routes import certificate_routes
from gateway.conformance.certificate_status import CertificateStatements
from gateway.conformance.certified import Certified
from gateway.conformance.challenges import Challenges
from gateway.conformance.contest import Contests
from gateway.conformance.drawing import Drawing
from gateway.conformance.elsewhere import RemovalsElsewhere
from gateway.conformance.finding_service import FindingService
from gateway.conformance.findings import Findings
from gateway.conformance.holdings import Holdings
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.standing_service import StandingService
from gateway.conformance.standings import Standings
from gateway.conformance.throttle import Throttle
from gateway.conformance.uptime import Awake, WakingClock
from gateway.oauth.signing import SigningKeys
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns
from gateway.transparency.log import MerkleLog


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
    signs: StoreSigns,
    feed: AuthorityFeed,
    keys: SigningKeys,
    clock: Clock,
    policy: ConformancePolicy,
    holdings: Holdings,
    duties: RemovalDuties,
    elsewhere: RemovalsElsewhere,
    owed: RemovalsOwed,
    log: MerkleLog,
    log_keys: LinkedKeys,
    issuer: str,
    awake: Awake,
) -> AsyncGenerator[Enforcing]:
    """Give what enforcing takes while the context lasts.

    Raises what the stores raise when they cannot be read.
    """
    evidence = engines.evidence
    findings = Findings(evidence, policy)
    standings = Standings(evidence)
    challenges = Challenges(engines, policy)
    drawing = Drawing(engines, policy, SystemRandom())
    certificates = Certificates(policy, log, evidence, keys, feed.current, issuer)
    attested = Attested(engines, policy, certificates, drawing, duties, elsewhere)
    certified = Certified(
        attested, findings, log_keys, lambda each: _may_work(feed.current(), each)
    )
    async with AsyncExitStack() as stack:
        waking = WakingClock(clock, awake)
        shares = Shares("enforcing")
        stack.callback(shares.close)
        throttle = Throttle(
            standings, _own_rate(policy, config), time.monotonic, sign=signs.evidence
        )
        await throttle.start()
        stack.push_async_callback(throttle.stop)
        yield Enforcing(
            attested,
            findings,
            [
                FindingService(
                    findings,
                    Contests(evidence),
                    challenges,
                    policy,
                    shares,
                    feed.current,
                    waking,
                ),
                StandingService(
                    attested,
                    certified,
                    findings,
                    standings,
                    owed,
                    holdings,
                    shares,
                    feed.current,
                    waking,
                ),
            ],
            certificate_routes(
                issuer,
                certified,
                CertificateStatements(certified, attested, keys, feed.current, issuer),
                shares,
                clock,
                awake,
            ),
            throttle,
        )


def _may_work(view: AuthorityView, operator_id: str) -> bool:
    operator = view.authority.operators.get(operator_id)
    return operator is not None and operator.state == OperatorState.OPERATOR_STATE_ACTIVE


def _own_rate(policy: ConformancePolicy, config: GatewayConfig) -> float:
    """Return this process's share of the rate that a throttled operator is cut to as a whole."""
    return policy.throttled_subjects_per_minute / config.workers
