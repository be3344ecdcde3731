"""Conformance from an operator's side (一致性): show that what is held is what is disclosed.

Over a channel of `sdk.connection.connect`, from a file of copies (`sdk.copies.file`). What
then stands against the operator, and its certificate, ConformanceService tells.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.going_on import GO_ON
from creditgate.reconcile.elements import ELEMENT_BYTES
from creditgate.reconcile.symbols import FORMAT_VERSION, MOST_SYMBOLS, CodedSet, coded
from creditgate.v1.conformance_service_pb2 import (
    Attestation,
    AttestationOpening,
    AttestCopiesRequest,
    CodedSymbols,
    CopyDigest,
    CopyDigests,
    ReconcileCopiesRequest,
    ReconcileCopiesResponse,
)
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from sdk.copies.elements import Elements, copies_of
from sdk.copies.file import CopiesFile
from sdk.copies.held import CopiesRefused, HeldCopy
from sdk.outgoing import Outgoing
from sdk.request_ids import new_request_id

if TYPE_CHECKING:
    from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceAsyncStub

_DEADLINE_SECONDS: Final = 600
_OLDEST_SECONDS: Final = 86_400
_COPIES_AT_ONCE: Final = 5_000
"""In one message: ids of 128 characters still stay below a gateway's 4 MiB."""


class ReconciliationBroken(Exception):
    """The gateway did not keep to the turns of a reconciliation; run it again."""


@dataclass(slots=True)
class Reconciled:
    """How a reconciliation went.

    ``symbols`` of 26 bytes were sent and ``shown`` copies by their digests; ``all_shown``
    tells that differences were too many for symbols, so that all were.
    """

    copies: int
    symbols: int = 0
    shown: int = 0
    all_shown: bool = False
    attestation: Attestation | None = None


class Conformance:
    """What the operator that the channel acts for says of its copies."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ConformanceServiceStub(channel)

    async def reconcile(
        self, file: CopiesFile, reflects: int, *, request_id: str | None = None
    ) -> Reconciled:
        """Compare all copies with the disclosure, at a cost that grows with the differences.

        ``reflects`` is the position of the last disclosure event that the copies reflect; when
        they were read is when the file was last written, a day ago at most.
        The same ``request_id`` again returns the attestation made before; None makes a new
        one. Raises grpc.RpcError, CopiesRefused, ReconciliationBroken, OSError.
        """
        written_at = await asyncio.to_thread(_written_at, file, request_id)
        elements = await asyncio.to_thread(Elements, file)
        opening = _opening(written_at, len(elements), reflects, request_id)
        return await _Reconciliation(file, elements).run(self._stub, opening)

    async def attest(
        self, file: CopiesFile, reflects: int, *, request_id: str | None = None
    ) -> Attestation:
        """Show the digests of all copies: what `reconcile` does, at a cost that grows with
        the copies. Arguments and errors are the same.
        """
        written_at = await asyncio.to_thread(_written_at, file, request_id)
        elements = await asyncio.to_thread(Elements, file)
        opening = _opening(written_at, len(elements), reflects, request_id)
        async with _sending(Outgoing[AttestCopiesRequest]()) as outgoing:
            outgoing.send([AttestCopiesRequest(opening=opening)])
            call = self._stub.AttestCopies(outgoing.parts(), timeout=_DEADLINE_SECONDS)
            try:
                # Were it refused while more is sent, grpc.aio would tell of a broken line instead
                # of the reason.
                if GO_ON in tuple(await call.initial_metadata()):
                    everything = _digests(elements.once(file, file.path))
                    outgoing.send(AttestCopiesRequest(copies=digests) for digests in everything)
                    outgoing.end()
                answer = await call
            finally:
                call.cancel()
        return answer.attestation


class _Reconciliation:
    """The caller's turns of one ReconcileCopies call."""

    def __init__(self, file: CopiesFile, elements: Elements) -> None:
        self._file = file
        self._elements = elements
        self._done = Reconciled(len(elements))
        self._set: CodedSet | None = None

    async def run(
        self, stub: "ConformanceServiceAsyncStub", opening: AttestationOpening
    ) -> Reconciled:
        async with _sending(Outgoing[ReconcileCopiesRequest]()) as outgoing:
            outgoing.send([ReconcileCopiesRequest(opening=opening)])
            call = stub.ReconcileCopies(outgoing.parts(), timeout=_DEADLINE_SECONDS)
            try:
                async for turn in call:
                    await self._answer(turn, outgoing)
            finally:
                # An abandoned call of grpc.aio stays in flight for ever.
                call.cancel()
        if self._done.attestation is None:
            raise ReconciliationBroken("The gateway ended without an outcome; run it again.")
        return self._done

    async def _answer(
        self, turn: ReconcileCopiesResponse, outgoing: Outgoing[ReconcileCopiesRequest]
    ) -> None:
        match turn.WhichOneof("turn"):
            case "terms":
                # A million copies take a second or two, so not on the event loop.
                self._set = await asyncio.to_thread(
                    coded, self._elements.packed(), turn.terms.checksum_key
                )
            case "symbols_wanted":
                outgoing.send([await asyncio.to_thread(self._symbols, turn.symbols_wanted)])
            case "copies_wanted":
                outgoing.send([await asyncio.to_thread(self._shown, turn.copies_wanted.elements)])
            case "all_copies_wanted":
                self._done.all_shown = True
                self._done.shown = self._done.copies
                everything = _digests(self._elements.once(self._file, self._file.path))
                outgoing.send(ReconcileCopiesRequest(copies=digests) for digests in everything)
                outgoing.end()
            case "attestation":
                self._done.attestation = turn.attestation
            case None:
                raise ReconciliationBroken(
                    "The gateway said something that this SDK does not know: use a newer one."
                )

    def _symbols(self, wanted: int) -> ReconcileCopiesRequest:
        """Return as many symbols as are wanted, after those sent."""
        first = self._done.symbols
        if self._set is None or not 0 < wanted <= MOST_SYMBOLS - first:
            raise ReconciliationBroken("The gateway asked for symbols out of turn; run it again.")
        self._done.symbols += wanted
        packed = self._set.symbols(first, wanted).packed()
        return ReconcileCopiesRequest(symbols=CodedSymbols(first_index=first, symbols=packed))

    def _shown(self, wanted: Iterable[bytes]) -> ReconcileCopiesRequest:
        """Return the copies that are wanted by their elements."""
        elements = [each for each in wanted if len(each) == ELEMENT_BYTES]
        copies = copies_of(self._file, elements, self._file.path)
        self._done.shown += len(copies)
        return ReconcileCopiesRequest(copies=CopyDigests(copies=_shown(copies)))


def _written_at(file: CopiesFile, request_id: str | None) -> int:
    # Before it is read: what is written meanwhile must not make what was read seem younger.
    written_at = int(file.path.stat().st_mtime)
    # What was attested by a request before is answered however old it is by now.
    if request_id is None and written_at < time.time() - _OLDEST_SECONDS:
        raise CopiesRefused(
            f"{file.path} was last written more than a day ago: attest from a younger file"
        )
    return written_at


def _opening(
    written_at: int, copies: int, reflects: int, request_id: str | None
) -> AttestationOpening:
    return AttestationOpening(
        request_id=request_id or new_request_id(),
        disclosure_sequence=reflects,
        copies=copies,
        format_version=FORMAT_VERSION,
        made_time=Timestamp(seconds=written_at),
    )


def _digests(copies: Iterator[HeldCopy]) -> Iterator[CopyDigests]:
    """Yield copies by their digests, some at a time."""
    while some := _shown(islice(copies, _COPIES_AT_ONCE)):
        yield CopyDigests(copies=some)


def _shown(copies: Iterable[HeldCopy]) -> list[CopyDigest]:
    return [copy.shown() for copy in copies]


@asynccontextmanager
async def _sending(outgoing: Outgoing[Any]) -> AsyncGenerator[Outgoing[Any]]:
    """Give ``outgoing``, end it, and raise why its requests failed to be made, if they did."""
    try:
        yield outgoing
    except (asyncio.CancelledError, grpc.RpcError):
        if outgoing.failure is not None:
            raise outgoing.failure from None
        raise
    finally:
        outgoing.end()
