"""SIGTERM to a command that has something to tidy up and to say before it ends."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager

from gateway.cli.failures import CommandFailed


@contextmanager
def told_when_terminated(message: str) -> Generator[None]:
    """Have SIGTERM cancel what the running task does in the context, which then raises
    CommandFailed with ``message``. Main thread only."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    terminated = asyncio.Event()

    def end() -> None:
        terminated.set()
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        yield
    except asyncio.CancelledError:
        if not terminated.is_set():
            raise
        raise CommandFailed(message) from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
