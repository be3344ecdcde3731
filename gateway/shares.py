"""Work that may take long, on threads of its own, in fair shares between those who ask.

However much one party asks for, others' is done between it, and whatever must be quick
(revoking, serving, publishing, signing in) never waits behind any: it has other threads, and
those who keep a processor busy rest in between.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from time import thread_time
from typing import Final, ParamSpec, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

THREADS: Final = 4
AT_ONCE: Final = 2
"""Most work of one asker that is under way at once."""
MOST_WAITING: Final = 16
"""Most work of one asker that waits for its turn, unless said otherwise."""
REST: Final = 3
"""How many times as long as it kept a processor busy an asker's turn rests thereafter."""
_MOST_REST_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 1

_P = ParamSpec("_P")
_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class _Queue:
    turns: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, AT_ONCE))
    there: int = 0


class Shares:
    """Gives work its turns; one event loop's own. Its threads are called ``name``."""

    def __init__(self, name: str, most_waiting: int = MOST_WAITING) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._most = AT_ONCE + most_waiting
        self._queues: dict[str, _Queue] = {}

    async def run(
        self, asker: str, work: Callable[_P, _Answer], *args: _P.args, **kwargs: _P.kwargs
    ) -> _Answer:
        """Return what ``work`` returns, once it is the turn of ``asker``, in order of asking.

        Raises what ``work`` raises; Refused RATE_EXCEEDED where too much of the asker's waits.
        """
        queue = self._queues.setdefault(asker, _Queue())
        if queue.there >= self._most:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"{self._most} of your calls are under way; wait for their answers.",
                retry_after=_RETRY_SECONDS,
            )
        queue.there += 1
        try:
            await queue.turns.acquire()
        except BaseException:
            self._left(asker, queue)
            raise
        busy = 0.0

        def timed() -> _Answer:
            nonlocal busy
            began = thread_time()
            try:
                return work(*args, **kwargs)
            finally:
                busy = thread_time() - began

        under_way = self._threads.submit(copy_context().run, timed)
        loop = asyncio.get_running_loop()

        def done(_: object) -> None:
            loop.call_soon_threadsafe(self._rest, asker, queue, busy)

        # A call that is given up keeps its turn for as long as its thread works.
        under_way.add_done_callback(done)
        return await asyncio.wrap_future(under_way)

    def close(self) -> None:
        """Wait for what is under way, and take no more."""
        self._threads.shutdown(cancel_futures=True)

    def _rest(self, asker: str, queue: _Queue, busy: float) -> None:
        seconds = min(REST * busy, _MOST_REST_SECONDS)
        asyncio.get_running_loop().call_later(seconds, self._done, asker, queue)

    def _done(self, asker: str, queue: _Queue) -> None:
        queue.turns.release()
        self._left(asker, queue)

    def _left(self, asker: str, queue: _Queue) -> None:
        queue.there -= 1
        if not queue.there:
            del self._queues[asker]
