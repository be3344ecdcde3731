"""Ending tasks."""

import asyncio
from typing import Any


async def end(task: "asyncio.Task[Any]") -> None:
    """Cancel a task, and wait until it has ended. Raises what it ended with, but for that it was
    cancelled.

    Whoever is cancelled while it waits stays so: to pass over CancelledError about ``await task`` would
    take the one for the other, and whoever ends the waiting one would wait for ever.
    """
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
