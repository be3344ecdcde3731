"""Steps that block, taken by threads for work that is otherwise an event loop's own: how long the
longest of them takes by now, so that whoever watches over it knows that it hangs."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

_Result = TypeVar("_Result")


class Steps:
    """The steps of one work, ``name`` in the log; one event loop's own.

    They are taken by ``threads`` of its own. A step may take ``allowance_seconds`` before it counts
    as one at all: those of most work take seconds.
    """

    def __init__(self, name: str, threads: int = 1, allowance_seconds: float = 0.0) -> None:
        self.name = name
        self._allowance_seconds = allowance_seconds
        self._began: dict[object, float] = {}
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def take(self, work: Callable[..., _Result], *args: object) -> _Result:
        """Return what ``work`` does with ``args``, and raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._taken, work, args
        )

    def busy_seconds(self) -> float:
        """Return for how long the step that was begun first is under way, beyond what it may take;
        0 between steps."""
        # Copied at once: threads begin and end steps meanwhile.
        began = min(tuple(self._began.values()), default=None)
        return 0.0 if began is None else max(0.0, monotonic() - began - self._allowance_seconds)

    def close(self) -> None:
        """Take no more; what is under way goes on to its end."""
        self._threads.shutdown(wait=False)

    def _taken(self, work: Callable[..., _Result], args: tuple[object, ...]) -> _Result:
        step = object()
        self._began[step] = monotonic()
        try:
            return work(*args)
        finally:
            del self._began[step]
