"""Federation, composed: what is served to other regions, and what asks them.

A gateway in no federation serves nothing of it, and refuses what crosses regions.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from starlette.routing import Route

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.trust.hearing import not_heard
from gateway.federation.witness.calling import ExchangeCalls
from gateway.federation.witness.keys import witness_key
from gateway.oauth.rfc8693 import SubjectExchange
from gateway.server.asking import asking_of, ways_of
from gateway.server.clearing import clearing_served
from gateway.server.consents import Consenting
from gateway.server.evidence import Evidence
from gateway.server.grounds import Grounds
from gateway.server.homing import home_of
from gateway.server.licences import licence_showing
from gateway.server.line import Line
from gateway.server.linking import links_told
from gateway.server.recognising import recognising
from gateway.server.records import RecordPath
from gateway.server.region_events import region_events_served
from gateway.server.trust import Trust
from gateway.server.witnessing import witnessing
from gateway.transparency.tables import LogId


def _no_region(client_id: str) -> object:
    """Refuse the client of a region, since this gateway is in no federation."""
    del client_id
    raise not_heard()


@dataclass(frozen=True, slots=True)
class Federation:
    """What the other parts of a process need of the federation.

    ``services`` serve methods, by the service's name; ``routes`` are of the HTTP application;
    ``ending`` end streams and questions without end. ``require_region`` raises Refused for the
    client of a region that does not stand, ``region_stands`` tells so. ``exchanges`` decide for
    subject tokens of token exchange, by their type.
    """

    services: dict[str, list[object]] = field(default_factory=dict[str, list[object]])
    routes: list[Route] = field(default_factory=list[Route])
    ending: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    require_region: Callable[[str], object] = _no_region
    exchanges: dict[str, SubjectExchange] = field(default_factory=dict[str, SubjectExchange])

    @property
    def stands(self) -> Callable[[str], object] | None:
        """`require_region`, None for a gateway in no federation."""
        return None if self.require_region is _no_region else self.require_region

    def region_stands(self, client_id: str) -> bool:
        """Tell whether the region of that client id stands. Raises Refused FEDERATION_UNKNOWN."""
        try:
            self.require_region(client_id)
        except Refused as refused:
            if refused.reason == RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED:
                return False
            raise
        return True

    def serve(self, service: str, *serving: object) -> None:
        """Let ``serving`` serve methods of ``service``."""
        self.services.setdefault(service, []).extend(serving)

    def end(self) -> None:
        """End what is without end."""
        for each in self.ending:
            each()


@asynccontextmanager
async def federation_of(
    grounds: Grounds,
    trust: Trust | None,
    consents: Consenting,
    evidence: Evidence,
    records: RecordPath,
    line: Line,
) -> AsyncGenerator[Federation]:
    """Give what the federation takes while the context lasts; at the other end of ``line`` is who
    clears.

    Raises what its parts raise when files or stores cannot be read.
    """
    if trust is None:
        yield Federation()
        return
    federation = Federation(require_region=trust.regions.require_client)
    async with AsyncExitStack() as stack:
        trust.log_keys["disclosure"] = str(evidence.transparency.key.verifier)
        trust.log_keys["usage"] = str(grounds.log_keys.of(LogId.USAGE).verifier)
        links = {log.path: grounds.log_keys.links(log) for log in (LogId.DISCLOSURE, LogId.USAGE)}
        await stack.enter_async_context(links_told(grounds, links, trust.log_links))
        federation.serve("FederationService", trust.statements)
        federation.routes.extend(trust.routes)
        federation.ending.append(trust.end)
        licences = await stack.enter_async_context(licence_showing(grounds, trust))
        federation.serve("LicenceCredentialService", licences.service)
        federation.routes.extend(licences.routes)
        federation.ending.append(licences.end)
        ways = await stack.enter_async_context(ways_of(trust))
        key = witness_key(grounds.home, grounds.issuer)
        trust.log_keys["witness"] = str(key.verifier)
        witnesses = await stack.enter_async_context(
            witnessing(
                grounds.engines,
                grounds.signs,
                evidence.transparency.log,
                key,
                trust.regions,
                ExchangeCalls(ways.links, ways.tokens),
                grounds.clock,
                grounds.issuer,
                grounds.config.witness_quorum,
                trust.anew.region,
            )
        )
        for service, serving in witnesses.services.items():
            federation.serve(service, *serving)
        federation.routes.extend(witnesses.routes)
        asking = await stack.enter_async_context(
            asking_of(
                grounds,
                trust,
                ways,
                licences.own,
                witnesses.belief,
                records,
                evidence.transparency,
                evidence.receipts,
            )
        )
        for service, served in asking.items():
            federation.serve(service, served)
        events = await stack.enter_async_context(region_events_served(grounds, trust))
        federation.serve("FederatedRecordService", events.watch)
        federation.ending.append(events.news.end)
        home = await stack.enter_async_context(
            home_of(
                grounds,
                trust,
                ways,
                licences.others,
                consents,
                records,
                witnesses.quorum,
                evidence.receipts,
            )
        )
        federation.serve("FederationService", *home.services)
        federation.exchanges.update(home.exchanges)
        recognition = recognising(grounds, trust.regions, witnesses.belief, ways, records, stack)
        federation.serve("RecognitionService", *recognition)
        for service, serving in clearing_served(grounds, trust, line, stack).items():
            federation.serve(service, *serving)
        yield federation
