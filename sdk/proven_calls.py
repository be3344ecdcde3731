"""gRPC calls with a token bound to a key: each carries a proof of its own (RFC 9449).

The gateway asks for proofs made after a nonce of its own; a call that it refuses for
that alone is made once more, with the nonce it gave.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final, cast

import grpc
from grpc.aio import ClientCallDetails, Metadata

from sdk.dpop import ProofKey
from sdk.refusals import explain

_NONCE: Final = "dpop-nonce"
_CHALLENGE: Final = "TOKEN_PROOF_NONCE"


class CallProofs:
    """What the calls of one channel show: the token of the moment and new proofs.

    ``url`` is the gateway's public https URL, before the path of a method.
    """

    def __init__(self, key: ProofKey, url: str, token: str) -> None:
        self._key = key
        self._url = url
        self._token = token
        self._nonce: str | None = None

    def renew(self, token: str) -> None:
        """Show ``token`` from the next call on."""
        self._token = token

    def added(self, details: ClientCallDetails, seconds_gone: float = 0.0) -> ClientCallDetails:
        """Return ``details`` with token and proof, its timeout less ``seconds_gone``."""
        method = cast("str | bytes", details.method)
        path = method.decode() if isinstance(method, bytes) else method
        proof = self._key.proof("POST", f"{self._url}{path}", nonce=self._nonce, token=self._token)
        shown = (("authorization", f"DPoP {self._token}"), ("dpop", proof))
        timeout = None if details.timeout is None else max(0.0, details.timeout - seconds_gone)
        return ClientCallDetails(
            details.method,
            timeout,
            Metadata(*(details.metadata or ()), *shown),
            details.credentials,
            details.wait_for_ready,
        )

    def hear(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> bool:
        """Remember the nonce in ``metadata``, and tell whether there is one."""
        for name, value in metadata or ():
            if name == _NONCE and isinstance(value, str):
                self._nonce = value
                return True
        return False

    async def challenged(self, call: grpc.aio.Call) -> bool:
        """Tell, once ``call`` ends, whether it was refused for want of a nonce."""
        code, trailers = await call.code(), await call.trailing_metadata()
        if not self.hear(trailers) or code is not grpc.StatusCode.UNAUTHENTICATED:
            return False
        ended = grpc.aio.AioRpcError(code, Metadata(), trailers)
        return explain(ended).reason == _CHALLENGE

    async def admitted(self, call: grpc.aio.Call) -> bool:
        """Tell whether a streaming ``call`` was admitted, as soon as the gateway says so.

        It does with its first metadata, which have a nonce.
        """
        return self.hear(await call.initial_metadata())

    def interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """Return what puts proofs on the calls of a channel, of every kind."""
        return [_UnaryUnary(self), _UnaryStream(self), _StreamUnary(self), _StreamStream(self)]


class _Proven:
    def __init__(self, proofs: CallProofs) -> None:
        self._proofs = proofs

    async def _unary(self, start: Any, details: ClientCallDetails, request: Any) -> Any:
        started = asyncio.get_running_loop().time()
        call = await start(self._proofs.added(details), request)
        if not await self._proofs.challenged(call):
            return call
        gone = asyncio.get_running_loop().time() - started
        return await start(self._proofs.added(details, gone), request)

    async def _stream(self, start: Any, details: ClientCallDetails, request: Any) -> Any:
        started = asyncio.get_running_loop().time()
        call = await start(self._proofs.added(details), request)
        if await self._proofs.admitted(call) or not await self._proofs.challenged(call):
            return call
        gone = asyncio.get_running_loop().time() - started
        return await start(self._proofs.added(details, gone), request)

    async def _streaming(self, start: Any, details: ClientCallDetails, requests: Any) -> Any:
        """Start a call that streams requests, which are sent once it is admitted.

        They can be taken from their source one time only.
        """
        started = asyncio.get_running_loop().time()
        gate = _Gate(requests)
        try:
            call = await start(self._proofs.added(details), gate.requests())
            if await self._proofs.admitted(call):
                gate.open()
                return call
            if not await self._proofs.challenged(call):
                return call
        finally:
            gate.shut()
        gone = asyncio.get_running_loop().time() - started
        return await start(self._proofs.added(details, gone), requests)


class _Gate:
    """Holds requests back until the call they are for is admitted; else none is taken."""

    def __init__(self, requests: AsyncIterable[Any] | Iterable[Any]) -> None:
        self._requests = requests
        self._opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def open(self) -> None:
        self._opened.set_result(True)

    def shut(self) -> None:
        if not self._opened.done():
            self._opened.set_result(False)

    async def requests(self) -> AsyncIterator[Any]:
        if not await self._opened:
            return
        if isinstance(self._requests, AsyncIterable):
            async for request in self._requests:
                yield request
        else:
            for request in self._requests:
                yield request


class _UnaryUnary(_Proven, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: ClientCallDetails, request: Any
    ) -> Any:
        return await self._unary(continuation, client_call_details, request)


class _UnaryStream(_Proven, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: ClientCallDetails, request: Any
    ) -> Any:
        return await self._stream(continuation, client_call_details, request)


class _StreamUnary(_Proven, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await self._streaming(continuation, client_call_details, request_iterator)


class _StreamStream(_Proven, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await self._streaming(continuation, client_call_details, request_iterator)
