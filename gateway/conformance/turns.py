"""Whose turn it is to attest: each operator one at a time, not too often, and not too many at
once, so that attesting never holds up what is served."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason

MOST_AT_ONCE: Final = 16
"""Most attestations under way in one process."""
MOST_TURNS: Final = 600
"""Most attestations of one operator that one process begins within `WINDOW_SECONDS`."""
WINDOW_SECONDS: Final = 600
MOST_SECONDS: Final = 1_800
"""Longest time one attestation may take."""
_THREADS: Final = 2
_Result = TypeVar("_Result")


class Turn:
    """One operator's turn: its work is done in threads, one after the other."""

    def __init__(self, threads: ThreadPoolExecutor, ends_at: float) -> None:
        self._threads = threads
        self._ends_at = ends_at
        self.working: asyncio.Future[Any] | None = None

    async def work(self, do: Callable[[], _Result]) -> _Result:
        """Return what ``do`` returns; raises Refused RATE_EXCEEDED when the turn took too
        long."""
        if monotonic() > self._ends_at:
            raise _refused(f"An attestation may take {MOST_SECONDS} seconds; begin anew.", 1)
        working = asyncio.get_running_loop().run_in_executor(self._threads, do)
        self.working = working
        # A call that is cut off leaves what is under way to its end.
        return await asyncio.shield(working)


class Turns:
    """Gives turns; one event loop's own."""

    def __init__(self) -> None:
        # Threads of their own: what is served never waits for a reconciliation.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="attesting")
        self._running: set[str] = set()
        self._begun: defaultdict[str, deque[float]] = defaultdict(deque)

    def close(self) -> None:
        """End the threads, once what is under way has ended."""
        self._threads.shutdown(cancel_futures=True)

    @contextmanager
    def of(self, operator_id: str) -> Generator[Turn]:
        """Give an operator its turn; raises Refused RATE_EXCEEDED where it has to wait."""
        now = monotonic()
        self._require(operator_id, now)
        self._begun[operator_id].append(now)
        self._running.add(operator_id)
        turn = Turn(self._threads, now + MOST_SECONDS)
        try:
            yield turn
        finally:
            if turn.working is None or turn.working.done():
                self._running.discard(operator_id)
            else:
                turn.working.add_done_callback(lambda _: self._running.discard(operator_id))

    def _require(self, operator_id: str, now: float) -> None:
        begun = self._begun[operator_id]
        while begun and begun[0] <= now - WINDOW_SECONDS:
            begun.popleft()
        if operator_id in self._running:
            raise _refused("An operator attests one at a time; wait for the one under way.", 1)
        if len(self._running) >= MOST_AT_ONCE:
            raise _refused("Too many operators attest just now; try again soon.", 5)
        if len(begun) >= MOST_TURNS:
            wait = int(begun[0] + WINDOW_SECONDS - now) + 1
            raise _refused("You attest too often; wait a while.", wait)


def _refused(message: str, retry_after: int) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_RATE_EXCEEDED, message, retry_after=retry_after)
