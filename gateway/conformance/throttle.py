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


class Throttle:
    """Knows who is throttled, and how much each may still ask; one event loop's own.

    A call is let through when the time of those before is over: ``subjects_per_minute`` asked
    for one a call or many, the same in the long run. ``monotonic`` gives seconds;
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
        self._free_at: dict[str, float] = {}
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
        now = self._monotonic()
        free_at = self._free_at.get(operator_id, now)
        if free_at > now:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "Your rate was cut for findings that were not rectified by their deadline;"
                " ListFindings tells which. Rectify them and attest.",
                retry_after=ceil(free_at - now),
            )
        self._free_at[operator_id] = now + subjects * self._seconds

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
            self._throttled = throttled
            self._free_at = {name: at for name, at in self._free_at.items() if name in throttled}
        return False

    def _read(self) -> frozenset[str] | None:
        """Return who is throttled; None where no stage has changed."""
        last = self._standings.last_change()
        if last == self._seen:
            return None
        throttled = self._standings.in_stage(THROTTLED)
        self._seen = last
        return throttled
