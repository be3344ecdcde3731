"""The transport: every call of the contract, from the wire to its service and back.

One generic handler serves all methods, so that none can be reached by a way around the
guard. Requests are parsed here and answers leave as bytes, so that a malformed message
is a refusal like any other.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from time import perf_counter
from typing import Any, Final, cast

import grpc
from google.protobuf.message import DecodeError, Message

from creditgate.going_on import GO_ON
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.respond.in_time import gone_out, require_in_time
from gateway.respond.left import WANTED, told_left, want_left
from gateway.server.errors import (
    Answer,
    Trailers,
    failure_answer,
    refusal_answer,
    refusal_of_failure,
    unserved,
)
from gateway.server.guard import PROOF, Guard, Metadata
from gateway.server.incoming import Incoming
from gateway.server.last_words import LastWords
from gateway.server.methods import Method
from gateway.server.places import Places
from gateway.server.refusals import RefusalLog
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.traces import step

Context = grpc.aio.ServicerContext[bytes, bytes]
# A stream holds a place among the open calls, so it must not be silent for ever; who opens one
# has something to say.
_SILENT_SECONDS: Final = 60
_FIRST_SECONDS: Final = 10
_WANTED, _IS_WANTED = WANTED
_NO_REASON: Final = RefusalReason.REFUSAL_REASON_UNSPECIFIED


class Transport(grpc.GenericRpcHandler):
    """Serves the methods of the contract; see the module.

    ``most_calls`` is how many calls are worked on at once (`Places`); more are refused.
    ``most_bytes`` is the largest message that gRPC sends; a larger answer is refused.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        guard: Guard,
        refusals: RefusalLog,
        telemetry: Telemetry,
        most_calls: int,
        most_bytes: int,
    ) -> None:
        self.guard = guard
        self.refusals = refusals
        self.telemetry = telemetry
        self.places = Places(most_calls)
        self.most_bytes = most_bytes
        self.last_words = LastWords()
        self._methods = methods

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """Return the handler of one call, None for methods outside the contract."""
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        # gRPC has read the metadata to get here; asking the context reads them again.
        metadata = dict(handler_call_details.invocation_metadata or ())
        kind = _KINDS[method.streams_requests, method.streams_answers]
        return cast("grpc.RpcMethodHandler[bytes, bytes]", kind(self, method, metadata))


class _Call:
    """One call, which is also its handler: requests come and answers go as bytes.

    Its caller and request are remembered for the log of refusals.
    """

    request_deserializer = None
    response_serializer = None

    def __init__(self, transport: Transport, method: Method, metadata: Metadata) -> None:
        self._transport = transport
        self._method = method
        self._metadata = metadata
        self._proven: str | None = None
        self._trailers: Trailers = ()
        self._place: str | None = None
        self._caller: Caller | None = None
        self._request: Message | None = None
        # What the client has begun to send is still under way.
        self._reading = method.streams_requests

    async def unary(self, incoming: Any, context: Context) -> bytes:
        """Serve a call that has one answer."""
        method = self._method
        ending = _Ending(self._transport, method.name)
        if method.streams_requests:
            incoming = Incoming(context)
        try:
            with self._transport.telemetry.traces.call(method.name, self._metadata):
                if method.serve is None:
                    raise unserved(method.name)
                if PROOF in self._metadata:
                    await self._prove(context)
                if self._metadata.get(_WANTED) == _IS_WANTED:
                    want_left()
                answer = await method.serve(*self._admitted(incoming, context))
                step("answered")
            if left := told_left():
                context.set_trailing_metadata((*self._trailers, *left))
            whole = self._whole(answer)
            require_in_time()
            ending.status = "OK"
            return whole
        except Exception as error:
            answer = await self._ended(error, ending)
            await self._hear_out(incoming)
            return _refuse(context, ending, answer)
        finally:
            self._leave()
            ending.count()

    async def stream(self, incoming: Any, context: Context) -> AsyncIterator[bytes]:
        """Serve a call that has many answers."""
        method = self._method
        ending = _Ending(self._transport, method.name)
        if method.streams_requests:
            incoming = Incoming(context)
        try:
            with self._transport.telemetry.traces.call(method.name, self._metadata):
                if method.serve is None:
                    raise unserved(method.name)
                if PROOF in self._metadata:
                    await self._prove(context)
                want_left()
                request, caller = self._admitted(incoming, context)
                async for answer in method.serve(request, caller):
                    self._authenticate(context)
                    whole = self._whole(answer)
                    require_in_time()
                    gone_out()
                    yield whole
            if left := told_left():
                context.set_trailing_metadata((*self._trailers, *left))
            ending.status = "OK"
        except Exception as error:
            answer = await self._ended(error, ending)
            await self._hear_out(incoming)
            _refuse(context, ending, answer)
        finally:
            self._leave()
            ending.count()

    def _whole(self, answer: bytes | Message) -> bytes:
        """Return an answer as it is sent. Raises Refused ANSWER_TOO_LARGE."""
        whole = answer if isinstance(answer, bytes) else answer.SerializeToString()
        # gRPC would end the call by a status alone, without a reason, and nobody would log it.
        if len(whole) > self._transport.most_bytes:
            raise _too_large()
        return whole

    async def _prove(self, context: Context) -> None:
        """Use up the call's proof; a stream is admitted by one (RFC 9449). Raises Refused.

        Every answer to a proof brings a nonce for the next one. That of a stream comes
        at its start, and tells the client that it may send.
        """
        transport, method = self._transport, self._method
        self._trailers = (("dpop-nonce", transport.guard.nonce()),)
        context.set_trailing_metadata(self._trailers)
        self._proven = await transport.guard.prove(
            context, self._metadata, method.path, self._enter
        )
        if method.streams_requests or method.streams_answers:
            await context.send_initial_metadata((*self._trailers, GO_ON))

    def _admitted(self, incoming: Any, context: Context) -> tuple[Any, Caller]:
        """Return request and caller of a call that may be served. Raises Refused."""
        transport, method = self._transport, self._method
        caller = self._authenticate(context)
        self._enter(caller)
        # Who finds no place is refused at once: what waits for the log would need places too.
        self._caller = caller
        step("authenticated")
        try:
            transport.guard.require_scope(caller, method.scope)
        except Refused:
            self._request = None if method.streams_requests else _readable(method, incoming)
            raise
        if method.streams_requests:
            return self._requests(incoming, context), caller
        request = self._request = _parsed(method, incoming)
        return request, caller

    def _enter(self, caller: Caller) -> None:
        """Take the call's place, unless it has one. Raises Refused."""
        if self._place is None:
            self._place = self._transport.places.take(caller)

    async def _hear_out(self, incoming: Any) -> None:
        if self._reading:
            await self._transport.last_words.of(incoming, stranger=self._place is None)

    def _leave(self) -> None:
        if self._place is not None:
            self._transport.places.give_back(self._place)

    def _authenticate(self, context: Context) -> Caller:
        """Return the caller as of now. Raises Refused.

        Asked again at each message of a stream, which may be long: a client removed, a
        certificate or key withdrawn and a token that ran out end it (G3, G4).
        """
        return self._transport.guard.authenticate(context, self._metadata, self._proven)

    async def _requests(
        self, incoming: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[Message]:
        # A call with a proof tells its client so before (see `_prove`), and one with many
        # answers by the first of them.
        told = self._proven is not None or self._method.streams_answers
        patience = _FIRST_SECONDS
        while True:
            try:
                async with asyncio.timeout(patience):
                    message = await anext(incoming)
            except StopAsyncIteration:
                self._reading = False
                return
            except TimeoutError:
                self._reading = False
                raise _too_silent(patience) from None
            patience = _SILENT_SECONDS
            self._authenticate(context)
            self._reading = True
            parsed = _parsed(self._method, message)
            # What a delivery is opened with is what the log of refusals has of it.
            self._request = self._request or getattr(parsed, "open", None)
            yield parsed
            if not told:
                # The first message was not refused: a client that waits for this sends nothing in
                # vain, which would keep it from hearing why.
                await context.send_initial_metadata((GO_ON,))
                told = True

    async def _ended(self, error: Exception, ending: "_Ending") -> Answer:
        """Return the answer to a call that ended with ``error``, once it is logged."""
        refused = error if isinstance(error, Refused) else refusal_of_failure(error)
        if refused is None:
            answer = failure_answer(self._method.name, error)
            _let_go(error)
            return answer
        _let_go(error)
        ending.reason = refused.reason
        if self._caller is not None:
            decision_id = await self._transport.refusals.note(
                self._caller, self._method.name, self._request, refused
            )
            if decision_id:
                refused.metadata["decision_id"] = decision_id
        return refusal_answer(refused, (*self._trailers, *told_left()))


class _UnaryUnary(_Call):
    request_streaming = False
    response_streaming = False
    unary_unary = _Call.unary


class _UnaryStream(_Call):
    request_streaming = False
    response_streaming = True
    unary_stream = _Call.stream


class _StreamUnary(_Call):
    request_streaming = True
    response_streaming = False
    stream_unary = _Call.unary


class _StreamStream(_Call):
    request_streaming = True
    response_streaming = True
    stream_stream = _Call.stream


_KINDS: Final = {
    (False, False): _UnaryUnary,
    (False, True): _UnaryStream,
    (True, False): _StreamUnary,
    (True, True): _StreamStream,
}


class _Ending:
    """How a call ends, for the counts. A call that is cut off ends CANCELLED."""

    __slots__ = ("_method", "_started", "_transport", "reason", "status")

    def __init__(self, transport: Transport, method: str) -> None:
        self._transport = transport
        self._method = method
        self._started = perf_counter()
        self.status = "CANCELLED"
        self.reason: RefusalReason.ValueType = _NO_REASON

    def count(self) -> None:
        """Count the call as ended."""
        self._transport.telemetry.calls.add(
            self._method, self.status, self.reason, perf_counter() - self._started
        )


def _refuse(context: Context, ending: _Ending, answer: Answer) -> bytes:
    """Set how the call ends; what it returns is not sent.

    Not by ``abort``: it raises an exception that the call itself keeps, a cycle that holds
    the stream open until the garbage collector comes by.
    """
    ending.status = answer.code.name
    context.set_code(answer.code)
    context.set_details(answer.message)
    context.set_trailing_metadata(answer.trailers)
    return b""


def _let_go(error: Exception) -> None:
    """Have an error forget the frames that it went through.

    What a task raised holds by them the task that holds it, a cycle with the stream in it.
    """
    error.__traceback__ = None


def _parsed(method: Method, message: bytes) -> Message:
    try:
        return method.request.FromString(message)
    except DecodeError:
        raise invalid(
            Violation("request", f"send a {method.request.DESCRIPTOR.full_name}")
        ) from None


def _readable(method: Method, message: bytes) -> Message | None:
    """Return the request of a call that is refused before it is read, for the log of refusals;
    None where it cannot be read."""
    try:
        return _parsed(method, message)
    except Refused:
        return None


def _too_large() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE,
        "The answer would pass the size of one message; ask for less at once: fewer items or"
        " subjects, a shorter period, or smaller pages. GetStatementDocument gives a statement in"
        " parts.",
    )


def _too_silent(seconds: int) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
        f"No message came for {seconds} seconds; what was acknowledged stands, send the"
        " rest in a new call.",
        retry_after=1,
    )
