"""Evidence, composed: the logs and the map that prove the disclosure, what operators hold, and
what is done about it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.routing import Route

from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.installation.home import Home
from gateway.oauth.signing import SigningKeys
from gateway.server.consents import Consenting
from gateway.storage.engines import Engines


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the other parts of a process need of the evidence.

    ``services`` serve methods, by the service's name; ``routes`` are of the HTTP
    application; ``end`` ends streams without end.
    """

    services: Mapping[str, Sequence[object]]
    routes: Sequence[Route]
    end: Callable[[], None]


@asynccontextmanager
async def evidence_of(
    config: GatewayConfig,
    home: Home,
    engines: Engines,
    feed: AuthorityFeed,
    keys: SigningKeys,
    clock: Clock,
    consents: Consenting,
    issuer: str,
) -> AsyncGenerator[Evidence]:
    """Give what the evidence takes while the context lasts.

    Raises what the stores raise when they cannot be read.
    """
    services: dict[str, list[object]] = {
        "DisclosureService": [],
        "ConformanceService": [],
        "AuditService": [],
        "ReportService": [],
    }
    routes: list[Route] = []
    ending: list[Callable[[], None]] = []

    def end() -> None:
        for each in ending:
            each()

    async with AsyncExitStack():
        yield Evidence(services, routes, end)
