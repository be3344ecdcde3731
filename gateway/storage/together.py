"""Writes made together: those that wait at a moment, in one transaction.

Whoever comes while one is under way waits for the next. So side by side many wait for the disk once
or twice, not each for all before it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final, Generic, NamedTuple, TypeVar

from sqlalchemy.exc import OperationalError

_MOST_AT_ONCE: Final = 256
_Item = TypeVar("_Item")
_Told = TypeVar("_Told")


class Together(Generic[_Item, _Told]):
    """Hands items that wait to ``write``, which blocks and tells something of each, in their order;
    one event loop's own. It runs on ``threads``, those of the event loop where None.

    ``write`` is given items again, each by itself, where some could not be written together: what is
    wrong with one is no reason not to write the others. So it may be given twice what it has written.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[_Item]], Sequence[_Told]],
        threads: Executor | None = None,
    ) -> None:
        self._name = name
        self._write = write
        self._threads = threads
        self._waiting: deque[tuple[_Item, asyncio.Future[_Told]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def written(self, item: _Item) -> _Told:
        """Return what is told of an item once it is written. Raises what writing it raises; what
        the store's own trouble is (OperationalError), to all whose items were written at once."""
        told: asyncio.Future[_Told] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, told))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._run(), name=self._name)
        return await told

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await self._writing

    async def _run(self) -> None:
        # Whoever comes to this in the same turn of the loop is in the same write.
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
            items = [item for item, _ in some]
            try:
                all_told = await loop.run_in_executor(self._threads, self._written, items)
            except BaseException:
                for _, told in some:
                    told.cancel()
                raise
            for (_, told), each in zip(some, all_told, strict=True):
                if told.done():
                    continue
                if isinstance(each, _Failed):
                    told.set_exception(each.error)
                else:
                    told.set_result(each)

    def _written(self, items: Sequence[_Item]) -> "list[_Told | _Failed]":
        try:
            return [*self._write(items)]
        except Exception as error:
            if len(items) == 1 or isinstance(error, OperationalError):
                return [_Failed(error)] * len(items)
            return [told for item in items for told in self._written([item])]


class _Failed(NamedTuple):
    """Why an item was not written."""

    error: Exception
