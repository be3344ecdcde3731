"""What a client sends on a stream: parts made little by little, in threads, as they are taken."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Generic, TypeVar

_Part = TypeVar("_Part")


class Outgoing(Generic[_Part]):
    """The requests of one streaming call, to be handed to it as its request iterator.

    gRPC cancels a call whose requests fail to be made and does not say why: ``failure``
    does. Every use ends by `end`, or what waits for requests would wait for ever.
    """

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Iterable[_Part] | None] = asyncio.Queue()
        self.failure: Exception | None = None

    def send(self, parts: Iterable[_Part]) -> None:
        """Have ``parts`` sent after those before; they are made when the call takes them."""
        self._waiting.put_nowait(parts)

    def end(self) -> None:
        """Have nothing sent after what was handed in."""
        self._waiting.put_nowait(None)

    async def parts(self) -> AsyncGenerator[_Part]:
        """Yield what is to be sent, in order."""
        try:
            while (parts := await self._waiting.get()) is not None:
                coming = iter(parts)
                while (part := await asyncio.to_thread(next, coming, None)) is not None:
                    yield part
        except Exception as failure:
            self.failure = failure
            raise
