"""What is done to regions from outside, and noted as `tests.faults.model` takes it.

Whoever is cut off tries again by the same id, as clients are told to.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import grpc
import httpx
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from consent.model import Actor
from creditgate.federated_query import consent_elsewhere
from creditgate.v1 import consent_service_pb2 as consent_pb
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.consent_service_pb2_grpc import ConsentServiceStub
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.federated_record_service_pb2 import RegionOutcome
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from sdk.connection import connect
from sdk.federated import AnswerBroken, FederatedAnswer, query_regions
from sdk.refusals import explain
from sdk.tokens import TokenRefused
from tests.consents.counter import NOTICE, SIGNER, desk_of, furnish, id_of, terms
from tests.faults.model import Answer, Consent, Given, History, Record, Span
from tests.faults.regions import LEASE_SECONDS, MOST_BEHIND, Country, Region
from tests.federating import DISTRICTS
from tests.federation.asking.world import placed, question
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    PRICE,
    PUBLIC_ITEM,
    PUBLISHER,
    Installation,
    content,
    eventually,
)
from tests.server.calls import draft

_SOON_MILLISECONDS: Final = 200
_CALL_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 60.0
_MARGIN_SECONDS: Final = 2.0


@dataclass
class Watcher:
    """Acts for alpha, for the publishers of all regions and for subjects; notes what it saw.

    ``last_used`` has, for each home region and each consent that was taken back longer ago than
    the lease, the last answer that the region had metered by then: whatever its clock tells.
    """

    country: Country
    history: History
    channels: dict[str, grpc.aio.Channel]
    second: grpc.aio.Channel
    last_used: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    _marking: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])

    async def ask(
        self,
        subjects: Iterable[str],
        item: str = PUBLIC_ITEM,
        consent: str = "",
        *,
        request_id: str = "",
        seconds: float = 3.0,
        by_second: bool = False,
    ) -> Answer:
        """Ask every region as alpha, once."""
        answer = Answer(
            request_id or uuid4().hex, tuple(subjects), item, consent, Span(time.monotonic(), 0.0)
        )
        asked = question(
            answer.subjects,
            items=[item],
            consent=consent,
            request_id=answer.request_id,
            region_deadline=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)),
        )
        told = FederatedAnswer()
        channel = self.second if by_second else self.channels[OPERATOR_CLIENT]
        try:
            # Longer than the regions have: the gateway is to tell of them whatever they do.
            async with (
                asyncio.timeout(seconds + 10),
                aclosing(query_regions(channel, asked)) as steps,
            ):
                async for step in steps:
                    told.take(step)
        except grpc.aio.AioRpcError as error:
            explained = explain(error)
            answer.refused = explained.reason or explained.status
        except AnswerBroken:
            answer.refused = "BROKEN"
        except TimeoutError:
            answer.refused = "NEVER"
        answer.during = Span(answer.during.began, time.monotonic())
        _noted(answer, told)
        self.history.answers.append(answer)
        return answer

    async def publish(self, region: Region, subject: str, item: str = PUBLIC_ITEM) -> Record:
        """Publish a record in a region, and return it once that is acknowledged."""
        began, batch_id = time.monotonic(), uuid4().hex
        made = placed(draft(f"{region.name}-{batch_id}", subject, item), DISTRICTS[region.name])
        made.content = content(batch_id)
        request = disclosure_pb.PublishRecordsRequest(batch_id=batch_id, records=[made])

        async def requests() -> AsyncGenerator[disclosure_pb.PublishRecordsRequest]:
            yield request

        stub = DisclosureServiceStub(self.channels[region.name])
        # Noted before it is acknowledged: whoever asks meanwhile may be given it.
        record = Record(
            *(made.record_id, region.issuer, subject, item, made.content),
            Span(began, float("inf")),
        )
        self.history.records[made.record_id] = record
        await _patiently(lambda: stub.PublishRecords(requests(), timeout=_CALL_SECONDS))
        record.published = Span(began, time.monotonic())
        return record

    async def withdraw(self, region: Region, record: Record) -> None:
        """Withdraw a record, and return once that is acknowledged."""
        began = time.monotonic()
        record.ended = Span(began, float("inf"))
        stub = DisclosureServiceStub(self.channels[region.name])
        request = disclosure_pb.WithdrawRecordRequest(
            name=f"records/{record.record_id}", expected_revision=1, reason="published in error"
        )

        async def call() -> None:
            try:
                await stub.WithdrawRecord(request, timeout=_CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                # A try that was cut off did it.
                if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                    raise

        await _patiently(call)
        record.ended = Span(began, time.monotonic())

    async def consented(self, subject: str) -> Consent:
        """Have alpha ask for a consent, and its subject give it."""
        began = time.monotonic()
        asking = self.country.asking
        stub: Any = ConsentServiceStub(self.channels[OPERATOR_CLIENT])
        request = consent_pb.RequestConsentRequest(
            subject=subject, terms=terms(asking.clock.now()), request_id=uuid4().hex
        )
        answer = await _patiently(lambda: stub.RequestConsent(request, timeout=_CALL_SECONDS))
        asked = answer.consent
        await asyncio.to_thread(
            desk_of(asking.installation, asking.issuer).grant,
            id_of(asked.name),
            expected_version=int(asked.etag),
            signer=SIGNER,
            delegation="",
            notice=NOTICE,
        )
        given = Consent(asked.name, subject, Span(began, time.monotonic()))
        self.history.consents[given.name] = given
        return given

    async def revoke(self, consent: Consent) -> None:
        """Have its subject take a consent back."""
        began = time.monotonic()
        asking = self.country.asking
        await asyncio.to_thread(
            desk_of(asking.installation, asking.issuer).revoke,
            id_of(consent.name),
            actor=Actor.SUBJECT,
            actor_id=SIGNER,
            reason="",
        )
        consent.revoked = Span(began, time.monotonic())
        elsewhere = consent_elsewhere(asking.issuer, consent.name)
        for home in self.country.homes:
            self._marking.add(asyncio.create_task(self._mark(home, elsewhere)))

    async def _mark(self, home: Region, consent: str) -> None:
        await asyncio.sleep(LEASE_SECONDS + _MARGIN_SECONDS)
        while True:
            try:
                self.last_used[home.name, consent] = await asyncio.to_thread(_newest, home)
            except OperationalError:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    async def marked(self) -> None:
        """Wait until the lease is over for every consent that was taken back."""
        await asyncio.gather(*self._marking)


def _newest(home: Region) -> int:
    with reading(home.installation.engines.records) as connection:
        return connection.execute(select(func.coalesce(func.max(USAGE.c.sequence), 0))).scalar_one()


def _noted(answer: Answer, told: FederatedAnswer) -> None:
    answer.planned = frozenset(told.regions)
    for region, each in told.regions.items():
        if each.closing is not None:
            name = RegionOutcome.Name(each.closing.outcome)
            answer.ends[region] = name.removeprefix("REGION_OUTCOME_")
            answer.waits[region] = each.closing.retry_delay.seconds
        answer.given[region] = [
            Given(record.name.removeprefix("records/"), record.subject, item, record.content)
            for item, record in each.records
        ]


async def _patiently(call: Callable[[], Awaitable[Any]]) -> Any:
    """Return what ``call`` answers, however often it is cut off or told to come again."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            passing = (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
                grpc.StatusCode.CANCELLED,
                grpc.StatusCode.ABORTED,
                grpc.StatusCode.UNKNOWN,
                # Where the clock is off: tokens of now are over, or did not begin.
                grpc.StatusCode.UNAUTHENTICATED,
            )
            if error.code() not in passing or time.monotonic() > until:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)


async def whole(watcher: Watcher) -> None:
    """Mend every way, start every part, and wait until every home region answers, or tells for
    how long it cannot: one that logged by a clock ahead proves nothing until time has caught up.
    """
    country = watcher.country
    for way in country.ways().values():
        way.heal()
    for part in (country.anchor, *country.regions.values()):
        if part.process is None:
            await part.start()

    async def answers() -> bool:
        answer = await watcher.ask(["91000000DEM000011A"])
        return bool(answer.ends) and all(
            end == "EMPTY" or (end == "REFUSED" and 2 < answer.waits[region] <= MOST_BEHIND)
            for region, end in answer.ends.items()
        )

    await eventually(answers, 45)


def furnished(installation: Installation) -> None:
    """Put in what the asking region needs, with another operator to ask for consents."""
    installation.furnish()
    furnish(installation)


@asynccontextmanager
async def watching(country: Country) -> AsyncGenerator[Watcher]:
    """Give a watcher of a country all of whose parts answer now."""
    options = [
        ("grpc.max_reconnect_backoff_ms", _SOON_MILLISECONDS),
        ("grpc.initial_reconnect_backoff_ms", _SOON_MILLISECONDS),
        ("grpc.use_local_subchannel_pool", 1),
    ]

    async def opened(region: Region, client_id: str) -> grpc.aio.Channel:
        credentials = region.gateway.credentials(client_id)
        while True:
            try:
                channel = await connect(credentials, options=options)
            except (httpx.HTTPError, TokenRefused):
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return await stack.enter_async_context(channel)

    async with AsyncExitStack() as stack:
        channels = {each.name: await opened(each, PUBLISHER) for each in country.regions.values()}
        channels[OPERATOR_CLIENT] = await opened(country.asking, OPERATOR_CLIENT)
        second = await opened(country.asking, OPERATOR_CLIENT)
        homes = frozenset(each.issuer for each in country.homes)
        yield Watcher(country, History(PRICE, CONSENT_ITEM, homes), channels, second)
