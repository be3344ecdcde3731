"""A million copies reconciled: bytes on the wire and server CPU, as the differences grow.

The CPU is all that the gateway's process used from opening to attestation, findings kept and
TLS included, less what it uses when nobody calls; the operator's own is not in it. Each attestation
is checked: so many findings stand as there are differences that count."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from random import Random
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.holding import WITHDRAWN, Holding, Wrongs
from benchmarks.parts.stage import GATEWAY, Stage
from benchmarks.plot import loglog
from benchmarks.processes import Failed, Server, serving, settled
from benchmarks.relay import Relay, relaying
from benchmarks.results import Measure
from benchmarks.rounds import Spread
from benchmarks.served import HOLDER, all_served
from benchmarks.shape import Shape
from creditgate.reconcile.elements import joined
from creditgate.reconcile.symbols import FORMAT_VERSION, CodedSet
from creditgate.transparency.facts import Copy
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from gateway.installation.home import Home
from sdk.connection import connect
from sdk.credentials import Credentials
from sdk.request_ids import new_request_id

_HELD: Final = Shape(subjects=250_000, records_each=4)
_PICTURE: Final = "reconciliation.svg"
"""Written beside the installations; docs/images has the one of the last full run."""
_DIFFERENCES: Final = (1, 10, 100, 1_000, 10_000, 100_000)
_IN_QUESTION: Final = 100
_CALLS_A_TURN: Final = 5
_DIGEST_BYTES: Final = 32


class Cost(NamedTuple):
    """What one reconciliation took: bytes on the wire, server CPU and time in seconds."""

    wire: int
    cpu: float
    seconds: float


def measure(stage: Stage) -> list[Measure]:
    """Return what it takes to reconcile a million copies, warm, and to compare them plainly."""
    home, holding = all_served(stage.folder / "held", _HELD)
    costs = asyncio.run(_reconciled(home, holding, stage.pace.turns))
    # Elements are as long as half a digest: two make one.
    packed, rng = holding.elements + holding.elements[::-1], Random(1)
    plain = [_plain_comparison(packed, rng) for _ in range(stage.pace.turns)]
    stage.folder.joinpath(_PICTURE).write_text(_picture(costs), encoding="utf-8")
    asked = costs[_IN_QUESTION]
    return [
        Measure(
            f"reconcile.wire_bytes_{_IN_QUESTION}_of_1000000",
            Spread.of([cost.wire for cost in asked]),
            "B",
            at_most=8_192,
        ),
        Measure(
            f"reconcile.whole_server_cpu_{_IN_QUESTION}_over_plain_comparison_cpu",
            Spread.of([cost.cpu / most for cost, most in zip(asked, plain, strict=True)]),
            at_most=0.05,
        ),
        Measure(
            "reconcile.plain_comparison_cpu", Spread.of([1_000 * each for each in plain]), "ms"
        ),
        *(
            Measure(f"reconcile.{name}_{differences}", Spread.of(figures), unit)
            for differences, some in costs.items()
            for name, unit, figures in (
                ("wire", "B", [cost.wire for cost in some]),
                ("whole_server_cpu", "ms", [1_000 * cost.cpu for cost in some]),
                ("time", "ms", [1_000 * cost.seconds for cost in some]),
            )
        ),
    ]


def _picture(costs: Mapping[int, list[Cost]]) -> str:
    """Return bytes and CPU, as they grow with the differences, as a picture."""
    return loglog(
        "Reconciling a million copies",
        "differences",
        {
            "bytes on the wire": {
                differences: Spread.of([cost.wire for cost in some]).median
                for differences, some in costs.items()
            },
            "server CPU, µs": {
                differences: max(1.0, Spread.of([1e6 * cost.cpu for cost in some]).median)
                for differences, some in costs.items()
            },
        },
    )


def _plain_comparison(packed: bytes, rng: Random) -> float:
    """Return the CPU seconds of comparing two sets of digests as they come: what an operator
    sends, in an order of its own, with what it should hold."""
    own = [packed[start : start + _DIGEST_BYTES] for start in range(0, len(packed), _DIGEST_BYTES)]
    rng.shuffle(own)
    sent = b"".join(own)
    del own
    started = time.process_time()
    sets = [
        {digests[start : start + _DIGEST_BYTES] for start in range(0, len(digests), _DIGEST_BYTES)}
        for digests in (sent, packed)
    ]
    differ = (sets[0] - sets[1]) | (sets[1] - sets[0])
    taken = time.process_time() - started
    if differ:
        raise Failed("equal sets were found to differ")
    return taken


async def _reconciled(home: Home, holding: Holding, turns: int) -> Mapping[int, list[Cost]]:
    """Return what each turn cost, by the number of differences."""
    with serving(GATEWAY, home.root) as server:
        settled([server])
        address, _, issuer = server.address.partition(" ")
        async with relaying(address) as relay:
            credentials = Credentials.load(home.profile(HOLDER)).model_copy(
                update={"grpc": relay.address, "issuer": issuer}
            )
            async with await connect(credentials) as channel:
                holder = _Holder(channel, holding, relay, server)
                await holder.prepare()
                return {
                    differences: [await holder.measured(differences) for _ in range(turns)]
                    for differences in _DIFFERENCES
                }


class _Holder:
    """The operator, with all symbols of its copies ready."""

    def __init__(
        self, channel: grpc.aio.Channel, holding: Holding, relay: Relay, server: Server
    ) -> None:
        self._stub: Any = ConformanceServiceStub(channel)
        self._holding = holding
        self._relay = relay
        self._server = server
        self._coded: CodedSet | None = None

    async def prepare(self) -> None:
        """Make all symbols ready, here and at the gateway."""
        call = self._stub.ReconcileCopies()
        await call.write(pb.ReconcileCopiesRequest(opening=self._opening(self._holding.copies)))
        terms = (await call.read()).terms
        # The turn is left meanwhile: the gateway does not wait for long.
        call.cancel()
        self._coded = self._holding.coded(terms.checksum_key)
        self._coded.symbols(0, 2 * _DIFFERENCES[-1])
        # What was once told to be missing may not be held again: differences only ever grow.
        await self.reconcile(Wrongs.of(0))

    async def measured(self, differences: int) -> Cost:
        """Return what a reconciliation of so many differences costs, of several made."""
        wrongs = Wrongs.of(differences)
        # Findings are opened by the first and stand then: what is measured is all but that.
        await self.reconcile(wrongs)
        idle = await self._idle()
        passed, cpu, started = self._relay.passed, self._server.cpu, time.perf_counter()
        for _ in range(_CALLS_A_TURN):
            await self.reconcile(wrongs)
        seconds = time.perf_counter() - started
        busy = self._server.cpu - cpu - idle * seconds
        return Cost(
            (self._relay.passed - passed) // _CALLS_A_TURN,
            max(busy, 0.0) / _CALLS_A_TURN,
            seconds / _CALLS_A_TURN,
        )

    async def _idle(self) -> float:
        """Return the share of the time that the server works without calls."""
        before, started = self._server.cpu, time.perf_counter()
        await asyncio.sleep(1)
        return (self._server.cpu - before) / (time.perf_counter() - started)

    async def reconcile(self, wrongs: Wrongs) -> None:
        """Reconcile once; raises Failed where not all differences are found."""
        besides, missing = self._holding.besides(wrongs), self._holding.missing(wrongs)
        opening = self._opening(self._holding.copies + len(besides) - len(missing))
        self._hold(besides, missing)
        call = self._stub.ReconcileCopies()
        found = None
        try:
            await call.write(pb.ReconcileCopiesRequest(opening=opening))
            sent = 0
            async for turn in call:
                match turn.WhichOneof("turn"):
                    case "terms":
                        pass
                    case "symbols_wanted":
                        await call.write(self._symbols(sent, turn.symbols_wanted))
                        sent += turn.symbols_wanted
                    case "copies_wanted":
                        await call.write(_shown(besides, turn.copies_wanted.elements))
                    case "attestation":
                        found = turn.attestation
                    case turn_:
                        raise Failed(f"the gateway did not expect so many differences: {turn_}")
        finally:
            call.cancel()
        self._hold(missing, besides)
        if found is None or found.copies != opening.copies:
            raise Failed("a reconciliation ended without its outcome")
        # What is missing is found too, and counts for nothing; an altered copy is one finding,
        # though it is missing as well. Others stand from the turn before.
        differences = sum(wrongs)
        if found.standing_findings != len(besides) or found.opened_findings > differences:
            raise Failed(
                f"of {differences} differences, {len(besides)} of them copies held wrongly,"
                f" {found.standing_findings} stand and {found.opened_findings} are new"
            )

    def _opening(self, copies: int) -> pb.AttestationOpening:
        return pb.AttestationOpening(
            request_id=new_request_id(),
            disclosure_sequence=self._holding.shape.records + WITHDRAWN,
            copies=copies,
            format_version=FORMAT_VERSION,
        )

    def _hold(self, more: Collection[bytes], less: Collection[bytes]) -> None:
        assert self._coded is not None
        self._coded.add(joined(more))
        self._coded.remove(joined(less))

    def _symbols(self, first: int, wanted: int) -> pb.ReconcileCopiesRequest:
        assert self._coded is not None
        packed = self._coded.symbols(first, wanted).packed()
        return pb.ReconcileCopiesRequest(symbols=pb.CodedSymbols(first_index=first, symbols=packed))


def _shown(
    besides: Mapping[bytes, Copy | None], wanted: Iterable[bytes]
) -> pb.ReconcileCopiesRequest:
    copies = [copy for element in wanted if (copy := besides[element]) is not None]
    return pb.ReconcileCopiesRequest(
        copies=pb.CopyDigests(
            copies=[
                pb.CopyDigest(
                    record=f"records/{copy.record_id}",
                    content_digest=copy.content_digest,
                    disclosed_from=Timestamp(seconds=copy.disclosed_from),
                    disclosed_until=Timestamp(seconds=copy.disclosed_until),
                )
                for copy in copies
            ]
        )
    )
