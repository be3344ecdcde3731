"""The HTTP application, composed: the authorisation server, and the pages people use."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from starlette.applications import Starlette
from starlette.routing import Route

from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.interaction.app import InteractionParts, interaction_routes
from gateway.oauth.app import build_app
from gateway.oauth.context import AuthorizationContext, always_sound
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.replay import SqlReplayCache
from gateway.oauth.rfc8414 import Endpoints
from gateway.oauth.rfc8693 import NO_EXCHANGES, SubjectExchange
from gateway.oauth.signing import SigningKeys
from gateway.server.consents import Consenting
from gateway.server.evidence import Evidence
from gateway.server.reporting import Reporting
from gateway.signin.desk import SignInDesk
from gateway.storage.engines import Engines


def web_app(
    config: GatewayConfig,
    clock: Clock,
    engines: Engines,
    feed: AuthorityFeed,
    keys: SigningKeys,
    proofs: DpopProofs,
    people: SignInDesk | None,
    consents: Consenting,
    evidence: Evidence,
    reports: Reporting,
    offices: Sequence[Route],
    issuer: str,
    region_stands: Callable[[str], bool],
    exchanges: Mapping[str, SubjectExchange] = NO_EXCHANGES,
    soundness: Callable[[], str] = always_sound,
) -> Starlette:
    """Return the application; ``offices`` are the pages of administrators and operators,
    ``issuer`` its own public URL, ``region_stands`` and ``soundness`` as `AuthorizationContext`
    has them, ``exchanges`` as `build_app`."""
    return build_app(
        AuthorizationContext(
            authority=feed.current,
            clock=clock,
            keys=keys,
            replay=SqlReplayCache(engines.authority),
            endpoints=Endpoints(issuer),
            audience=config.audience,
            token_seconds=config.token_seconds,
            grant_seconds=config.grant_seconds,
            rotate_before=_seconds(config.rotate_refresh_tokens_before),
            engine=engines.authority,
            nonces=proofs.nonces,
            terms_faults=consents.desk.faults,
            region_stands=region_stands,
            soundness=soundness,
        ),
        lambda interactions: [
            *interaction_routes(
                InteractionParts(
                    interactions,
                    feed.current,
                    people,
                    clock,
                    config.token_seconds,
                    config.grant_seconds,
                    consents.desk,
                    consents.delegations,
                )
            ),
            *consents.subject_routes(reports.own),
            *consents.routes,
            *reports.routes,
            *evidence.routes,
            *offices,
        ],
        exchanges,
    )


def _seconds(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp())
