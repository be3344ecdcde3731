"""The audit, composed: the decision log as it is read, and what traces through all logs."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.routing import Route

from creditgate.v1.vocabulary_pb2 import Openness
from gateway.administration.message import change_message
from gateway.audit.consent_trace import ConsentTraces, ProvedConsentTraces
from gateway.audit.decision_steps import DecisionSteps
from gateway.audit.operator_steps import AuthoritySteps
from gateway.audit.proofs import DecisionProofs
from gateway.audit.record_steps import Holders, RecordSteps
from gateway.audit.region_record_steps import RegionRecordSteps
from gateway.audit.service import AuditService
from gateway.audit.trail import Trail, TrailSteps
from gateway.authority.feed import AuthorityFeed
from gateway.meter.reader import SqlUsageReader
from gateway.server.line import Line
from gateway.server.log_keys import LogKeys
from gateway.server.transparency import LOG_FILES_WAITING
from gateway.settlement.region_entries import RegionEntries
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.storage.turn import DECISIONS
from gateway.transparency.log import MerkleLog
from gateway.transparency.routes import links_route, log_routes
from gateway.transparency.tables import LogId
from operators.authority import Authority
from operators.sql import SqlAuthorityLog


@dataclass(frozen=True, slots=True)
class Auditing:
    """What the other parts of a process need of it: ``services`` serve methods of
    AuditService, ``routes`` are of the HTTP application."""

    services: Sequence[object]
    routes: Sequence[Route]


@asynccontextmanager
async def auditing(
    log_keys: LogKeys,
    engines: Engines,
    line: Line,
    feed: AuthorityFeed,
    issuer: str,
    consents: ConsentTraces,
    holders: Holders,
    trail: Trail,
) -> AsyncGenerator[Auditing]:
    """Give what the audit takes while the context lasts; at the other end of ``line`` is who
    writes the decision log.

    Raises as `LogKeys.of`, and what the stores raise when they cannot be read.
    """
    links, below = log_keys.links(LogId.DECISIONS), urlsplit(issuer).path.rstrip("/")
    log = MerkleLog(engines.evidence, LogId.DECISIONS, log_keys.of(LogId.DECISIONS))

    def authority() -> Authority:
        return feed.current().authority

    def is_public(item: str) -> bool:
        known = feed.current().catalogue.get(item)
        return known is not None and known.openness == Openness.OPENNESS_PUBLIC

    decisions = DecisionSteps(engines.evidence, SqlUsageReader(engines.records, RegionEntries()))
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        proofs = DecisionProofs(
            engines.evidence, log, lambda: loop.call_soon_threadsafe(line.tell, DECISIONS)
        )
        reads = Shares("auditing")
        stack.callback(reads.close)
        files = Shares("decisions-log", LOG_FILES_WAITING)
        stack.callback(files.close)
        record_steps = RecordSteps(engines.records, decisions, proofs, holders, is_public)
        yield Auditing(
            [
                AuditService(
                    proofs,
                    decisions,
                    record_steps,
                    RegionRecordSteps(engines.records, record_steps),
                    AuthoritySteps(SqlAuthorityLog(engines.authority), change_message),
                    TrailSteps(trail),
                    authority,
                    reads,
                ),
                ProvedConsentTraces(consents, proofs, reads),
            ],
            [
                *log_routes(log, files, below, entries=False),
                links_route(links, files, LogId.DECISIONS.path, below),
            ],
        )
