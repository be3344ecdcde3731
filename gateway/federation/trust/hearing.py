"""Hearing: what a peer signs is followed by long polls, and believed for a lease.

Used for the anchor's news and for the status lists of licences. What was heard is good for
``lease_seconds`` from the moment it was asked for, or from its own date where that is older:
so neither a peer that hangs nor an old copy that somebody hands on keeps it alive. The lease
is measured by a clock that nobody sets.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.ending import end

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_LEAST_APART: Final = 0.1
_WARN_EVERY: Final = 100
_log = logging.getLogger(__name__)


class Numbered(Protocol):
    """Something signed that is numbered and dated (seconds, UTC)."""

    @property
    def number(self) -> int:
        """Grows with each change."""
        ...

    @property
    def issued_at(self) -> int:
        """When it was signed."""
        ...


_Heard = TypeVar("_Heard", bound=Numbered)

Ask = Callable[[int, int], Awaitable[_Heard]]
"""Asks one source: (number known, seconds to wait) to what it says, verified. Raises anything
where it says nothing that can be believed."""


class Hearing(Generic[_Heard]):
    """Follows one signer through several sources, from `start` to `stop`; one event loop's own.

    ``sources`` gives whom to ask at the moment, the signer itself first; others may relay what
    it signed. ``changed`` is called, on the event loop, when the number grew.
    """

    def __init__(
        self,
        name: str,
        sources: Callable[[], Sequence[Ask[_Heard]]],
        *,
        lease_seconds: float,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._sources = sources
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._changed = changed
        self._newest: _Heard | None = None
        self._good_until = float("-inf")
        self._last_failure = "nobody to ask"
        self._task: asyncio.Task[None] | None = None

    def current(self) -> _Heard:
        """Return what was heard last, from any thread.

        Raises Refused FEDERATION_UNKNOWN when the lease has lapsed.
        """
        newest = self._newest
        if newest is None or self._monotonic() >= self._good_until:
            raise not_heard()
        return newest

    @property
    def newest(self) -> _Heard | None:
        """What was heard last, however long ago; None before that."""
        return self._newest

    def take(self, heard: _Heard, asked_at: float) -> None:
        """Take in what was asked for at ``asked_at`` (of the monotonic clock).

        Raises ValueError for what is older than what is known.
        """
        newest = self._newest
        if newest is not None and heard.number < newest.number:
            raise ValueError("it is older than what was heard before")
        age = max(0, self._clock.now() - heard.issued_at)
        self._good_until = max(self._good_until, asked_at - age + self._lease_seconds)
        grew = newest is None or heard.number > newest.number
        if grew or newest is None or heard.issued_at >= newest.issued_at:
            self._newest = heard
        if grew:
            self._changed()

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow(), name=self._name)

    async def stop(self) -> None:
        """Follow no more."""
        if self._task is not None:
            await end(self._task)

    async def _follow(self) -> None:
        failures = 0
        while True:
            known, asked_at = self._newest, self._monotonic()
            if await self._round():
                failures = 0
                if self._newest is known or self._monotonic() - asked_at < _LEAST_APART:
                    # Whoever answers at once, though nothing changed, is not asked at once.
                    await asyncio.sleep(_LEAST_APART)
                continue
            if failures % _WARN_EVERY == 0:
                # By type, since texts may be theirs.
                _log.warning(
                    "%s: nobody tells anything to be believed (%s)", self._name, self._last_failure
                )
            failures += 1
            await asyncio.sleep(min(_FIRST_PAUSE * 2 ** min(failures, 8), _LONGEST_PAUSE))

    async def _round(self) -> bool:
        """Ask the sources in turn until one tells something; tell whether one did."""
        try:
            sources = self._sources()
        except Refused as refused:
            # What the gateway itself does not know for the moment it may know the next.
            self._last_failure = type(refused).__name__
            return False
        for ask in sources:
            asked_at = self._monotonic()
            known = -1 if self._newest is None else self._newest.number
            try:
                # Asked again well within the lease, though nothing changes.
                heard = await ask(known, max(1, int(self._lease_seconds / 3)))
                self.take(heard, asked_at)
            except Exception as error:
                # Anything a hostile or broken peer may cause.
                self._last_failure = type(error).__name__
                continue
            return True
        return False


def not_heard() -> Refused:
    """Return the refusal of what crosses regions while it cannot be known who stands."""
    return Refused(
        RefusalReason.REFUSAL_REASON_FEDERATION_UNKNOWN,
        "This gateway has not heard from the federation within its lease; try again.",
        retry_after=1,
    )
