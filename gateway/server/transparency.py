"""What proves the disclosure, composed: the log and the map, as they are read."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from starlette.routing import Route

from creditgate.transparency.linked import LinkedKeys
from gateway.clock import Clock
from gateway.server.line import Line
from gateway.server.log_keys import LogKeys
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.storage.turn import LOGGING
from gateway.transparency.event_proofs import EventProofs
from gateway.transparency.keys import LogKey
from gateway.transparency.log import MerkleLog
from gateway.transparency.map_reader import MapReader, open_map
from gateway.transparency.progress import LogProgress
from gateway.transparency.routes import links_route, log_routes
from gateway.transparency.salts import Salts
from gateway.transparency.service import TransparencyService
from gateway.transparency.subject_proof import SubjectProofService
from gateway.transparency.tables import LogId

LOG_FILES_WAITING: Final = 100
"""Most files of a log that wait for one address: whoever follows it asks for many at once."""


@dataclass(frozen=True, slots=True)
class Transparency:
    """What the other parts of a process need of it.

    ``key`` signs for the disclosure log, ``keys`` sign and signed for it; ``services`` serve
    methods of DisclosureService that anybody may call, ``subject_proofs`` one that not everybody
    may; ``routes`` are of the HTTP application.
    """

    key: LogKey
    keys: LinkedKeys
    salts: Salts
    log: MerkleLog
    events: EventProofs
    map: MapReader
    progress: LogProgress
    services: Sequence[object]
    subject_proofs: SubjectProofService
    routes: Sequence[Route]


@asynccontextmanager
async def transparency_of(
    log_keys: LogKeys,
    engines: Engines,
    line: Line,
    clock: Clock,
    issuer: str,
    most_bytes: int,
) -> AsyncGenerator[Transparency]:
    """Give what proves the disclosure while the context lasts; at the other end of ``line`` is
    who writes the log, and no proof of a subject has more than ``most_bytes``.

    Raises AnotherLog and ValueError where the installation's key or secret is not that of the
    store's log, OSError, and what the stores raise when they cannot be read.
    """
    salts, key = log_keys.salts, log_keys.of(LogId.DISCLOSURE)
    links, below = log_keys.links(LogId.DISCLOSURE), urlsplit(issuer).path.rstrip("/")
    log = MerkleLog(engines.evidence, LogId.DISCLOSURE, key)
    events = EventProofs(engines.evidence, log)
    progress = LogProgress(engines.evidence, partial(line.tell, LOGGING))
    line.listen(LOGGING, progress.stepped)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(progress.stop)
        map_reader = open_map(engines.evidence, log, salts)
        stack.callback(map_reader.close)
        shares = Shares("log", LOG_FILES_WAITING)
        stack.callback(shares.close)
        yield Transparency(
            key,
            links.keys,
            salts,
            log,
            events,
            map_reader,
            progress,
            (TransparencyService(log, events, shares),),
            SubjectProofService(map_reader, engines.records, salts, progress, clock, most_bytes),
            [
                *log_routes(log, shares, below, entries=True),
                links_route(links, shares, LogId.DISCLOSURE.path, below),
            ],
        )
