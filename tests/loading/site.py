"""The real disclosure behind real gRPC, on a real store; its calls can be made to fail."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Literal

import grpc
from sqlalchemy import Engine, func, select

from creditgate.refusal import Refused
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.catalogue.file import NATIONAL, read_catalogue
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem
from gateway.clock import SystemClock
from gateway.disclose.service import DisclosureService
from gateway.disclose.store import DisclosureStore
from gateway.disclose.tables import BATCHES
from gateway.pki.client_keys import make_assertion_key
from gateway.server.errors import refusal_answer
from operators.kept import Kept
from operators.log import Change
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant

PUBLISHER = "publisher"
SCOPE = "disclosure:publish"
_CALLER = Caller(
    PUBLISHER, ClientRole.CLIENT_ROLE_PUBLISHER, "", frozenset({SCOPE}), token_expires_at=1 << 40
)

Moment = Literal["before", "after"]


class StandingFeed:
    """A view of authority that changes when told to."""

    def __init__(self) -> None:
        self._view = AuthorityView()
        client = Client(
            client_id=PUBLISHER,
            role=ClientRole.CLIENT_ROLE_PUBLISHER,
            jwks=make_assertion_key().jwks,
            certificate_thumbprints=frozenset({"A" * 43}),
        )
        grant = ScopeGrant(grant_id="g1", grantee=PUBLISHER, scope=SCOPE, valid_from=0)
        self._put(CLIENT, PUBLISHER, client)
        self._put(SCOPE_GRANT, "g1", grant)

    def current(self) -> AuthorityView:
        """Return the present view."""
        return self._view

    def catalogue(self, items: Iterable[CatalogueItem]) -> None:
        """Put items in, or new versions of them."""
        for item in items:
            self._put(CATALOGUE_ITEM, item.code, item)

    def _put(self, kind: str, id_: str, thing: Kept) -> None:
        change = Change(
            self._view.sequence + 1, kind, id_, 1, thing.as_document(), "admin", 0, "test"
        )
        self._view = self._view.advanced([change])


class Site:
    """Publishes for one publisher, whoever calls.

    A call fails "before" the batch is read, or "after" it was committed, so that its
    answer is lost. ``answers`` are given instead of the truth.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.store = DisclosureStore(engine)
        self.feed = StandingFeed()
        self.service = DisclosureService(self.store, self.feed, SystemClock())
        self._failures: list[tuple[Moment, Refused]] = []
        self.answers: list[pb.PublishRecordsResponse] = []
        self.requests: list[pb.PublishRecordsRequest] = []

    def fail(self, *failures: tuple[Moment, Refused]) -> None:
        """Make the next calls fail."""
        self._failures += failures

    async def publish_records(
        self,
        request_iterator: AsyncIterator[pb.PublishRecordsRequest],
        context: grpc.aio.ServicerContext[pb.PublishRecordsRequest, pb.PublishRecordsResponse],
    ) -> pb.PublishRecordsResponse:
        """Take the feed."""
        moment, failure = self._failures.pop(0) if self._failures else ("", None)
        try:
            if failure is not None and moment == "before":
                raise failure
            answer = await self.service.publish_records(self._noted(request_iterator), _CALLER)
            if failure is not None:
                raise failure
        except Refused as refused:
            code, message, trailers = refusal_answer(refused)
            await context.abort(code, message, trailers)
        return self.answers.pop(0) if self.answers else answer

    async def _noted(
        self, requests: AsyncIterator[pb.PublishRecordsRequest]
    ) -> AsyncIterator[pb.PublishRecordsRequest]:
        async for request in requests:
            self.requests.append(request)
            yield request

    def batch_count(self) -> int:
        """Return how many batches were ever committed."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(BATCHES)).scalar_one()


@asynccontextmanager
async def open_site(engine: Engine) -> AsyncGenerator[tuple[Site, grpc.aio.Channel]]:
    """Serve a site with the national catalogue and give a channel to it."""
    site = Site(engine)
    site.feed.catalogue(read_catalogue(NATIONAL))
    server = grpc.aio.server()
    handler = grpc.stream_unary_rpc_method_handler(
        site.publish_records,
        request_deserializer=pb.PublishRecordsRequest.FromString,
        response_serializer=pb.PublishRecordsResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "creditgate.v1.DisclosureService", {"PublishRecords": handler}
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield site, channel
    finally:
        await server.stop(None)
