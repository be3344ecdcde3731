"""StreamUsage: usage entries as they are written, in order, none missing."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Final

from sqlalchemy import Engine, func, select

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.meter.tables import USAGE
from gateway.settle.answer import usage_entries
from gateway.settle.usage import AnswerPage, UsageReader
from gateway.settle.whose import operator_asked
from gateway.shares import Shares
from gateway.storage.engines import reading
from gateway.usage.names import use_named
from gateway.usage.news import UsageNews
from gateway.usage.places import sequence_at
from operators.authority import Authority
from operators.rules import require_call

SCOPE: Final = "usage:read"
MOST_STREAMS: Final = 8
"""Most streams of one operator's use that one process serves at once."""
_PAGE_ENTRIES: Final = 200
_LOOK_SECONDS: Final = 15.0
"""So often a stream that has nothing to tell looks whether it may go on."""


class UsageStream:
    """Streams entries. ``authority`` gives the present one and raises Refused without.

    A reader that is slow holds up its own stream alone: what came meanwhile stays in the ledger.
    """

    def __init__(
        self,
        records: Engine,
        reader: UsageReader,
        news: UsageNews,
        reads: Shares,
        authority: Callable[[], Authority],
        clock: Clock,
    ) -> None:
        self._records = records
        self._reader = reader
        self._news = news
        self._reads = reads
        self._authority = authority
        self._clock = clock

    async def stream_usage(
        self, request: pb.StreamUsageRequest, caller: Caller
    ) -> AsyncGenerator[pb.StreamUsageResponse]:
        """Answer StreamUsage: each entry behind ``after``, or from now on.

        Raises Refused: as `operator_asked`; INVALID_REQUEST; RATE_EXCEEDED where the operator
        has `MOST_STREAMS`; TEMPORARILY_UNAVAILABLE where the process ends; the reasons of
        `require_call` once the scope is gone.
        """
        operator_id = operator_asked(request.operator_id, caller, self._authority())
        after = use_named(request.after) if request.after else None
        if request.after and (after is None or after.operator_id != operator_id):
            raise invalid(Violation("after", "name a usage entry of the operator, or none"))
        if self._news.watching(operator_id) >= MOST_STREAMS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"An operator has {MOST_STREAMS} streams of usage open at most; close one.",
                retry_after=1,
            )
        with self._news.of_operator(operator_id) as news:
            if after is None:
                sequence = await self._reads.run(caller.client_id, self._newest, operator_id)
                told = None
            else:
                found = await self._reads.run(
                    caller.client_id, self._sequence, operator_id, after.usage_index
                )
                if found is None:
                    raise invalid(Violation("after", "the operator has no such usage entry"))
                told = after.number
                sequence = found if told is None else found - 1
            while True:
                news.clear()
                page = await self._reads.run(caller.client_id, self._page, operator_id, sequence)
                for answer in page.answers:
                    entries = list(usage_entries(answer))
                    if (
                        after is not None
                        and told is not None
                        and answer.usage_index == after.usage_index
                    ):
                        entries = [each for each in entries if _number(each) > told]
                    for entry in entries:
                        yield pb.StreamUsageResponse(entry=entry)
                    sequence = answer.sequence
                if not page.more:
                    await self._wait(news, caller)

    async def _wait(self, news: asyncio.Event, caller: Caller) -> None:
        """Wait for news, for as long as the caller may have them."""
        while not news.is_set() and not self._news.over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await news.wait()
            require_call(
                self._authority(), caller.client_id, SCOPE, caller.token_scopes, self._clock.now()
            )
        if self._news.over:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "This process of the gateway ends; take the stream up again behind its last entry.",
                retry_after=1,
            )

    def _page(self, operator_id: str, after: int) -> AnswerPage:
        return self._reader.answers(
            operator_id,
            from_=None,
            until=None,
            request_id="",
            after=after,
            least_entries=_PAGE_ENTRIES,
        )

    def _sequence(self, operator_id: str, place: int) -> int | None:
        with reading(self._records) as connection:
            return sequence_at(connection, operator_id, place)

    def _newest(self, operator_id: str) -> int:
        query = select(func.max(USAGE.c.sequence)).where(USAGE.c.operator_id == operator_id)
        with reading(self._records) as connection:
            return connection.execute(query).scalar() or 0


def _number(entry: pb.UsageEntry) -> int:
    """Return the number of an entry among those of its answer."""
    named = use_named(entry.name)
    assert named is not None and named.number is not None, "entries are named by their place"
    return named.number
