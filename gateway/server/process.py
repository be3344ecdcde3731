"""One process of the gateway, composed: the only place that knows every part.

It serves gRPC and the authorisation server's HTTPS on one event loop.
"""

import socket
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from creditgate.scopes import services
from gateway.administration.administrators import AdministratorService
from gateway.administration.brakes import BrakeService
from gateway.administration.catalogue_items import CatalogueItems
from gateway.administration.limits import LimitService
from gateway.administration.regions import RegionService
from gateway.administration.scope_service import ScopeService
from gateway.administration.service import OperatorService
from gateway.administration.statements import RegistrationService
from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.token import TokenVerifier
from gateway.authority.feed import AuthorityFeed
from gateway.catalogue.service import CatalogueService
from gateway.clock import Clock, SystemClock
from gateway.config import GatewayConfig
from gateway.conformance.guarded_proofs import GuardedProofs
from gateway.disclose.service import DisclosureService
from gateway.disclose.store import DisclosureStore
from gateway.meter.reader import SqlUsageReader
from gateway.oauth.connection import bound_socket, build_http_server, tls_context
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.dpop_nonces import DpopNonces
from gateway.oauth.replay import SqlReplayCache
from gateway.server.certificate_watch import watched_certificates
from gateway.server.consents import Consenting, consenting
from gateway.server.console import console, page_methods
from gateway.server.evidence import Evidence, evidence_of
from gateway.server.federation import Federation, federation_of
from gateway.server.files import most_https
from gateway.server.grounds import Grounds, grounds_of
from gateway.server.guard import Guard
from gateway.server.health import tell_keepers_health, tell_of_keys, tell_of_usage_logs
from gateway.server.keeping import keeping
from gateway.server.line import Line, line_within
from gateway.server.listening import (
    TlsFiles,
    address,
    grpc_tls,
    issuer_of,
    most_sent,
    options,
    reachable,
)
from gateway.server.methods import Method, contract_methods
from gateway.server.people import sign_in_desk
from gateway.server.policies import Policies
from gateway.server.portal import portal
from gateway.server.pricing import pricing
from gateway.server.proving import subject_proofs
from gateway.server.pulse import at_work, felt_pulse
from gateway.server.records import RecordPath, record_path
from gateway.server.refusals import RefusalLog
from gateway.server.reporting import Reporting, reporting
from gateway.server.settling import settling
from gateway.server.tls_settings import require_tls_files
from gateway.server.transport import Transport
from gateway.server.trust import addresses_of, trust_of
from gateway.server.web import web_app
from gateway.settle.dating_log import DatingLog
from gateway.settle.service import UsageService
from gateway.settlement.rated_past import SqlRatedPast
from gateway.settlement.region_entries import RegionEntries
from gateway.storage.engines import Engines
from operators.sql import SqlAuthorityLog


@dataclass(frozen=True, slots=True)
class Running:
    """Where a gateway answers: gRPC as host:port, the issuer's https URL; and the CA
    its clients check it against, None where its certificate is not of the development CA."""

    grpc: str
    issuer: str
    ca: Path | None


@asynccontextmanager
async def running_gateway(
    config: GatewayConfig, clock: Clock | None = None
) -> AsyncGenerator[Running]:
    """Serve, and work in the background, in this process alone, while the context lasts; then
    drain for up to ``config.drain_seconds``.

    The installation must be bootstrapped. Raises OSError when an address is taken or a
    file is missing, ConfigRefused for a policy or a file of TLS that cannot be used, Refused AUTHORITY_UNKNOWN or
    the store's errors when authority cannot be read.
    """
    waiting, working = line_within()
    async with AsyncExitStack() as stack:
        https = stack.enter_context(https_socket(config))
        policies = Policies.read(config)
        grounds = await _grounds(config, policies, https, clock or SystemClock(), stack)
        await stack.enter_async_context(keeping(grounds, working))
        yield await stack.enter_async_context(_serving(grounds, waiting, https))


@asynccontextmanager
async def serving_gateway(
    config: GatewayConfig, policies: Policies, line: Line, https: socket.socket
) -> AsyncGenerator[Running]:
    """Serve alone while the context lasts, then drain: a keeper at the other end of ``line``
    works in the background.

    Raises as `running_gateway`.
    """
    async with AsyncExitStack() as stack:
        grounds = await _grounds(config, policies, https, SystemClock(), stack)
        yield await stack.enter_async_context(_serving(grounds, line, https))


async def _grounds(
    config: GatewayConfig,
    policies: Policies,
    https: socket.socket,
    clock: Clock,
    stack: AsyncExitStack,
) -> Grounds:
    issuer = issuer_of(config, https.getsockname()[1])
    return await stack.enter_async_context(grounds_of(config, policies, issuer, clock))


def https_socket(config: GatewayConfig) -> socket.socket:
    """Return the socket that the issuer is to be served at. Raises OSError when it is taken."""
    bound = bound_socket(config.https_host, config.https_port, shared=config.workers > 1)
    if config.workers == 1 and config.https_port == 0:
        # Whoever is told to use this very port could bind it, too, and listen before this one does.
        bound.listen()
    return bound


@asynccontextmanager
async def _serving(grounds: Grounds, line: Line, https: socket.socket) -> AsyncGenerator[Running]:
    config, home, clock, issuer = grounds.config, grounds.home, grounds.clock, grounds.issuer
    engines, signs, feed, keys = grounds.engines, grounds.signs, grounds.feed, grounds.keys
    tls = TlsFiles.of(config, home)
    https_tls = _https_tls(config, tls)
    async with AsyncExitStack() as stack:
        certificates = await stack.enter_async_context(
            watched_certificates(config, home, clock, grounds.telemetry.certificates)
        )
        trust = await stack.enter_async_context(trust_of(grounds))
        proofs = DpopProofs(DpopNonces.kept_in(home.dpop_nonces), SqlReplayCache(engines.authority))
        people = await stack.enter_async_context(
            sign_in_desk(config, home, engines.authority, clock, issuer)
        )
        consents = await stack.enter_async_context(
            consenting(config, engines, signs, feed, keys, clock, people, issuer)
        )
        evidence = await stack.enter_async_context(
            evidence_of(
                config,
                grounds.log_keys,
                engines,
                signs,
                line,
                feed,
                keys,
                clock,
                grounds.policies,
                consents,
                issuer,
            )
        )
        records = record_path(
            config,
            engines,
            feed,
            clock,
            consents,
            evidence.transparency,
            evidence.throttle,
            evidence.unsigned,
            evidence.receipts,
            grounds.telemetry,
            stack,
        )
        federation = await stack.enter_async_context(
            federation_of(grounds, trust, consents, evidence, records, line)
        )
        reports = reporting(
            engines,
            feed,
            keys,
            clock,
            consents.consents,
            evidence.transparency,
            records,
            issuer,
            stack,
        )
        statements = RegistrationService(
            SqlAuthorityLog(engines.authority), feed, clock, keys, issuer
        )
        refusals = RefusalLog(records.committer, records.decisions, clock)
        methods = _methods(
            clock,
            engines,
            feed,
            statements,
            consents,
            evidence,
            subject_proofs(evidence, refusals, feed, clock),
            records,
            reports,
            pricing(engines, feed, clock, stack),
            settling(home, grounds.log_keys, engines, feed, clock, issuer, stack),
            federation,
        )
        pages = page_methods(methods, refusals)
        app = web_app(
            config,
            clock,
            engines,
            feed,
            keys,
            proofs,
            people,
            consents,
            evidence,
            reports,
            [
                *console(pages, people, feed, clock),
                *portal(pages, engines, people, feed, clock, stack),
                *federation.routes,
            ],
            issuer,
            federation.region_stands,
            federation.exchanges,
            lambda: _all_of(grounds.key_watch.soundness(), certificates.soundness()),
        )
        web = build_http_server(app, https_tls, most_https())
        server = grpc.aio.server(options=options(config))
        port = server.add_secure_port(
            address(config.grpc_host, config.grpc_port),
            grpc_tls(tls) if trust is None else trust.grpc_tls(tls),
        )
        own = address(reachable(config.grpc_host), port)
        if trust is not None:
            trust.grpc.extend(addresses_of(config, own))
            following = trust.following(https_tls)
            following.start()
            stack.push_async_callback(following.stop)
        guard = Guard(
            Authenticator(TokenVerifier(issuer, config.audience)),
            feed,
            clock,
            proofs,
            config.grpc_url or f"https://{own}",
            federation.require_region,
        )
        transport = Transport(
            methods,
            guard,
            refusals,
            grounds.telemetry,
            config.max_concurrent_calls,
            most_sent(config),
        )
        server.add_generic_rpc_handlers((transport,))
        health = _add_standard_services(server)
        web_task = await web.begin(https, "https")
        await server.start()
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        pulse = await stack.enter_async_context(felt_pulse(line, grounds.telemetry.keeper))
        await stack.enter_async_context(at_work(tell_keepers_health(health, pulse)))
        await stack.enter_async_context(at_work(tell_of_keys(health, grounds.key_watch)))
        await stack.enter_async_context(at_work(tell_of_usage_logs(health, grounds.key_watch)))
        try:
            yield Running(
                own,
                issuer,
                home.ca if config.tls_certificate is None else None,
            )
        finally:
            await health.enter_graceful_shutdown()
            web.stop()
            # Streams without end would be waited for in vain.
            consents.news.end()
            evidence.end()
            federation.end()
            await server.stop(config.drain_seconds)
            await web_task


def _https_tls(config: GatewayConfig, tls: TlsFiles) -> ssl.SSLContext:
    """Return the settings of TLS by the files. Raises ConfigRefused, OSError."""
    try:
        return tls_context(tls.certificate, tls.key, tls.client_ca)
    except OSError:
        # They may have changed since the gateway began, and OpenSSL names none.
        require_tls_files(config)
        raise


def _all_of(*told: str) -> str:
    return " ".join(filter(None, told))


def _methods(
    clock: Clock,
    engines: Engines,
    feed: AuthorityFeed,
    statements: RegistrationService,
    consents: Consenting,
    evidence: Evidence,
    proofs_of_subjects: GuardedProofs,
    records: RecordPath,
    reports: Reporting,
    prices: Sequence[object],
    months: Mapping[str, Sequence[object]],
    federation: Federation,
) -> Mapping[str, Method]:
    log = DatingLog(SqlAuthorityLog(engines.authority), SqlRatedPast(engines, clock))
    served: dict[str, list[object]] = {
        "CreditRecordService": [records.service()],
        "ReportService": [reports.service],
        "DisclosureService": [
            DisclosureService(DisclosureStore(engines.records), feed, clock, evidence.disclosed),
            proofs_of_subjects,
        ],
        "CatalogueService": [CatalogueService(feed), CatalogueItems(log, feed, clock)],
        "OperatorService": [OperatorService(log, feed, clock)],
        "ScopeService": [ScopeService(log, feed, clock)],
        "AdministratorService": [AdministratorService(log, feed, clock)],
        "BrakeService": [BrakeService(log, feed, clock)],
        "LimitService": [LimitService(log, feed, clock)],
        "RegionService": [RegionService(log, feed, clock, federation.stands)],
        "UsageService": [
            UsageService(
                SqlUsageReader(engines.records, RegionEntries()),
                feed,
                clock,
                records.limits.answer_bytes,
            )
        ],
        "RegistrationService": [statements],
        "SettlementService": [*prices],
    }
    for services_ in (consents.services, evidence.services, months, federation.services):
        for name, serving in services_.items():
            served.setdefault(name, []).extend(serving)
    return contract_methods(served)


def _add_standard_services(server: grpc.aio.Server) -> HealthServicer:
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = [service.full_name for service in services()]
    reflection.enable_server_reflection(
        (
            *names,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        ),
        server,
    )
    return health
