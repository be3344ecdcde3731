"""The audit, composed: the decision log, who writes it, and what traces through all logs."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.routing import Route

from creditgate.v1.vocabulary_pb2 import Openness
from gateway.administration.message import change_message
from gateway.audit.consent_trace import ConsentTraces, ProvedConsentTraces
from gateway.audit.decision import Receipts
from gateway.audit.decision_steps import DecisionSteps
from gateway.audit.fact_writer import FactWriter
from gateway.audit.operator_steps import AuthoritySteps
from gateway.audit.proofs import DecisionProofs
from gateway.audit.record_steps import Holders, RecordSteps
from gateway.audit.service import AuditService
from gateway.audit.trail import Trail, TrailSteps
from gateway.audit.writer import DecisionWriter
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.installation.home import Home
from gateway.meter.reader import SqlUsageReader
from gateway.selfcheck.kept import KEPT
from gateway.server.transparency import LOG_FILES_WAITING, log_key
from gateway.shares import Shares
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns, any_of
from gateway.storage.turn import DECISIONS
from gateway.transparency.log import MerkleLog
from gateway.transparency.routes import log_routes
from gateway.transparency.tables import LogId
from operators.authority import Authority
from operators.sql import SqlAuthorityLog

_PACE: Final = Pace(1.0, apart_seconds=0.25, share=0.2)
"""Fewer and larger steps cost less; a decision that is waited for is logged sooner."""


@dataclass(frozen=True, slots=True)
class Auditing:
    """What the other parts of a process need of it: ``services`` serve methods of
    AuditService, ``routes`` are of the HTTP application."""

    services: Sequence[object]
    routes: Sequence[Route]


@asynccontextmanager
async def auditing(
    home: Home,
    engines: Engines,
    signs: StoreSigns,
    feed: AuthorityFeed,
    clock: Clock,
    issuer: str,
    consents: ConsentTraces,
    receipts: Receipts,
    holders: Holders,
    trail: Trail,
) -> AsyncGenerator[Auditing]:
    """Give what the audit takes while the context lasts.

    Raises as `log_key`, and what the stores raise when they cannot be read.
    """
    log = MerkleLog(
        engines.evidence, LogId.DECISIONS, log_key(home, engines, LogId.DECISIONS, issuer)
    )
    with engines.evidence.begin() as connection:
        # So that there is a checkpoint to prove against before the first decision.
        if log.latest_in(connection) is None:
            log.sign(connection, clock.now())
    log.committed()

    def authority() -> Authority:
        return feed.current().authority

    def operator_of(client_id: str) -> str:
        client = authority().clients.get(client_id)
        return "" if client is None else client.operator_id

    def is_public(item: str) -> bool:
        known = feed.current().catalogue.get(item)
        return known is not None and known.openness == Openness.OPENNESS_PUBLIC

    writer = DecisionWriter(engines.records, engines.evidence, log, operator_of, receipts)
    facts = FactWriter(engines, log, KEPT)
    decisions = DecisionSteps(engines.evidence, SqlUsageReader(engines.records))
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        work = BackgroundWork(
            engines.evidence,
            DECISIONS,
            lambda: writer.step(clock.now()),
            lambda: facts.step(clock.now()),
            pace=_PACE,
            sign=any_of(signs.authority, signs.records, signs.evidence),
        )
        proofs = DecisionProofs(
            engines.evidence, log, lambda: loop.call_soon_threadsafe(work.nudge)
        )
        await work.start()
        stack.push_async_callback(work.stop)
        reads = Shares("auditing")
        stack.callback(reads.close)
        files = Shares("decisions-log", LOG_FILES_WAITING)
        stack.callback(files.close)
        yield Auditing(
            [
                AuditService(
                    proofs,
                    decisions,
                    RecordSteps(engines.records, decisions, proofs, holders, is_public),
                    AuthoritySteps(SqlAuthorityLog(engines.authority), change_message),
                    TrailSteps(trail),
                    authority,
                    reads,
                ),
                ProvedConsentTraces(consents, proofs, reads),
            ],
            log_routes(log, files, urlsplit(issuer).path.rstrip("/"), entries=False),
        )
