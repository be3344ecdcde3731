"""Streams of another region's gateway, for as long as somebody reads them."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import grpc

_Response = TypeVar("_Response")
_Read_co = TypeVar("_Read_co", covariant=True)


class _Call(Protocol[_Read_co]):
    """What is needed of a call that a stream answers."""

    def __aiter__(self) -> AsyncIterator[_Read_co]: ...

    def cancel(self) -> bool: ...


@asynccontextmanager
async def read_of(
    call: _Call[_Response], forget: Callable[[], None]
) -> AsyncGenerator[AsyncIterator[_Response]]:
    """Give the responses of ``call``, which is cancelled in the end.

    ``forget`` is called where the region does not take the token it was made with. Raises what
    gRPC raises.
    """
    try:
        yield aiter(call)
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            forget()
        raise
    finally:
        call.cancel()
