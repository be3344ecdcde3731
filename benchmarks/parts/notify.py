"""From a correction committed to every operator that holds the record notified."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final

import grpc

from benchmarks.installations import installed, licensed
from benchmarks.parts.stage import GATEWAY, Stage
from benchmarks.processes import Failed, serving
from benchmarks.results import Measure
from benchmarks.rounds import Spread
from benchmarks.shape import Shape, admitted_records, subject_code
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsRequest
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.disclose.model import Correction
from gateway.disclose.store import DisclosureStore
from gateway.installation.bootstrap import ADMINISTRATOR
from gateway.installation.home import Home
from gateway.storage.engines import open_engines
from operators.sql import SqlAuthorityLog
from sdk.connection import connect
from sdk.credentials import Credentials
from sdk.disclosures import Disclosures
from sdk.request_ids import new_request_id

_WATCHERS: Final = 200
_HELD: Final = Shape(subjects=1, records_each=100)
_SCOPES: Final = ("credit.records:read", "credit.conformance:watch")
_MARKER: Final = "watchers.made"
_AT_ONCE: Final = 8
_PAUSE_SECONDS: Final = 0.1
_MOST_SECONDS: Final = 30
_PUBLISHER: Final = "bench-publisher"


def measure(stage: Stage) -> list[Measure]:
    """Return how long after its commit a correction is told to `_WATCHERS` operators, each by
    a stream and a connection of its own."""
    home = _furnished(stage.folder / "watched")
    corrections = 5 * stage.pace.turns
    with serving(GATEWAY, home.root) as server:
        grpc_address, _, issuer = server.address.partition(" ")
        before = server.cpu
        latencies = asyncio.run(_notified(home, grpc_address, issuer, corrections))
        cpu = server.cpu - before
    told = [1_000 * seconds for each in latencies for seconds in each]
    # One figure for each correction: what the last but one of a hundred watchers waits.
    slow = [1_000 * quantiles(each, n=100)[98] for each in latencies]
    return [
        Measure(
            "notify.p99",
            Spread(quantiles(told, n=100)[98], min(slow), max(slow)),
            "ms",
            at_most=1_000,
        ),
        Measure("notify.all", Spread.of(told), "ms"),
        Measure(
            "notify.server_cpu_per_notification",
            Spread.of([1e6 * cpu / len(told)]),
            "µs",
        ),
    ]


def _furnished(root: Path) -> Home:
    """Return an installation that discloses to `_WATCHERS` operators."""
    home = installed(root, _HELD)
    marker = root / _MARKER
    if not marker.exists():
        print(f"  {_WATCHERS} operators ...", flush=True)
        engines = open_engines("sqlite", home.root)
        try:
            log, now = SqlAuthorityLog(engines.authority), int(time.time())
            drafts = [
                draft
                for number in range(_WATCHERS)
                for draft in licensed(home, _operator(number), _client(number), _SCOPES, now)
            ]
            log.append(drafts, changed_by=ADMINISTRATOR, changed_at=now, reason="benchmark")
        finally:
            engines.dispose()
        marker.touch()
    return home


def _operator(number: int) -> str:
    return f"watcher-{number}"


def _client(number: int) -> str:
    return f"watching-{number}"


@dataclass(slots=True)
class _Watcher:
    """One operator's stream; ``told_at`` has when each event came, by its position."""

    channel: grpc.aio.Channel
    told_at: dict[int, float] = field(default_factory=dict[int, float])

    async def hold(self) -> None:
        """Be served the records."""
        request = GetSubjectRecordsRequest(
            subject=subject_code(0),
            purpose=Purpose.PURPOSE_CREDIT_APPROVAL,
            request_id=new_request_id(),
        )
        await CreditRecordServiceStub(self.channel).GetSubjectRecords(request)

    async def watch(self, after: int) -> None:
        """Note when events come, until cancelled."""
        async with aclosing(Disclosures(self.channel).follow(after)) as told:
            async for response in told:
                self.told_at[response.event.event_sequence] = time.monotonic()


async def _notified(
    home: Home, address: str, issuer: str, corrections: int
) -> Sequence[Sequence[float]]:
    """Return the seconds from each commit to each watcher's notice."""
    engines = open_engines("sqlite", home.root)
    try:
        store = DisclosureStore(engines.records)
        async with _watching(home, address, issuer, store.head()) as watchers:
            return [
                await _told(store, watchers, number % _HELD.records)
                for number in range(corrections)
            ]
    finally:
        engines.dispose()


@asynccontextmanager
async def _watching(
    home: Home, address: str, issuer: str, after: int
) -> AsyncGenerator[Sequence[_Watcher]]:
    async with AsyncExitStack() as stack:
        opening = asyncio.Semaphore(_AT_ONCE)

        async def opened(number: int) -> _Watcher:
            credentials = Credentials.load(home.profile(_client(number))).model_copy(
                update={"grpc": address, "issuer": issuer}
            )
            async with opening:
                # Channels of one target share a connection unless told otherwise.
                channel = await connect(
                    credentials, options=(("grpc.use_local_subchannel_pool", 1),)
                )
                watcher = _Watcher(await stack.enter_async_context(channel))
                await watcher.hold()
            return watcher

        watchers = await asyncio.gather(*(opened(number) for number in range(_WATCHERS)))
        streams = [asyncio.create_task(watcher.watch(after)) for watcher in watchers]
        await asyncio.sleep(1)
        try:
            yield watchers
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)


async def _told(
    store: DisclosureStore, watchers: Sequence[_Watcher], number: int
) -> Sequence[float]:
    """Correct a record and return how long each watcher waited for the news."""
    record = list(admitted_records(_HELD, int(time.time())))[number]
    revision = store.record(record.record_id).record.revision
    correction = Correction(record, revision, "benchmark")
    changed = await asyncio.to_thread(store.correct, correction, _PUBLISHER, int(time.time()))
    committed = time.monotonic()
    until = committed + _MOST_SECONDS
    while not all(changed.event_sequence in watcher.told_at for watcher in watchers):
        if time.monotonic() > until:
            raise Failed(f"a watcher was not told of event {changed.event_sequence}")
        await asyncio.sleep(_PAUSE_SECONDS)
    return [watcher.told_at[changed.event_sequence] - committed for watcher in watchers]
