"""An operator that attests what it holds, as a caller of the methods themselves."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.reconcile.elements import element_of
from creditgate.reconcile.symbols import FORMAT_VERSION, coded
from creditgate.transparency.facts import NO_END, Copy
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from tests.patience import patiently


def copy_of(record: DisclosedRecord) -> Copy:
    """Return the copy of a record as it was served."""
    until = record.disclosed_until.seconds if record.HasField("disclosed_until") else NO_END
    return Copy(
        record.name.removeprefix("records/"),
        record.content_digest,
        record.disclosed_from.seconds,
        until,
    )


def opening(copies: int, reflects: int = 0, request_id: str = "") -> pb.AttestationOpening:
    """Return an opening."""
    return pb.AttestationOpening(
        request_id=request_id or str(uuid4()),
        disclosure_sequence=reflects,
        copies=copies,
        format_version=FORMAT_VERSION,
    )


def digests(copies: Iterable[Copy]) -> pb.CopyDigests:
    """Return copies as they are shown."""
    return pb.CopyDigests(
        copies=[
            pb.CopyDigest(
                record=f"records/{copy.record_id}",
                content_digest=copy.content_digest,
                disclosed_from=Timestamp(seconds=copy.disclosed_from),
                disclosed_until=None
                if copy.disclosed_until == NO_END
                else Timestamp(seconds=copy.disclosed_until),
            )
            for copy in copies
        ]
    )


@dataclass
class Told:
    """What was said in a reconciliation: the gateway's turns, and the bytes each way."""

    turns: list[str] = field(default_factory=list[str])
    symbols: int = 0
    shown: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


async def attest(
    channel: grpc.aio.Channel,
    copies: Sequence[Copy],
    *,
    opened: pb.AttestationOpening | None = None,
    at_once: int = 1_000,
) -> pb.Attestation:
    """Attest by all copies."""
    begins = opened or opening(len(copies))

    async def requests() -> AsyncGenerator[pb.AttestCopiesRequest]:
        yield pb.AttestCopiesRequest(opening=begins)
        for start in range(0, len(copies), at_once):
            yield pb.AttestCopiesRequest(copies=digests(copies[start : start + at_once]))

    stub = ConformanceServiceStub(channel)
    answer: pb.AttestCopiesResponse = await patiently(
        lambda: stub.AttestCopies(requests(), timeout=60)
    )
    return answer.attestation


async def reconcile(
    channel: grpc.aio.Channel,
    copies: Sequence[Copy],
    *,
    opened: pb.AttestationOpening | None = None,
    told: Told | None = None,
    hidden: int = 0,
) -> pb.Attestation:
    """Attest by the differences; of copies that are to be shown ``hidden`` are not."""
    told = told or Told()
    by_element = {element_of(copy): copy for copy in copies}
    turns: asyncio.Queue[pb.ReconcileCopiesRequest | None] = asyncio.Queue()

    async def requests() -> AsyncGenerator[pb.ReconcileCopiesRequest]:
        while (turn := await turns.get()) is not None:
            told.sent_bytes += turn.ByteSize()
            yield turn

    call: Any = ConformanceServiceStub(channel).ReconcileCopies(requests(), timeout=60)
    turns.put_nowait(pb.ReconcileCopiesRequest(opening=opened or opening(len(copies))))
    own = None
    try:
        async for answer in call:
            told.received_bytes += answer.ByteSize()
            told.turns.append(answer.WhichOneof("turn"))
            match told.turns[-1]:
                case "terms":
                    own = coded(b"".join(by_element), answer.terms.checksum_key)
                case "symbols_wanted":
                    assert own is not None
                    packed = own.symbols(told.symbols, answer.symbols_wanted).packed()
                    symbols = pb.CodedSymbols(first_index=told.symbols, symbols=packed)
                    told.symbols += answer.symbols_wanted
                    turns.put_nowait(pb.ReconcileCopiesRequest(symbols=symbols))
                case "copies_wanted":
                    elements = answer.copies_wanted.elements
                    wanted = [by_element[each] for each in elements[hidden:]]
                    told.shown += len(wanted)
                    turns.put_nowait(pb.ReconcileCopiesRequest(copies=digests(wanted)))
                case "all_copies_wanted":
                    told.shown += len(copies)
                    for start in range(0, len(copies), 1_000):
                        some = digests(copies[start : start + 1_000])
                        turns.put_nowait(pb.ReconcileCopiesRequest(copies=some))
                    turns.put_nowait(None)
                case _:
                    return answer.attestation
    finally:
        turns.put_nowait(None)
        call.cancel()
    raise AssertionError("the gateway ended without an outcome")
