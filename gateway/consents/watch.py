"""WatchConsents: an operator's changes of consents as they come, in order, none missing."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from consent.model import ConsentChange
from consent.sql import SqlConsents
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.consents.message import event_message
from gateway.consents.news import ConsentNews
from operators.rules import require_call

SCOPE: Final = "consents:watch"
HEARTBEAT_SECONDS: Final = 15.0
MOST_WATCHERS: Final = 8
"""Most streams of one operator that one process serves at once."""
_CHANGES_AT_ONCE: Final = 200
_LAST_SEQUENCE: Final = (1 << 63) - 1


class ConsentWatch:
    """Streams changes. ``view`` gives authority as of now and raises Refused without."""

    def __init__(
        self,
        consents: SqlConsents,
        news: ConsentNews,
        view: Callable[[], AuthorityView],
        clock: Clock,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._consents = consents
        self._news = news
        self._view = view
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds

    async def changes(
        self, request: pb.WatchConsentsRequest, caller: Caller
    ) -> AsyncGenerator[pb.WatchConsentsResponse]:
        """Yield each change after the position asked for, and a sign of life when idle.

        What may be told is decided anew for each message (G4): an operator suspended
        meanwhile takes the stream up again from its last position once it is reinstated.
        Raises Refused: RATE_EXCEEDED where the operator has `MOST_WATCHERS` streams,
        TEMPORARILY_UNAVAILABLE where the process ends, and the reasons of
        `operators.rules.require_call`.
        """
        after = request.after_sequence
        if not 0 <= after <= _LAST_SEQUENCE:
            raise invalid(Violation("after_sequence", "use the sequence of a change, or 0"))
        if self._news.waiting_for(caller.operator_id) >= MOST_WATCHERS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"An operator has {MOST_WATCHERS} streams of consents open at most; close one.",
                retry_after=1,
            )
        with self._news.of_operator(caller.operator_id) as news:
            while True:
                if self._news.over:
                    raise _ending()
                # Before reading: what changes after is news again.
                news.clear()
                changes = await asyncio.to_thread(
                    self._consents.changes,
                    after=after,
                    operator_id=caller.operator_id,
                    limit=_CHANGES_AT_ONCE,
                )
                for change in changes:
                    self._require_authority(caller)
                    yield self._told(change)
                    after = change.sequence
                if changes:
                    continue
                if not await _within(news, self._heartbeat_seconds):
                    self._require_authority(caller)
                    yield self._told(None)

    def _require_authority(self, caller: Caller) -> None:
        require_call(
            self._view().authority, caller.client_id, SCOPE, caller.token_scopes, self._clock.now()
        )

    def _told(self, change: ConsentChange | None) -> pb.WatchConsentsResponse:
        response = pb.WatchConsentsResponse(send_time=Timestamp(seconds=self._clock.now()))
        if change is not None:
            response.event.CopyFrom(event_message(change))
            if change.removal_deadline is not None:
                response.data_life_until.seconds = change.removal_deadline
                response.data_life_end = change.data_life_end
        return response


def _ending() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "This process of the gateway ends; take the stream up again from its last change.",
        retry_after=1,
    )


async def _within(news: asyncio.Event, seconds: float) -> bool:
    """Return whether ``news`` came within so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
    return news.is_set()
