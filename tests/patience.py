"""Calls made again while a gateway asks to wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from sdk.refusals import explain

_T = TypeVar("_T")


async def patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """Return what a call answers, made again while the gateway asks to wait: on a machine that
    is busy its lease of authority may lapse."""
    for _ in range(20):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            refusal = explain(error)
            if refusal.status != "UNAVAILABLE":
                raise
            await asyncio.sleep(refusal.retry_after or 0.2)
    raise TimeoutError
