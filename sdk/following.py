"""Streams followed through every break, each message from where the last one was."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import grpc

from sdk.refusals import explain

_log = logging.getLogger(__name__)
_LONGEST_PAUSE: Final = 30.0
_Answer = TypeVar("_Answer")


def _nowhere(_: object) -> int:
    return 0


def _unheard(_: object) -> None:
    pass


@dataclass(frozen=True)
class Following(Generic[_Answer]):
    """How a stream is followed.

    ``watch`` calls it from behind a position on; ``position`` tells that of an answer with
    news, and 0 of a sign of life. ``rests_at`` tells up to where all was read when a sign of life
    came, and ``rested`` is told so, once the answers before were taken; ``alive`` is told each
    sign of life. A stream that is silent for ``silence_seconds`` counts as
    broken. ``pause_seconds`` lie before the first attempt to take it up again, twice as many
    before each further one, up to half a minute. ``name`` is what logs call it.
    """

    name: str
    watch: Callable[[int], Any]
    position: Callable[[_Answer], int]
    silence_seconds: float
    pause_seconds: float
    rests_at: Callable[[_Answer], int] = _nowhere
    rested: Callable[[int], None] = _unheard
    alive: Callable[[_Answer], None] = _unheard

    async def after(self, position: int) -> AsyncGenerator[_Answer]:
        """Yield each answer with news behind ``position``, in order, for ever.

        Leave it by ``contextlib.aclosing``. Raises grpc.RpcError for a refusal that waiting
        does not mend.
        """
        pause = self.pause_seconds
        while True:
            try:
                async with aclosing(self._watched(position)) as answers:
                    async for answer in answers:
                        pause = self.pause_seconds
                        # News comes at least once.
                        if self.position(answer) > position:
                            position = self.position(answer)
                            yield answer
                            continue
                        if not self.position(answer):
                            self.alive(answer)
                        if self.rests_at(answer) > position:
                            position = self.rests_at(answer)
                            self.rested(position)
            except (grpc.RpcError, TimeoutError) as error:
                wait = seconds_to_wait(error)
                if wait is None:
                    raise
                pause = max(pause, wait)
            _log.warning("%s are followed again after %d in %g s", self.name, position, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _watched(self, position: int) -> AsyncGenerator[_Answer]:
        call = self.watch(position)
        try:
            answers = aiter(call)
            while True:
                async with asyncio.timeout(self.silence_seconds):
                    answer = await anext(answers, None)
                if answer is None:
                    return
                yield answer
        finally:
            # An abandoned call of grpc.aio stays in flight for ever.
            call.cancel()


def seconds_to_wait(error: Exception) -> float | None:
    """Return the least seconds to wait before trying again; None where that mends nothing."""
    if not isinstance(error, grpc.RpcError):
        return 0.0
    refusal = explain(error)
    if refusal.retry_after is not None:
        return refusal.retry_after
    # A stream ends with the token it began with; the next begins with a new one.
    if refusal.reason == "TOKEN_EXPIRED" or refusal.away:
        return 0.0
    return None
