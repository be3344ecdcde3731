"""PostgreSQL's bell: LISTEN on the channel that every append to a log notifies."""

import asyncio
import contextlib
import logging
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import Engine

from gateway.authority.feed import ChangeBell, PollBell
from gateway.ending import end
from gateway.failure_kind import failure_kind
from gateway.storage.at_work import AGAIN_SECONDS
from operators.sql import CHANNEL

_AGAIN_SECONDS: Final = 1
_log = logging.getLogger(__name__)


def open_bell(engine: Engine, channel: str = CHANNEL, *, holding: int | None = None) -> ChangeBell:
    """Return the bell for the engine's kind of store; it needs a running event loop.

    ``channel`` is that of the log it tells of, the authority log's where nothing is said;
    ``holding`` as `PostgresBell` has it.
    """
    return (
        PostgresBell(engine, channel, holding)
        if engine.dialect.name == "postgresql"
        else PollBell()
    )


class PostgresBell:
    """Rings when another process appended to the log.

    Losing the connection only makes it slower: the poll goes on, and listening is
    taken up again. The same session shares the advisory lock ``holding``, if one is named: a session
    more for each process would be more than PostgreSQL gives by default.
    """

    def __init__(self, engine: Engine, channel: str = CHANNEL, holding: int | None = None) -> None:
        self._listening = SQL("LISTEN {}").format(Identifier(channel))
        # As the engine itself gives them: a URL is read otherwise by the driver.
        _, parameters = engine.dialect.create_connect_args(engine.url)
        self._connecting: dict[str, Any] = dict(parameters)
        self._sharing = (
            None
            if holding is None
            else SQL("SELECT pg_try_advisory_lock_shared({})").format(Literal(holding))
        )
        self._held = asyncio.Event()
        self._rung = asyncio.Event()
        self._task = asyncio.create_task(self._listen(), name=f"bell-{channel}")

    async def wait(self, seconds: float) -> bool:
        """Return when rung, or after ``seconds``; tell whether it was rung."""
        # Not by wait_for, which can lose a cancellation that comes as the bell rings.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        rung = self._rung.is_set()
        self._rung.clear()
        return rung

    async def held(self, seconds: float) -> bool:
        """Return once the lock is held, or after ``seconds``; tell whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._held.wait()
        return self._held.is_set()

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    autocommit=True, **self._connecting
                ) as connection:
                    await self._hold(connection)
                    await connection.execute(self._listening)
                    # What was appended while nobody listened is news too.
                    self._rung.set()
                    async for _ in connection.notifies():
                        self._rung.set()
            except (psycopg.Error, OSError) as error:
                _log.warning("notifications interrupted: %s", failure_kind(error))
                await asyncio.sleep(_AGAIN_SECONDS)
            finally:
                self._held.clear()

    async def _hold(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Return once the lock is held, at once where none is named."""
        if self._sharing is None:
            return
        while True:
            row = await (await connection.execute(self._sharing)).fetchone()
            if row is not None and row[0]:
                self._held.set()
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        """Stop listening."""
        await end(self._task)
