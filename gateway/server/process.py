"""One process of the gateway, composed: the only place that knows every part.

It serves gRPC and the authorisation server's HTTPS on one event loop.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from creditgate.scopes import services
from gateway.administration.administrators import AdministratorService
from gateway.administration.brakes import BrakeService
from gateway.administration.limits import LimitService
from gateway.administration.scope_service import ScopeService
from gateway.administration.service import OperatorService
from gateway.administration.statements import RegistrationService
from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.token import TokenVerifier
from gateway.authority.bell import open_bell
from gateway.authority.feed import AuthorityFeed
from gateway.catalogue.service import CatalogueService
from gateway.clock import Clock, SystemClock
from gateway.config import GatewayConfig
from gateway.disclose.service import DisclosureService
from gateway.disclose.store import DisclosureStore
from gateway.installation.home import Home
from gateway.meter.reader import SqlUsageReader
from gateway.oauth.connection import bound_socket, build_http_server, tls_context
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.dpop_nonces import DpopNonces
from gateway.oauth.replay import SqlReplayCache
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.oauth.signing import SigningKeys
from gateway.server.consents import Consenting, consenting
from gateway.server.console import console, page_methods
from gateway.server.evidence import Evidence, evidence_of
from gateway.server.exporting import usage_exports
from gateway.server.guard import Guard
from gateway.server.listening import TlsFiles, address, grpc_tls, options, reachable, url
from gateway.server.memory import collect_rarely
from gateway.server.methods import Method, contract_methods
from gateway.server.people import sign_in_desk
from gateway.server.portal import portal
from gateway.server.pricing import pricing
from gateway.server.records import RecordPath, record_path
from gateway.server.refusals import RefusalLog
from gateway.server.reporting import Reporting, reporting
from gateway.server.settling import settling
from gateway.server.transport import Transport
from gateway.server.web import web_app
from gateway.settle.service import UsageService
from gateway.storage.engines import Engines, open_engines
from gateway.storage.signs import StoreSigns, open_signs
from gateway.telemetry.telemetry import open_telemetry
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
    """Serve while the context lasts; then drain for up to ``config.drain_seconds``.

    The installation must be bootstrapped. Raises OSError when an address is taken or a
    file is missing, Refused AUTHORITY_UNKNOWN or the store's errors when authority
    cannot be read.
    """
    clock = clock or SystemClock()
    home = Home.at(config.home)
    tls = TlsFiles.of(config, home)
    async with AsyncExitStack() as stack:
        telemetry = open_telemetry(config.otlp_endpoint)
        stack.callback(telemetry.close)
        engines = open_engines(config.database.get_secret_value(), home.root)
        stack.callback(engines.dispose)
        signs = open_signs(engines, stack.enter_context(ExitStack()))
        feed = await _started_feed(config, clock, engines, signs, stack)
        shared = config.workers > 1
        https = bound_socket(config.https_host, config.https_port, shared=shared)
        stack.callback(https.close)
        issuer = str(config.issuer or url(config.https_host, https.getsockname()[1]))
        proofs = DpopProofs(DpopNonces.kept_in(home.dpop_nonces), SqlReplayCache(engines.authority))
        keys = SigningKeys(home.keys)
        people = await stack.enter_async_context(
            sign_in_desk(config, home, engines.authority, clock, issuer)
        )
        consents = await stack.enter_async_context(
            consenting(config, engines, signs, feed, keys, clock, people, issuer)
        )
        evidence = await stack.enter_async_context(
            evidence_of(config, home, engines, signs, feed, keys, clock, consents, issuer)
        )
        await stack.enter_async_context(
            usage_exports(config, engines, signs, telemetry, clock, issuer)
        )
        records = record_path(
            config,
            engines,
            feed,
            clock,
            consents,
            evidence.transparency,
            evidence.throttle,
            evidence.receipts,
            telemetry,
            stack,
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
        methods = _methods(
            clock,
            engines,
            feed,
            statements,
            consents,
            evidence,
            records,
            reports,
            pricing(engines, feed, clock, stack),
            settling(home, engines, feed, clock, issuer, stack),
        )
        refusals = RefusalLog(records.committer, records.decisions, clock)
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
            ],
            issuer,
        )
        web = build_http_server(app, tls_context(tls.certificate, tls.key, tls.client_ca))
        server = grpc.aio.server(options=options(config))
        port = server.add_secure_port(address(config.grpc_host, config.grpc_port), grpc_tls(tls))
        own = address(reachable(config.grpc_host), port)
        guard = Guard(
            Authenticator(TokenVerifier(issuer, config.audience)),
            feed,
            clock,
            proofs,
            config.grpc_url or f"https://{own}",
        )
        transport = Transport(methods, guard, refusals, telemetry, config.max_concurrent_calls)
        server.add_generic_rpc_handlers((transport,))
        health = _add_standard_services(server)
        web_task = asyncio.create_task(web.serve(sockets=[https]), name="https")
        await server.start()
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        collect_rarely()
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
            await server.stop(config.drain_seconds)
            await web_task


async def _started_feed(
    config: GatewayConfig,
    clock: Clock,
    engines: Engines,
    signs: StoreSigns,
    stack: AsyncExitStack,
) -> AuthorityFeed:
    bell = open_bell(engines.authority)
    stack.push_async_callback(bell.close)
    feed = AuthorityFeed(
        SqlAuthorityLog(engines.authority),
        revocations=SqlRevocationLog(engines.authority),
        clock=clock,
        poll_seconds=config.authority_poll_ms / 1_000,
        lease_seconds=config.lease_seconds,
        monotonic=time.monotonic,
        bell=bell,
        sign=signs.authority,
    )
    await feed.start()
    stack.push_async_callback(feed.stop)
    return feed


def _methods(
    clock: Clock,
    engines: Engines,
    feed: AuthorityFeed,
    statements: RegistrationService,
    consents: Consenting,
    evidence: Evidence,
    records: RecordPath,
    reports: Reporting,
    prices: Sequence[object],
    months: Mapping[str, Sequence[object]],
) -> Mapping[str, Method]:
    log = SqlAuthorityLog(engines.authority)
    served: dict[str, list[object]] = {
        "CreditRecordService": [records.service()],
        "ReportService": [reports.service],
        "DisclosureService": [
            DisclosureService(DisclosureStore(engines.records), feed, clock, evidence.disclosed)
        ],
        "CatalogueService": [CatalogueService(log, feed, clock)],
        "OperatorService": [OperatorService(log, feed, clock)],
        "ScopeService": [ScopeService(log, feed, clock)],
        "AdministratorService": [AdministratorService(log, feed, clock)],
        "BrakeService": [BrakeService(log, feed, clock)],
        "LimitService": [LimitService(log, feed, clock)],
        "UsageService": [UsageService(SqlUsageReader(engines.records), feed, clock)],
        "RegistrationService": [statements],
        "SettlementService": [*prices],
    }
    for services_ in (consents.services, evidence.services, months):
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
