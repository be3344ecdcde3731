"""Trust between regions, composed: what is heard from the anchor, whose chains hold, and which
certificates connections may show."""

import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from grpc import ServerCredentials
from starlette.routing import Route

from gateway.config import GatewayConfig
from gateway.consents.schema import receipt_keys
from gateway.federation.trust.anchor_file import AnchorFile
from gateway.federation.trust.anew import ChainsAnew
from gateway.federation.trust.catalogue import catalogue_document, catalogue_version
from gateway.federation.trust.configuration import EntityConfiguration, Published
from gateway.federation.trust.entity_key import EntityKey
from gateway.federation.trust.hearing import Hearing
from gateway.federation.trust.keeper import ChainKeeper
from gateway.federation.trust.news import News
from gateway.federation.trust.own import OwnRegion
from gateway.federation.trust.resolver import ChainResolver
from gateway.federation.trust.roots import ClientRoots, FollowingContext, following_grpc_tls
from gateway.federation.trust.routes import trust_routes
from gateway.federation.trust.service import RegionStatements
from gateway.federation.trust.sources import NewsSources
from gateway.federation.trust.standing import StandingRegions
from gateway.server.grounds import Grounds
from gateway.server.listening import TlsFiles
from gateway.storage.background import BackgroundWork, Pace, Rounds
from gateway.storage.turn import FEDERATION
from operators.authority import Authority
from operators.sql import SqlAuthorityLog

_PACE: Final = Pace(1.0)
_ROOTS_PACE: Final = Pace(0.2)


@dataclass(frozen=True, slots=True)
class Trust:
    """What the other parts of a process need of trust between regions.

    ``log_keys`` are the verifier keys this region publishes, by what they sign, ``log_links`` what
    links those before and after to them, and ``grpc`` its addresses: all are filled in by who composes. ``statements`` serves
    GetRegionStatement. ``routes`` are of the HTTP application; ``end`` ends questions that
    wait.
    """

    own: OwnRegion
    regions: StandingRegions
    statements: RegionStatements
    log_keys: dict[str, str]
    log_links: dict[str, list[str]]
    anew: ChainsAnew
    grpc: list[str]
    roots: ClientRoots
    routes: Sequence[Route]
    end: Callable[[], None]

    def grpc_tls(self, tls: TlsFiles) -> ServerCredentials:
        """Return the credentials of a gRPC server that knows admitted regions. Raises OSError."""
        return following_grpc_tls(tls.key, tls.certificate, self.roots)

    def following(self, context: ssl.SSLContext) -> Rounds:
        """Return what lets the HTTPS server with these settings know admitted regions."""
        return Rounds("region-roots", FollowingContext(context, self.roots).step, _ROOTS_PACE)


@asynccontextmanager
async def trust_of(grounds: Grounds) -> AsyncGenerator[Trust | None]:
    """Give what trust takes while the context lasts; None for a gateway in no federation.

    Raises ConfigRefused for keys of the anchor that cannot be used, OSError.
    """
    config, clock, feed = grounds.config, grounds.clock, grounds.feed
    if config.federation_anchor is None or config.federation_anchor_keys is None:
        yield None
        return
    anchor = AnchorFile(config.federation_anchor, config.federation_anchor_keys)
    ca = config.federation_anchor_ca
    anchor_roots = None if ca is None else ca.read_text(encoding="ascii")
    tls = TlsFiles.of(config, grounds.home)
    own = own_region(grounds)
    log_keys: dict[str, str] = {}
    log_links: dict[str, list[str]] = {}
    addresses: list[str] = []

    def authority() -> Authority:
        return feed.current().authority

    def published() -> Published:
        view = feed.current()
        return Published(
            addresses,
            log_keys,
            receipt_keys(view.signing_keys),
            catalogue_version(view.catalogue),
            log_links,
        )

    async with AsyncExitStack() as stack:
        resolver = ChainResolver(anchor, anchor_roots, clock)
        stack.callback(resolver.close)
        sources = NewsSources(
            anchor,
            anchor_roots,
            lambda: resolver.anchor_keys,
            lambda: authority().regions.known,
            own.entity_id,
            clock,
        )
        stack.push_async_callback(sources.close)
        news = Hearing[News](
            "federation-news",
            sources.now,
            lease_seconds=config.federation_lease_seconds,
            clock=clock,
            changed=lambda: work.nudge(),  # noqa: PLW0108  # made below
        )
        keeper = ChainKeeper(
            SqlAuthorityLog(grounds.engines.authority),
            authority,
            resolver,
            lambda: news.newest,
            clock,
        )
        work = BackgroundWork(grounds.engines.authority, FEDERATION, keeper.step, pace=_PACE)
        await work.start()
        stack.push_async_callback(work.stop)
        news.start()
        stack.push_async_callback(news.stop)

        def path(entity_id: str) -> Sequence[str]:
            return () if news.newest is None else news.newest.path(entity_id)

        def superior() -> str:
            return [anchor.entity_id, *path(own.entity_id)][-1]

        def enrolled(entity_id: str) -> bool:
            heard = news.newest
            return heard is None or (entity_id in heard.regions and entity_id not in heard.cut_off)

        configuration = EntityConfiguration(own, superior, published)
        routes, end = trust_routes(
            own.entity_id,
            configuration.signed,
            lambda: news.newest,
            lambda: catalogue_document(feed.current().catalogue),
        )
        regions = StandingRegions(own.entity_id, authority, news.current, clock)
        yield Trust(
            own,
            regions,
            RegionStatements(own.entity_id, configuration.signed, resolver, regions, path, clock),
            log_keys,
            log_links,
            ChainsAnew(keeper.look_anew, feed.refresh, regions),
            addresses,
            ClientRoots(tls.client_ca, lambda: authority().regions, enrolled),
            routes,
            end,
        )


def own_region(grounds: Grounds) -> OwnRegion:
    """Return this region, its keys made where there are none. Raises OSError."""
    config, home = grounds.config, grounds.home
    roots = config.federation_roots or home.ca
    return OwnRegion(
        entity_id=grounds.issuer,
        certificate=config.federation_certificate or home.federation_certificate,
        key=config.federation_certificate_key or home.federation_certificate_key,
        roots=roots.read_text(encoding="ascii"),
        entity_key=EntityKey.kept_in(home.federation_key),
        assertion_key=EntityKey.kept_in(home.federation_assertion_key),
        clock=grounds.clock,
        next_certificate=config.federation_next_certificate,
    )


def addresses_of(config: GatewayConfig, own: str) -> list[str]:
    """Return where other regions reach this one's methods: ``own`` unless grpc_url is set."""
    if config.grpc_url is None:
        return [own]
    place = config.grpc_url.removeprefix("https://").split("/", 1)[0]
    return [place if place.rpartition(":")[2].isdigit() else f"{place}:443"]
