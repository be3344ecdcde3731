"""Evidence, composed: the logs and the map that prove the disclosure, the logs of use, what
operators hold, and what is done about it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.routing import Route

from gateway.alerts.service import AlertService
from gateway.alerts.store import SqlAlerts
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.conformance.copies_service import CopiesService
from gateway.conformance.holdings import Holdings
from gateway.conformance.throttle import Throttle
from gateway.conformance.trail import ConformanceTrail
from gateway.federation.asking.copies import RegionCopies
from gateway.federation.asking.removals import RegionRemovals
from gateway.meter.receipts import ReceiptSigner
from gateway.oauth.signing import SigningKeys
from gateway.server.auditing import auditing
from gateway.server.consents import Consenting
from gateway.server.enforcing import enforcing
from gateway.server.line import Line
from gateway.server.log_keys import LogKeys
from gateway.server.policies import Policies
from gateway.server.transparency import Transparency, transparency_of
from gateway.server.uptime import uptime_of
from gateway.server.usage import usage_logs
from gateway.server.watching import watching
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns
from gateway.usage.unsigned import UnsignedUse


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the other parts of a process need of the evidence.

    ``receipts`` signs what the ledger charges; ``services`` serve methods, by the service's
    name; ``routes`` are of the HTTP application; ``end`` ends streams without end;
    ``disclosed`` is called whenever something was disclosed, on the event loop; ``throttle``
    and ``unsigned`` stand before record calls.
    """

    transparency: Transparency
    receipts: ReceiptSigner
    services: Mapping[str, Sequence[object]]
    routes: Sequence[Route]
    end: Callable[[], None]
    disclosed: Callable[[], None]
    throttle: Throttle
    unsigned: UnsignedUse


@asynccontextmanager
async def evidence_of(
    config: GatewayConfig,
    log_keys: LogKeys,
    engines: Engines,
    signs: StoreSigns,
    line: Line,
    feed: AuthorityFeed,
    keys: SigningKeys,
    clock: Clock,
    policies: Policies,
    consents: Consenting,
    issuer: str,
) -> AsyncGenerator[Evidence]:
    """Give what the evidence takes while the context lasts; at the other end of ``line`` is who
    works on it in the background.

    Raises as `transparency_of`, and what the stores raise when they cannot be read.
    """
    policy = policies.conformance
    services: dict[str, list[object]] = {
        "DisclosureService": [],
        "ConformanceService": [],
        "AuditService": [],
        "ReportService": [],
        "UsageService": [],
    }
    routes: list[Route] = []
    ending: list[Callable[[], None]] = []
    following: list[Callable[[], None]] = []

    def end() -> None:
        for each in ending:
            each()

    def disclosed() -> None:
        for each in following:
            each()

    async with AsyncExitStack() as stack:
        transparency = await stack.enter_async_context(
            transparency_of(log_keys, engines, line, clock, issuer, config.max_message_bytes)
        )
        services["DisclosureService"] += transparency.services
        routes += transparency.routes
        following.append(transparency.progress.nudge)
        usage = await stack.enter_async_context(
            usage_logs(
                config, log_keys, engines, signs, line, feed, clock, policies.agreement, issuer
            )
        )
        services["UsageService"] += usage.services
        routes += usage.routes
        ending.append(usage.end)
        holdings = Holdings(engines)
        elsewhere = RegionRemovals(engines, policy)
        awake = uptime_of(engines, policy, policies.agreement)
        watch = await stack.enter_async_context(
            watching(
                config,
                engines,
                signs,
                feed,
                clock,
                consents.consents,
                holdings,
                policy,
                elsewhere,
                awake,
            )
        )
        services["ConformanceService"] += [watch.watch, watch.removals]
        following.append(watch.news.nudge)
        ending.append(watch.news.end)
        enforced = await stack.enter_async_context(
            enforcing(
                config,
                engines,
                signs,
                feed,
                keys,
                clock,
                policy,
                holdings,
                watch.duties,
                elsewhere,
                watch.owed,
                transparency.log,
                transparency.keys,
                issuer,
                awake,
            )
        )
        services["ConformanceService"] += enforced.services
        copies = CopiesService(
            engines, RegionCopies(engines, elsewhere), enforced.attested, policy, clock, awake
        )
        stack.callback(copies.close)
        services["ConformanceService"].append(copies)
        routes += enforced.routes
        audit = await stack.enter_async_context(
            auditing(
                log_keys,
                engines,
                line,
                feed,
                issuer,
                consents.traces,
                holdings,
                ConformanceTrail(engines.evidence, watch.duties, policy, clock.now),
            )
        )
        services["AuditService"] += audit.services
        services["AlertService"] = [AlertService(SqlAlerts(engines.evidence), clock)]
        routes += audit.routes
        yield Evidence(
            transparency,
            usage.receipts,
            services,
            routes,
            end,
            disclosed,
            enforced.throttle,
            usage.unsigned,
        )
