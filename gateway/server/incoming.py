"""What a client sends in one call, message by message.

Not by the iterator that gRPC hands out: that holds itself until it is read to its end, and with
it the stream, which counts among those of its connection until the garbage collector comes by.
"""

from typing import Any, Self

import grpc

Context = grpc.aio.ServicerContext[Any, Any]


class Incoming:
    """The messages of a call, as bytes; ends with the client's side of the call.

    A read that is broken off ends it: gRPC goes on with that read, and allows no second one.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        self._over = True
        message = await self._context.read()
        if not isinstance(message, bytes):
            # grpc.aio.EOF
            raise StopAsyncIteration
        self._over = False
        return message
