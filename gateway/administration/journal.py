"""The journal: every change is judged against fresh authority, then written, all or nothing."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from operators.kept import Kept
from operators.log import AuthorityLog, Change, Draft

_ATTEMPTS: Final = 8
_BEHIND: Final = frozenset(
    {
        RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
        RefusalReason.REFUSAL_REASON_RESOURCE_EXISTS,
    }
)

_Thing = TypeVar("_Thing", bound=Kept)

Judge = Callable[[AuthorityView, int], Sequence[Draft]]
"""Returns what a request changes in a view at an instant (seconds, UTC), or raises Refused.

Pure, since it is asked again when the view turns out to be old.
"""


class ViewFeed(Protocol):
    """What administration needs of the authority feed."""

    def current(self) -> AuthorityView:
        """Return the view; raises Refused AUTHORITY_UNKNOWN when it is too old."""
        ...

    async def refresh(self) -> AuthorityView:
        """Read the log's news now and return the view."""
        ...


class AuthorityJournal:
    """Writes changes of authority and makes this process act on them at its next call."""

    def __init__(self, log: AuthorityLog, feed: ViewFeed, clock: Clock) -> None:
        self._log = log
        self._feed = feed
        self._clock = clock
        # One change at a time, so that each is judged against the one before.
        self._turn = asyncio.Lock()

    async def write(self, judge: Judge, *, changed_by: str, reason: str) -> tuple[Change, ...]:
        """Write what ``judge`` returns and return it as written, in its order.

        Nothing is written on an old view: where another process changed anything
        meanwhile, it is judged again. Raises Refused: what ``judge`` raises or the log
        does, ETAG_MISMATCH when others keep coming first.
        """
        turn = asyncio.ensure_future(self._write(judge, changed_by, reason))
        # A caller that goes away must not end the turn before its append has ended.
        return await asyncio.shield(turn)

    async def judged(self, judge: Judge) -> None:
        """Ask ``judge`` about the view as it is now, and write nothing. Raises Refused as it does."""
        judge(await self._feed.refresh(), self._clock.now())

    async def _write(self, judge: Judge, changed_by: str, reason: str) -> tuple[Change, ...]:
        async with self._turn:
            now = self._clock.now()
            changes = await self._judge_and_append(judge, changed_by, now, reason)
            await self._feed.refresh()
        return changes

    async def _judge_and_append(
        self, judge: Judge, changed_by: str, now: int, reason: str
    ) -> tuple[Change, ...]:
        attempts = 0
        while True:
            view = await self._feed.refresh()
            drafts = judge(view, now)
            attempts += 1
            try:
                return await asyncio.to_thread(
                    self._log.append,
                    drafts,
                    changed_by=changed_by,
                    changed_at=now,
                    reason=reason,
                    follows=view.sequence,
                )
            except Refused as refused:
                # Another process was faster: judge again what it left.
                if refused.reason not in _BEHIND or attempts == _ATTEMPTS:
                    raise


def draft(kind: str, thing_id: str, thing: Kept) -> Draft:
    """Return ``thing`` as the version that follows its own."""
    return Draft(kind, thing_id, thing.version, thing.as_document())


def stored(model: type[_Thing], change: Change) -> _Thing:
    """Return the thing that ``change`` wrote."""
    return model.from_document(
        change.document, version=change.version, changed_at=change.changed_at
    )
