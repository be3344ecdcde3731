"""The throttle: record calls of operators whose rate was cut, at the door of each process.

Only a stage that the enforcer wrote throttles; who is not throttled is looked up in one set,
empty as a rule.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.model import THROTTLED
from gateway.conformance.standings import Standings
from gateway.storage.background import Pace, Rounds
from gateway.storage.signs import Sign

POLL_SECONDS: Final = 0.3
_SAVED_SECONDS: Final = 60
"""So long is time saved up for calls that ask for less."""


class Throttle:
    """Knows who is throttled, and how much each may still ask; one event loop's own.

    A call is let through once the time that its subjects take has passed, since the rate was
    cut and since the calls before: ``subjects_per_minute`` asked for one a call or many. Of
    time in which nothing was asked for a minute counts, or what the call itself takes.
    ``monotonic`` gives seconds;
    ``sign`` shows news of the standings.
    """

    def __init__(
        self,
        standings: Standings,
        subjects_per_minute: float,
        monotonic: Callable[[], float],
        poll_seconds: float = POLL_SECONDS,
        sign: Sign | None = None,
    ) -> None:
        self._standings = standings
        self._seconds = 60 / subjects_per_minute
        self._monotonic = monotonic
        self._throttled: frozenset[str] = frozenset()
        self._paid_until: dict[str, float] = {}
        self._seen = -1
        # Who was throttled stays so until it is known better.
        self._rounds = Rounds("throttle", self._look, Pace(poll_seconds), sign=sign)
        # A thread of its own: stages act in time whatever else the process is asked for.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="throttle")

    def require(self, operator_id: str, subjects: int) -> None:
        """Take an operator's call for so many subjects.

        Raises Refused RATE_EXCEEDED where its rate was cut and it calls too soon.
        """
        if operator_id not in self._throttled:
            return
        now, takes = self._monotonic(), subjects * self._seconds
        until = max(self._paid_until[operator_id], now - max(takes, _SAVED_SECONDS)) + takes
        if until > now:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "Your rate was cut for findings that were not rectified by their deadline;"
                " ListFindings tells which. Rectify them and attest.",
                retry_after=ceil(until - now),
            )
        self._paid_until[operator_id] = until

    async def start(self) -> None:
        """Learn who is throttled and keep knowing it. Raises what the store raises."""
        await self._look()
        self._rounds.start()

    async def stop(self) -> None:
        """Stop following."""
        await self._rounds.stop()
        self._thread.shutdown()

    async def _look(self) -> bool:
        throttled = await asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        if throttled is not None:
            now = self._monotonic()
            self._paid_until = {name: self._paid_until.get(name, now) for name in throttled}
            self._throttled = throttled
        return False

    def _read(self) -> frozenset[str] | None:
        """Return who is throttled; None where no stage has changed."""
        last = self._standings.last_change()
        if last == self._seen:
            return None
        throttled = self._standings.in_stage(THROTTLED)
        self._seen = last
        return throttled
