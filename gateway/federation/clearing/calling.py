"""Calling ReconcileClearing and AgreeClearing in another region, as this region."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from creditgate.clearing import FORMAT_VERSION
from creditgate.reconcile.symbols import CodedSet
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import CodedSymbols
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.tokens import NoToken, RegionTokens
from gateway.federation.clearing.claims import Claims
from gateway.federation.clearing.comparing import MOST_AT_ONCE
from gateway.federation.clearing.handing_back import HandedBack, LeftOutTold
from gateway.federation.clearing.paging import (
    Claimed,
    Unclaimable,
    claims_of,
    elements_of,
)
from gateway.federation.trust.book import Region
from gateway.federation.witness.peers import PeerLost
from sdk.refusals import explain

RECONCILE_SCOPE: Final = "federation.clearing:reconcile"
RATE_SCOPE: Final = "federation.clearing:rate"
AGREE_SCOPE: Final = "federation.clearing:agree"
OTHER_VERSION: Final = "it clears by another version: upgrade whichever of both is older"
_OPENING: Final = "opening"
_SERVICE: Final = "/creditgate.v1.FederationService/"
_RECONCILE_SECONDS: Final = 1_800.0
_AGREE_SECONDS: Final = 600.0
_Answer = TypeVar("_Answer", bound=Message)
_OUT_OF_TURN: Final = "it answered out of turn"
KNOWN_UNTIL: Final = "known_until"
"""Under this a region that has lost clearings tells the end of the last one that it knows."""


class Comparing(Protocol):
    """The caller's side of one comparison, between ``regions``."""

    regions: frozenset[str]
    elements: bytes
    most_elements: int

    async def coded(self, key: bytes) -> CodedSet:
        """Return the coded set of its elements, under a key for checksums."""
        ...

    async def claims(self, elements: list[bytes]) -> Claims:
        """Return what it claims of the answers that elements are of."""
        ...

    def claimed(self, until: int) -> Claimed:
        """Return what collects the other's claims on what was served before ``until`` (seconds,
        UTC)."""
        ...


class PeerRefused(Exception):
    """A region refused; the message names the reason, ``why`` what of it, "" where it says none.
    ``known_until`` is the end of the last clearing it knows (seconds, UTC), None where it does not
    say."""

    def __init__(self, reason: str, why: str, known_until: int | None = None) -> None:
        super().__init__(reason)
        self.why = why
        self.known_until = known_until


class ClearingPeers(Protocol):
    """Clears with regions that stand."""

    async def reconcile(
        self, region: Region, opening: pb.ClearingOpening, side: Comparing
    ) -> Claims | HandedBack:
        """Return what the region claims of the answers that differ, once it knows what ``side``
        does, or what was agreed already. Raises PeerLost, PeerRefused."""
        ...

    async def hand_back(
        self, region: Region, signed: pb.SignedClearing, left_out: Sequence[pb.ClearingLeftOut]
    ) -> None:
        """Tell the region of a clearing that it has lost; return once it is kept there. Raises
        PeerLost, PeerRefused."""
        ...

    async def rate(
        self, region: Region, request: pb.RateClearingRequest
    ) -> pb.RateClearingResponse:
        """Return what the region's statements say of what both agree on. Raises PeerLost,
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
        self, region: Region, opening: pb.ClearingOpening, side: Comparing
    ) -> Claims | HandedBack:
        """Return what the region claims; see the port."""
        opening.format_version = FORMAT_VERSION
        async with self._reconciling(region) as call:
            await call.write(pb.ReconcileClearingRequest(opening=opening))
            return await _Turns(call, side, opening.until_seconds).taken()

    async def hand_back(
        self, region: Region, signed: pb.SignedClearing, left_out: Sequence[pb.ClearingLeftOut]
    ) -> None:
        """Tell the region of a clearing that it has lost; see the port."""
        async with self._reconciling(region) as call:
            await call.write(pb.ReconcileClearingRequest(agreed=signed))
            for each in left_out:
                await call.write(pb.ReconcileClearingRequest(left_out=each))
            answer = await anext(aiter(call), None)
            if answer is None or not answer.kept:
                raise PeerLost(_OUT_OF_TURN)

    @asynccontextmanager
    async def _reconciling(self, region: Region) -> AsyncGenerator[Any]:
        """Give a call of ReconcileClearing, cancelled in the end. Raises PeerLost, PeerRefused."""
        token, channel = await self._way(region, RECONCILE_SCOPE)
        method: Any = channel.stream_stream(
            f"{_SERVICE}ReconcileClearing",
            request_serializer=pb.ReconcileClearingRequest.SerializeToString,
            response_deserializer=pb.ReconcileClearingResponse.FromString,
        )
        call = method(metadata=(("authorization", f"Bearer {token}"),), timeout=_RECONCILE_SECONDS)
        try:
            yield call
        except grpc.aio.AioRpcError as error:
            raise self._lost(error, token) from None
        finally:
            # A stream that nobody reads to its end stays open otherwise.
            call.cancel()

    async def rate(
        self, region: Region, request: pb.RateClearingRequest
    ) -> pb.RateClearingResponse:
        """Return what the region's statements say; see the port."""
        return await self._one(region, RATE_SCOPE, "RateClearing", request, pb.RateClearingResponse)

    async def agree(
        self, region: Region, request: pb.AgreeClearingRequest
    ) -> pb.AgreeClearingResponse:
        """Return the region's signature; see the port."""
        return await self._one(
            region, AGREE_SCOPE, "AgreeClearing", request, pb.AgreeClearingResponse
        )

    async def _one(
        self, region: Region, scope: str, name: str, request: Message, answered: type[_Answer]
    ) -> _Answer:
        token, channel = await self._way(region, scope)
        method: Any = channel.unary_unary(
            f"{_SERVICE}{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answered.FromString,
        )
        try:
            answer: _Answer = await method(
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
            is_version = any(each.field == _OPENING for each in refusal.violations)
            why = OTHER_VERSION if is_version else refusal.metadata.get("why", "")
            known = refusal.metadata.get(KNOWN_UNTIL, "")
            return PeerRefused(refusal.reason, why, int(known) if known.isdecimal() else None)
        return PeerLost(error.code().name)


class _Turns:
    """The caller's turns of one comparison."""

    def __init__(self, call: Any, side: Comparing, until: int) -> None:
        self._call = call
        self._side = side
        self._until = until
        self._answers: AsyncIterator[pb.ReconcileClearingResponse] = aiter(call)

    async def taken(self) -> Claims | HandedBack:
        """Return what the other claims, or what was agreed already. Raises PeerLost."""
        turn, answer = await self._next()
        if turn == "agreed":
            return await self._handed_back(answer.agreed)
        if turn != "terms":
            raise PeerLost(_OUT_OF_TURN)
        symbols = await self._side.coded(answer.terms.checksum_key)
        taken = 0
        turn, answer = await self._next()
        while turn == "symbols_wanted":
            wanted = answer.symbols_wanted
            if not 0 < wanted <= MOST_AT_ONCE or taken > self._side.most_elements:
                raise PeerLost("it wants more symbols than there are")
            shown = CodedSymbols(first_index=taken, symbols=symbols.symbols(taken, wanted).packed())
            taken += wanted
            await self._call.write(pb.ReconcileClearingRequest(symbols=shown))
            turn, answer = await self._next()
        if turn == "elements_wanted":
            for elements in elements_of(self._side.elements):
                await self._call.write(pb.ReconcileClearingRequest(elements=elements))
            turn, answer = await self._next()
        return await self._claims(turn, answer)

    async def _claims(self, turn: str, answer: pb.ReconcileClearingResponse) -> Claims:
        """Return what the other claims, from the first message that tells of it on, and tell it
        what this side does."""
        only_own: list[bytes] = []
        claimed = self._side.claimed(self._until)
        more = True
        while more:
            told = answer.differences
            only_own += told.only_caller.elements
            if turn != "differences" or len(only_own) > self._side.most_elements:
                raise PeerLost(_OUT_OF_TURN)
            _add(claimed, told.only_callee)
            if more := told.more:
                turn, answer = await self._next()
        own = await self._side.claims(only_own)
        for claims in claims_of(own):
            await self._call.write(pb.ReconcileClearingRequest(claims=claims))
        turn, _ = await self._next()
        if turn != "kept":
            raise PeerLost(_OUT_OF_TURN)
        return claimed.claims(own)

    async def _handed_back(self, signed: pb.SignedClearing) -> HandedBack:
        told = LeftOutTold(self._side.regions)
        more = True
        while more:
            turn, answer = await self._next()
            if turn != "left_out":
                raise PeerLost(_OUT_OF_TURN)
            try:
                told.add(answer.left_out)
            except Unclaimable as fault:
                raise PeerLost(str(fault)) from None
            more = answer.left_out.more
        return told.whole(signed)

    async def _next(self) -> tuple[str, pb.ReconcileClearingResponse]:
        """Return what kind of turn is next, and it."""
        answer = await anext(self._answers, None)
        if answer is None:
            raise PeerLost("it broke off")
        return answer.WhichOneof("turn") or "", answer


def _add(claimed: Claimed, entries: Sequence[pb.ClearingEntry]) -> None:
    try:
        claimed.add(entries)
    except Unclaimable as fault:
        raise PeerLost(str(fault)) from None
