"""Reads that may take long, on threads of their own, few at once for each who asks.

So however many listings, traces and accesses one party asks for, others' are served between
them, and whatever must be quick (revoking, serving, signing in) never waits behind any.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Final, ParamSpec, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

THREADS: Final = 4
AT_ONCE: Final = 2
"""Most reads of one asker that are worked on at once."""
MOST_WAITING: Final = 16
"""Most reads of one asker that wait for their turn."""
_RETRY_SECONDS: Final = 1

_P = ParamSpec("_P")
_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class _Queue:
    turns: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, AT_ONCE))
    there: int = 0


class LongReads:
    """Gives long reads their turns; one event loop's own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="long-reads")
        self._queues: dict[str, _Queue] = {}

    async def run(
        self, asker: str, read: Callable[_P, _Answer], *args: _P.args, **kwargs: _P.kwargs
    ) -> _Answer:
        """Return what ``read`` returns, once it is the turn of ``asker``, in order of asking.

        Raises what ``read`` raises; Refused RATE_EXCEEDED where `MOST_WAITING` wait.
        """
        queue = self._queues.setdefault(asker, _Queue())
        if queue.there >= AT_ONCE + MOST_WAITING:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"{AT_ONCE + MOST_WAITING} of your reads are under way; wait for their answers.",
                retry_after=_RETRY_SECONDS,
            )
        queue.there += 1
        try:
            await queue.turns.acquire()
        except BaseException:
            self._left(asker, queue)
            raise
        work = self._threads.submit(copy_context().run, partial(read, *args, **kwargs))
        loop = asyncio.get_running_loop()

        def done(_: object) -> None:
            loop.call_soon_threadsafe(self._done, asker, queue)

        # A call that is given up keeps its turn for as long as its thread works.
        work.add_done_callback(done)
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Wait for the reads that are worked on, and take no more."""
        self._threads.shutdown(cancel_futures=True)

    def _done(self, asker: str, queue: _Queue) -> None:
        queue.turns.release()
        self._left(asker, queue)

    def _left(self, asker: str, queue: _Queue) -> None:
        queue.there -= 1
        if not queue.there:
            del self._queues[asker]
