"""Calling ReconcileClearing and AgreeClearing in another region, as this region."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple, Protocol

import grpc

from creditgate.clearing import MOST_DISPUTES, ClearingEntry
from creditgate.reconcile.symbols import FORMAT_VERSION, MOST_SYMBOLS, CodedSet
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import CodedSymbols
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.tokens import NoToken, RegionTokens
from gateway.federation.trust.book import Region
from gateway.federation.witness.peers import PeerLost
from sdk.refusals import explain

RECONCILE_SCOPE: Final = "federation.clearing:reconcile"
AGREE_SCOPE: Final = "federation.clearing:agree"
_SERVICE: Final = "/creditgate.v1.FederationService/"
_RECONCILE_SECONDS: Final = 1_800.0
_AGREE_SECONDS: Final = 600.0

Coded = Callable[[bytes], CodedSet]
"""Makes the coded set of the caller's entries, under a key for checksums."""


class PeerRefused(Exception):
    """A region refused; the message names the reason, ``why`` what of it, "" where it says none."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(reason)
        self.why = why


class Differences(NamedTuple):
    """How two sides differ: elements that only the caller has; entries only the other has, and
    its evidence on them."""

    only_caller: list[bytes]
    only_other: list[ClearingEntry]
    evidence: list[pb.ClearingEvidence]


class ClearingPeers(Protocol):
    """Clears with regions that stand."""

    async def reconcile(
        self, region: Region, opening: pb.ClearingOpening, coded: Coded
    ) -> Differences | pb.SignedClearing:
        """Return how the sides differ, or what was agreed already. Raises PeerLost,
        PeerRefused."""
        ...

    async def agree(
        self, region: Region, request: pb.AgreeClearingRequest
    ) -> pb.AgreeClearingResponse:
        """Return the region's signature on a clearing. Raises PeerLost, PeerRefused."""
        ...


class ClearingCalls:
    """`ClearingPeers` over gRPC; one event loop's own."""

    def __init__(self, links: RegionLinks, tokens: RegionTokens) -> None:
        self._links = links
        self._tokens = tokens

    async def reconcile(
        self, region: Region, opening: pb.ClearingOpening, coded: Coded
    ) -> Differences | pb.SignedClearing:
        """Return how the sides differ; see the port."""
        opening.format_version = FORMAT_VERSION
        token, channel = await self._way(region, RECONCILE_SCOPE)
        method: Any = channel.stream_stream(
            f"{_SERVICE}ReconcileClearing",
            request_serializer=pb.ReconcileClearingRequest.SerializeToString,
            response_deserializer=pb.ReconcileClearingResponse.FromString,
        )
        call = method(metadata=(("authorization", f"Bearer {token}"),), timeout=_RECONCILE_SECONDS)
        try:
            await call.write(pb.ReconcileClearingRequest(opening=opening))
            return await _differences(call, coded)
        except grpc.aio.AioRpcError as error:
            raise self._lost(error, token) from None
        finally:
            # A stream that nobody reads to its end stays open otherwise.
            call.cancel()

    async def agree(
        self, region: Region, request: pb.AgreeClearingRequest
    ) -> pb.AgreeClearingResponse:
        """Return the region's signature; see the port."""
        token, channel = await self._way(region, AGREE_SCOPE)
        method: Any = channel.unary_unary(
            f"{_SERVICE}AgreeClearing",
            request_serializer=pb.AgreeClearingRequest.SerializeToString,
            response_deserializer=pb.AgreeClearingResponse.FromString,
        )
        try:
            answer: pb.AgreeClearingResponse = await method(
                request, metadata=(("authorization", f"Bearer {token}"),), timeout=_AGREE_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise self._lost(error, token) from None
        return answer

    async def _way(self, region: Region, scope: str) -> tuple[str, grpc.aio.Channel]:
        try:
            token = await self._tokens.own(region, scope)
            channel, *_ = await self._links.channels(region)
        except NoToken as refused:
            raise PeerLost(f"it gave no token ({refused})") from None
        except OSError as error:
            raise PeerLost(f"it cannot be called ({type(error).__name__})") from None
        return token, channel

    def _lost(self, error: grpc.aio.AioRpcError, token: str) -> Exception:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            self._tokens.forget(token)
        refusal = explain(error)
        if refusal.reason:
            return PeerRefused(refusal.reason, refusal.metadata.get("why", ""))
        return PeerLost(error.code().name)


async def _differences(call: Any, coded: Coded) -> Differences | pb.SignedClearing:
    symbols: CodedSet | None = None
    taken = 0
    found = Differences([], [], [])
    answers: AsyncIterator[pb.ReconcileClearingResponse] = aiter(call)
    async for answer in answers:
        turn = answer.WhichOneof("turn")
        if turn == "agreed":
            return answer.agreed
        if turn == "terms" and symbols is None:
            symbols = coded(answer.terms.checksum_key)
        elif turn == "symbols_wanted" and symbols is not None:
            wanted = answer.symbols_wanted
            if not 0 < wanted <= MOST_SYMBOLS - taken:
                raise PeerLost("it wants more symbols than there are")
            packed = symbols.symbols(taken, wanted).packed()
            shown = CodedSymbols(first_index=taken, symbols=packed)
            taken += wanted
            await call.write(pb.ReconcileClearingRequest(symbols=shown))
        elif turn == "differences":
            told = answer.differences
            found.only_caller.extend(told.only_caller.elements)
            found.only_other.extend(map(ClearingEntry.of, told.only_callee))
            found.evidence.extend(told.evidence)
            if max(len(found.only_caller), len(found.only_other)) > MOST_DISPUTES:
                raise PeerLost("it tells of more differences than a clearing takes")
            if not told.more:
                return found
        else:
            raise PeerLost("it answered out of turn")
    raise PeerLost("it broke off")
