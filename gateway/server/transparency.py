"""What proves the disclosure, composed: the log, the map, and who writes them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.routing import Route

from gateway.authority.feed import AuthorityFeed
from gateway.catalogue.model import CatalogueBook
from gateway.clock import Clock
from gateway.installation.home import Home
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns, any_of
from gateway.transparency.disclosure_map import DisclosureMap
from gateway.transparency.event_proofs import EventProofs
from gateway.transparency.identity import key_of_log
from gateway.transparency.keys import LogKey
from gateway.transparency.log import MerkleLog
from gateway.transparency.logger import DisclosureLogger
from gateway.transparency.map_reader import MapReader, open_map
from gateway.transparency.routes import PREFIX, log_routes
from gateway.transparency.salts import Salts
from gateway.transparency.service import TransparencyService
from gateway.transparency.subject_proof import SubjectProofService
from gateway.transparency.tables import LogId
from gateway.transparency.writer import DisclosureWriter

LOG_FILES_WAITING: Final = 100
"""Most files of a log that wait for one address: whoever follows it asks for many at once."""


@dataclass(frozen=True, slots=True)
class Transparency:
    """What the other parts of a process need of it.

    ``key`` signs for the disclosure log; ``services`` serve methods of DisclosureService;
    ``routes`` are of the HTTP application.
    """

    key: LogKey
    salts: Salts
    log: MerkleLog
    events: EventProofs
    map: MapReader
    logger: DisclosureLogger
    services: Sequence[object]
    routes: Sequence[Route]


@asynccontextmanager
async def transparency_of(
    home: Home,
    engines: Engines,
    signs: StoreSigns,
    feed: AuthorityFeed,
    clock: Clock,
    issuer: str,
) -> AsyncGenerator[Transparency]:
    """Give what proves the disclosure while the context lasts.

    Raises AnotherLog and ValueError where the installation's key or secret is not that of the
    store's log, OSError, and what the stores raise when they cannot be read.
    """
    salts = Salts.kept_in(home.salts)
    key = log_key(home, engines, LogId.DISCLOSURE, issuer, salts)
    log = MerkleLog(engines.evidence, LogId.DISCLOSURE, key)
    events = EventProofs(engines.evidence, log)

    def catalogue() -> CatalogueBook:
        return feed.current().catalogue

    async with AsyncExitStack() as stack:
        logger = DisclosureLogger(
            DisclosureWriter(
                engines.records,
                engines.evidence,
                log,
                salts,
                DisclosureMap(engines.records, salts),
                catalogue,
            ),
            engines.evidence,
            clock,
            # The catalogue is a part of authority.
            sign=any_of(signs.disclosure, lambda: feed.current().sequence),
        )
        await logger.start()
        stack.push_async_callback(logger.stop)
        map_reader = open_map(engines.evidence, log, salts)
        stack.callback(map_reader.close)
        shares = Shares("log", LOG_FILES_WAITING)
        stack.callback(shares.close)
        yield Transparency(
            key,
            salts,
            log,
            events,
            map_reader,
            logger,
            (
                TransparencyService(log, events, shares),
                SubjectProofService(map_reader, engines.records, salts, logger, clock),
            ),
            log_routes(log, shares, urlsplit(issuer).path.rstrip("/"), entries=True),
        )


def log_key(
    home: Home, engines: Engines, log: LogId, issuer: str, salts: Salts | None = None
) -> LogKey:
    """Return the key of one of the installation's logs, which begins where there is none.

    Its origin is the URL it is served at, without the scheme (C2SP tlog-tiles), as that was
    when it began. Raises as `key_of_log`.
    """
    place = urlsplit(issuer.rstrip("/") + f"{PREFIX}/{log.path}")
    return key_of_log(
        engines.evidence, log, home.log_key(log.path), place.netloc + place.path, salts
    )
