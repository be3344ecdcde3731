"""Consents, composed: the desk, the services, the pages."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from starlette.routing import Route

from consent.changing import CHANNEL
from consent.delegations_sql import SqlDelegations
from consent.notices import SqlNotices
from consent.overdue import SqlOverdue
from consent.sql import SqlConsents
from consent.subject_keys import SqlSubjectKeys
from consent.tables import CONSENT_CHANGE
from gateway.authority.bell import open_bell
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.consents.accesses import Accesses
from gateway.consents.desk import ConsentDesk
from gateway.consents.message import ConsentMessages
from gateway.consents.news import ConsentNews
from gateway.consents.receipt import ConsentReceipts
from gateway.consents.refused import RefusedCalls
from gateway.consents.schema import receipt_key_routes, schema_routes
from gateway.consents.service import ConsentService
from gateway.consents.trace import TraceService
from gateway.consents.watch import ConsentWatch
from gateway.oauth.grants import SqlOAuthGrants
from gateway.oauth.signing import SigningKeys
from gateway.shares import Shares
from gateway.signin.desk import SignInDesk
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns, open_sign
from gateway.subject.app import subject_routes
from gateway.subject.own_reports import OwnReports
from gateway.subject.parts import SubjectParts

_NEWEST_CHANGE: Final = select(func.coalesce(func.max(CONSENT_CHANGE.c.sequence), 0))


@dataclass(frozen=True, slots=True)
class Consenting:
    """What the other parts of a process need of consents.

    ``services`` serve methods, by the service's name; ``routes`` are of the HTTP
    application, and so are ``subject_routes``, those of subjects' pages, given what issues
    subjects' own reports.
    """

    consents: SqlConsents
    delegations: SqlDelegations
    desk: ConsentDesk
    services: Mapping[str, Sequence[object]]
    routes: Sequence[Route]
    subject_routes: Callable[[OwnReports], Sequence[Route]]
    news: ConsentNews
    traces: TraceService


@asynccontextmanager
async def consenting(
    config: GatewayConfig,
    engines: Engines,
    signs: StoreSigns,
    feed: AuthorityFeed,
    keys: SigningKeys,
    clock: Clock,
    people: SignInDesk | None,
    issuer: str,
) -> AsyncGenerator[Consenting]:
    """Give what consents take while the context lasts; ``people`` signs people in.

    Raises what the stores raise when they cannot be read.
    """
    consents = SqlConsents(engines.records)
    grants = SqlOAuthGrants(engines.authority)

    def end_grants(consent: str) -> None:
        grants.end_for_consent(consent, clock.now())

    def operators() -> Sequence[str]:
        return tuple(feed.current().authority.operators)

    receipts = ConsentReceipts(keys, feed.current, issuer, clock)
    desk = ConsentDesk(consents, receipts, feed.current, clock, end_grants)
    accesses = Accesses(engines.records, consents, operators, clock)
    messages = ConsentMessages(consents, clock)
    delegations = SqlDelegations(engines.records)

    def pages(reports: OwnReports) -> Sequence[Route]:
        return subject_routes(
            SubjectParts(
                consents=consents,
                desk=desk,
                delegations=delegations,
                keys=SqlSubjectKeys(engines.records),
                notices=SqlNotices(engines.records),
                overdue=SqlOverdue(engines.records),
                accesses=accesses,
                receipts=receipts,
                reports=reports,
                view=feed.current,
                sign_in=people,
                clock=clock,
                issuer=issuer,
            )
        )

    async with AsyncExitStack() as stack:
        bell = open_bell(engines.records, CHANNEL)
        stack.push_async_callback(bell.close)
        own = open_sign(engines.records, _NEWEST_CHANGE, stack.enter_context(ExitStack()))
        sign = own or signs.records
        news = ConsentNews(consents, bell, config.authority_poll_ms / 1_000, sign)
        await news.start()
        stack.push_async_callback(news.stop)
        watch = ConsentWatch(consents, news, feed.current, clock)
        reads = Shares("consents")
        stack.callback(reads.close)
        yield Consenting(
            consents,
            delegations,
            desk,
            {
                "ConsentService": [
                    ConsentService(consents, desk, messages, accesses, watch, reads, clock, issuer)
                ],
            },
            [
                *schema_routes(issuer),
                *receipt_key_routes(issuer, lambda: feed.current().signing_keys),
            ],
            pages,
            news,
            TraceService(consents, messages, accesses, RefusedCalls(engines.records), reads),
        )
