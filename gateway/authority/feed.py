"""The feed: keeps the view fresh and refuses to answer when it cannot know.

The logs of authority and of revocations are asked for their news every ``poll_seconds``,
and at once when PostgreSQL notifies. A view is good for ``lease_seconds`` from the moment
its asking began; past that, `current` refuses. So no process acts on a withdrawn authority for longer
than the lease, whatever hangs (guarantee G4).
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authority.view import AuthorityView
from gateway.clock import Clock, host_seconds
from gateway.ending import end
from gateway.failure_kind import failure_kind
from gateway.oauth.revocation_log import RevocationLog
from gateway.storage.signs import Sign
from operators.log import AuthorityLog

_log = logging.getLogger(__name__)
_WARN_EVERY: Final = 50


class ChangeBell(Protocol):
    """Tells that the log may have news, sooner than the next poll."""

    async def wait(self, seconds: float) -> bool:
        """Return when rung, or after ``seconds``; tell whether it was rung."""
        ...

    async def close(self) -> None:
        """Ring no more."""
        ...


class PollBell:
    """Never rings early: for stores without notification."""

    async def wait(self, seconds: float) -> bool:
        """Return after ``seconds``."""
        await asyncio.sleep(seconds)
        return False

    async def close(self) -> None:
        """Do nothing: there is nothing to give back."""


class AuthorityFeed:
    """One process's view of the authority log and of the log of revocations.

    ``monotonic`` measures the lease in seconds; it is no wall clock, so that setting
    the time neither stretches nor breaks a lease, and a host that sleeps does not stretch it.
    While ``sign`` shows no news of the store the logs are not read.
    """

    def __init__(
        self,
        log: AuthorityLog,
        *,
        revocations: RevocationLog,
        clock: Clock,
        poll_seconds: float,
        lease_seconds: float,
        bell: ChangeBell,
        monotonic: Callable[[], float] = host_seconds,
        sign: Sign | None = None,
    ) -> None:
        self._log = log
        self._revocations = revocations
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._bell = bell
        self._sign = sign
        self._read_at: object = None
        self._view = AuthorityView()
        self._good_until = float("-inf")
        self._reading = asyncio.Lock()
        # A thread of its own: a feed queued behind other work would let leases lapse.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="authority")
        self._task: asyncio.Task[None] | None = None

    def current(self) -> AuthorityView:
        """Return the view, at most ``lease_seconds`` old.

        Raises Refused AUTHORITY_UNKNOWN when the lease has lapsed.
        """
        if self._monotonic() >= self._good_until:
            raise Refused(
                RefusalReason.REFUSAL_REASON_AUTHORITY_UNKNOWN,
                "This replica cannot see the present state of authority; try again.",
                retry_after=1,
            )
        return self._view

    def holds(self, view: AuthorityView, revocable: frozenset[str] = frozenset()) -> bool:
        """Tell whether what ``view`` decided stands, and nothing ``revocable`` was revoked.

        It does while it is the newest and within its lease; from any thread. What others
        revoke changes nothing, so that nobody can hold up the calls of all.
        """
        newest = self._view
        return (
            newest.decides_as(view)
            and newest.revocations.allows(revocable)
            and self._monotonic() < self._good_until
        )

    async def refresh(self) -> AuthorityView:
        """Read the logs' news now and return the view.

        Raises what a log raises when it cannot be read.
        """
        loop = asyncio.get_running_loop()
        async with self._reading:
            asked = self._monotonic()
            # Asked before the logs are read: what is committed meanwhile shows next time.
            sign = None if self._sign is None else self._sign()
            if sign is not None and sign == self._read_at:
                self._good_until = asked + self._lease_seconds
                return self._view
            self._view = await loop.run_in_executor(self._thread, self._newer, self._view)
            self._good_until = asked + self._lease_seconds
            self._read_at = sign
        return self._view

    def _newer(self, view: AuthorityView) -> AuthorityView:
        changes = self._log.since(view.sequence)
        revoked = self._revocations.since(view.revocations.sequence)
        return view.advanced(changes).after(revoked, self._clock.now())

    async def start(self) -> None:
        """Read the log for the first time and keep following it."""
        await self.refresh()
        self._task = asyncio.create_task(self._follow(), name="authority-feed")

    async def _follow(self) -> None:
        failures = 0
        while True:
            await self._bell.wait(self._poll_seconds)
            try:
                await self.refresh()
                failures = 0
            except Exception as error:
                # Keep trying: the lease refuses meanwhile, and a store may come back.
                if failures % _WARN_EVERY == 0:
                    _log.error("authority log cannot be read: %s", failure_kind(error))
                failures += 1

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            await end(self._task)
        self._thread.shutdown(wait=False)
