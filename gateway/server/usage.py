"""Usage logs, composed: the key of receipts, who writes the logs, and what shows them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.meter.deliveries import Deliveries
from gateway.meter.reader import SqlUsageReader
from gateway.meter.receipts import ReceiptSigner
from gateway.server.line import Line
from gateway.server.log_keys import LogKeys
from gateway.server.transparency import LOG_FILES_WAITING
from gateway.settlement.region_entries import RegionEntries
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns
from gateway.storage.turn import USAGE
from gateway.transparency.routes import PREFIX, links_route
from gateway.transparency.tables import LogId
from gateway.usage.charged import is_charged
from gateway.usage.cosigning import Cosignatures
from gateway.usage.deliveries import DeliveryStatements
from gateway.usage.duties import AgreementDuties
from gateway.usage.logs import OperatorLogs
from gateway.usage.news import UsageNews
from gateway.usage.policy import AgreementPolicy
from gateway.usage.proofs import UsageProofs
from gateway.usage.service import UsageLogService
from gateway.usage.stream import UsageStream
from gateway.usage.unsigned import UnsignedUse
from operators.authority import Authority


@dataclass(frozen=True, slots=True)
class UsageLogs:
    """What the other parts of a process need of usage logs.

    ``receipts`` signs for the ledger; ``services`` serve methods of UsageService; ``routes``
    are of the HTTP application; ``end`` ends streams without end; ``unsigned`` stands before
    answers with records.
    """

    receipts: ReceiptSigner
    services: Sequence[object]
    routes: Sequence[Route]
    end: Callable[[], None]
    unsigned: UnsignedUse


@asynccontextmanager
async def usage_logs(
    config: GatewayConfig,
    log_keys: LogKeys,
    engines: Engines,
    signs: StoreSigns,
    line: Line,
    feed: AuthorityFeed,
    clock: Clock,
    policy: AgreementPolicy,
    issuer: str,
) -> AsyncGenerator[UsageLogs]:
    """Give what usage logs take while the context lasts; at the other end of ``line`` is who
    writes them.

    Raises as `LogKeys.of`, and what the stores raise when they cannot be read.
    """
    key, links = log_keys.of(LogId.USAGE), log_keys.links(LogId.USAGE)
    logs = OperatorLogs(engines.evidence, key)
    loop = asyncio.get_running_loop()
    below = urlsplit(issuer).path.rstrip("/")

    def authority() -> Authority:
        return feed.current().authority

    async def show_key(_: Request) -> Response:
        return PlainTextResponse(f"{key.verifier}\n", headers={"Cache-Control": "no-cache"})

    async with AsyncExitStack() as stack:
        news = UsageNews(engines.records, config.authority_poll_ms / 1_000, signs.records)
        news.start()
        stack.push_async_callback(news.stop)
        reads = Shares("usage")
        stack.callback(reads.close)
        files = Shares("usage-log", LOG_FILES_WAITING)
        stack.callback(files.close)
        proofs = UsageProofs(
            engines.records,
            logs,
            RegionEntries(),
            lambda: loop.call_soon_threadsafe(line.tell, USAGE),
        )
        duties = AgreementDuties(engines.records, engines.evidence, logs, policy)
        unsigned = UnsignedUse(
            duties.refused, partial(is_charged, engines.records), sign=signs.evidence
        )
        await unsigned.start()
        stack.push_async_callback(unsigned.stop)
        yield UsageLogs(
            ReceiptSigner(key),
            (
                UsageLogService(
                    proofs,
                    Cosignatures(engines.evidence, logs),
                    duties,
                    links,
                    reads,
                    authority,
                    clock,
                ),
                DeliveryStatements(Deliveries(engines.records), reads, authority),
                UsageStream(
                    engines.records,
                    SqlUsageReader(engines.records, RegionEntries()),
                    news,
                    reads,
                    authority,
                    clock,
                ),
            ),
            [
                Route(f"{below}{PREFIX}/{LogId.USAGE.path}/key", show_key),
                links_route(links, files, LogId.USAGE.path, below),
            ],
            news.end,
            unsigned,
        )
