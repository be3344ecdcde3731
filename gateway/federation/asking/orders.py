"""Answers under way, each read to its end in a task of its own.

A region meters a chunk before it sends it, and its asking region owes it then. So whoever asked
may hang up or find it late: what was asked for is read on, kept and charged as if it was waited
for. What nobody waits for any more is bounded in number, time and memory.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.failure_kind import failure_kind
from gateway.federation.asking.budget import Budget
from gateway.federation.asking.endings import LATE, Ended

MOST_LEFT: Final = 256
"""Most answers that nobody waits for, of all operators; with more nothing is asked for anybody."""
MOST_LEFT_EACH: Final = 32
"""The same of one operator."""
MOST_LEFT_BYTES: Final = 256 << 20
"""Most bytes that are kept of them all while they are read."""
_CLOSING_SECONDS: Final = 2
_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


class Orders:
    """The answers under way; one event loop's own."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._left: dict[Budget, str] = {}

    def require_room(self, operator_id: str) -> None:
        """Raise Refused RATE_EXCEEDED while too much is read on for an operator, or for all."""
        left = Counter(self._left.values())
        if left[operator_id] >= MOST_LEFT_EACH or left.total() >= MOST_LEFT:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "Answers that were asked for before, and not waited for, are still under way; try"
                " again with the same request_id after the delay told.",
                retry_after=1,
            )

    async def result(
        self, operator_id: str, budget: Budget, order: Coroutine[Any, Any, _Value]
    ) -> _Value:
        """Return what an order comes to, which goes on where it is not waited for any more.

        Raises what it raises, and Ended LATE when ``budget`` is spent before it has come.
        """
        task = asyncio.create_task(order, name="region-order")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        budget.read = 0
        budget.when_read_on = self._require_memory
        late = asyncio.ensure_future(budget.late.wait())
        try:
            await asyncio.wait({task, late}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Ended(LATE)
            return task.result()
        finally:
            late.cancel()
            if not task.done():
                self._leave(operator_id, budget, task)

    async def close(self) -> None:
        """Wait a moment for what is under way, and end the rest."""
        tasks = set(self._tasks)
        if tasks:
            _, open_ = await asyncio.wait(tasks, timeout=_CLOSING_SECONDS)
            for task in open_:
                task.cancel()
            await asyncio.gather(*open_, return_exceptions=True)

    def _leave(self, operator_id: str, budget: Budget, task: "asyncio.Task[Any]") -> None:
        budget.leave()
        self._left[budget] = operator_id

        def ended(task: "asyncio.Task[Any]") -> None:
            self._left.pop(budget, None)
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, Ended | Refused):
                _log.error("an answer that was read on failed: %s", failure_kind(error))

        task.add_done_callback(ended)

    def _require_memory(self) -> None:
        if sum(budget.read for budget in self._left) > MOST_LEFT_BYTES:
            _log.error("answers that nobody waits for are too large together: one is given up")
            raise Ended(LATE)
