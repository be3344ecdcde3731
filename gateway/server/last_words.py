"""What a client was sending when it was refused is read on, or it would not hear why.

A message that it sends after the end of the call fails, and gRPC may tell it that failure
instead of the refusal.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

_SECONDS: Final = 10
_PAUSE_SECONDS: Final = 1
_BYTES: Final = 256 << 20
# Of callers who are nobody here: enough for any honest mistake, and too little to wear a process out.
_STRANGERS_AT_ONCE: Final = 64
_STRANGERS_BYTES: Final = 16 << 20


class LastWords:
    """Reads on for clients that are refused; one event loop's own."""

    def __init__(self) -> None:
        self._strangers = 0

    async def of(self, incoming: AsyncIterator[bytes], *, stranger: bool) -> None:
        """Read, and throw away, what a client still has to send.

        Whoever pauses hears at once; nobody is waited for for long. A ``stranger``, who holds no
        place among the open calls, is waited for only while few others are.
        """
        if not stranger:
            await _read_on(incoming, _BYTES)
        elif self._strangers < _STRANGERS_AT_ONCE:
            self._strangers += 1
            try:
                await _read_on(incoming, _STRANGERS_BYTES)
            finally:
                self._strangers -= 1


async def _read_on(incoming: AsyncIterator[bytes], most_bytes: int) -> None:
    left = most_bytes
    try:
        async with asyncio.timeout(_SECONDS):
            while left > 0:
                async with asyncio.timeout(_PAUSE_SECONDS):
                    left -= len(await anext(incoming))
    except (StopAsyncIteration, TimeoutError):
        return
