"""Whether the ledger charged a request before."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, select

from gateway.meter.model import ANSWER
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading


def is_charged(engine: Engine, operator_id: str, request_id: str, chunk: int | None) -> bool:
    """Tell whether an operator's request was charged: this chunk of it, or with None any. Blocks."""
    query = select(USAGE.c.sequence).where(
        USAGE.c.operator_id == operator_id,
        USAGE.c.request_id == request_id,
        USAGE.c.kind == ANSWER,
    )
    if chunk is not None:
        query = query.where(USAGE.c.chunk == chunk)
    with reading(engine) as connection:
        return connection.execute(query.limit(1)).first() is not None


def first_charged(engine: Engine, operator_id: str, request_ids: Collection[str]) -> frozenset[str]:
    """Return those of an operator's requests whose first chunk was charged. Blocks."""
    query = select(USAGE.c.request_id).where(
        USAGE.c.operator_id == operator_id,
        USAGE.c.request_id.in_(request_ids),
        USAGE.c.chunk == 0,
        USAGE.c.kind == ANSWER,
    )
    with reading(engine) as connection:
        return frozenset(connection.execute(query).scalars())


class ChargedBefore:
    """Tells whether what would be refused was charged before: a retry of an answer that was paid
    for takes no more of anything. One event loop's own.

    ``charged`` tells it by operator, request id and chunk (None for any), and blocks. It is asked
    for one call at a time: who is refused takes no more of the store than that.
    """

    def __init__(self, charged: Callable[[str, str, int | None], bool]) -> None:
        self._charged = charged
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="charged-before")

    async def told(self, operator_id: str, request_id: str, chunk: int | None) -> bool:
        """Tell whether a request was charged. Raises what the store raises."""
        loop = asyncio.get_running_loop()
        asked = operator_id, request_id, chunk
        return await loop.run_in_executor(self._thread, self._charged, *asked)

    def close(self) -> None:
        """Give back the thread."""
        self._thread.shutdown()
