"""Whose turn it is to attest: each operator one at a time, not too often, and not too many at
once, so that attesting never holds up what is served, nor one operator another."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import monotonic, thread_time
from typing import Any, Final, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.fair_slots import FairSlots

MOST_AT_ONCE: Final = 16
"""Most attestations under way in one process."""
MOST_TURNS: Final = 600
"""Most attestations of one operator that one process begins within `WINDOW_SECONDS`."""
WINDOW_SECONDS: Final = 600
MOST_SECONDS: Final = 1_800
"""Longest time one attestation may take."""
SILENT_SECONDS: Final = 20
"""Longest time the gateway waits, in a turn, for its operator to send or to read."""
WAITED_SECONDS: Final = 300
"""Longest time it waits for its operator in one turn altogether."""
COPIES_A_SECOND: Final = 50_000
"""Copies an operator is given a second more for each time: it has to read them all."""
SLOT_SECONDS: Final = 40
"""Longest time an operator waits for a slot: longer than a silent one keeps it."""
MOST_WAITING: Final = 256
"""Most operators that wait for a slot."""
_THREADS: Final = 2
_Result = TypeVar("_Result")


class Turn:
    """One operator's turn: its work is done in threads, one after the other.

    ``limit`` ends the call, whatever it waits for: between work that is for the operator to
    speak, or to read.
    """

    def __init__(self, threads: ThreadPoolExecutor, limit: asyncio.Timeout) -> None:
        self._threads = threads
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + MOST_SECONDS
        self._silence = float(SILENT_SECONDS)
        self._patience = float(WAITED_SECONDS)
        self._waits_since = self._rested_at = 0.0
        self.working: asyncio.Future[Any] | None = None
        self._listen()

    def expect(self, copies: int) -> None:
        """Be as patient as somebody who has so many copies needs."""
        seconds = copies / COPIES_A_SECOND
        self._silence += seconds
        self._patience += seconds
        self._listen()

    async def work(self, do: Callable[[], _Result]) -> _Result:
        """Return what ``do`` returns.

        Between one work and the next a turn rests as long as it kept a processor busy.
        """
        self._patience -= self._loop.time() - self._waits_since
        self._limit.reschedule(self._ends_at)
        await asyncio.sleep(max(0.0, self._rested_at - self._loop.time()))
        busy = 0.0

        def timed() -> _Result:
            nonlocal busy
            began = thread_time()
            try:
                return do()
            finally:
                busy = thread_time() - began

        working = self._loop.run_in_executor(self._threads, timed)
        self.working = working
        # A call that is cut off leaves what is under way to its end.
        result = await asyncio.shield(working)
        self._rested_at = self._loop.time() + busy
        self._listen()
        return result

    def _listen(self) -> None:
        self._waits_since = now = self._loop.time()
        self._limit.reschedule(min(self._ends_at, now + min(self._silence, self._patience)))


class Turns:
    """Gives turns; one event loop's own."""

    def __init__(self) -> None:
        # Threads of their own: what is served never waits for a reconciliation.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="attesting")
        self._slots = FairSlots(MOST_AT_ONCE)
        self._there: set[str] = set()
        self._begun: defaultdict[str, deque[float]] = defaultdict(deque)

    def close(self) -> None:
        """End the threads, once what is under way has ended."""
        self._threads.shutdown(cancel_futures=True)

    @asynccontextmanager
    async def of(self, operator_id: str) -> AsyncGenerator[Turn]:
        """Give an operator its turn, once there is a slot for it.

        Raises Refused RATE_EXCEEDED where it has to come again, and where the operator was
        silent for too long, or the turn took too long. It must be left by the task it was
        entered by, or by whoever ends that task's generators.
        """
        self._require(operator_id, monotonic())
        self._there.add(operator_id)
        try:
            await self._slots.take(operator_id, SLOT_SECONDS)
        except TimeoutError:
            self._there.discard(operator_id)
            raise _crowded() from None
        except BaseException:
            self._there.discard(operator_id)
            raise
        self._begun[operator_id].append(monotonic())
        turn: Turn | None = None
        try:
            async with asyncio.timeout(None) as limit:
                turn = Turn(self._threads, limit)
                yield turn
        except TimeoutError:
            raise _refused(
                f"You were silent for {SILENT_SECONDS} seconds or more, or the attestation took"
                " too long; begin anew.",
                1,
            ) from None
        finally:
            working = None if turn is None else turn.working
            if working is None or working.done():
                self._left(operator_id)
            else:
                working.add_done_callback(lambda _: self._left(operator_id))

    def _left(self, operator_id: str) -> None:
        self._there.discard(operator_id)
        self._slots.give_back(operator_id)

    def _require(self, operator_id: str, now: float) -> None:
        begun = self._begun[operator_id]
        while begun and begun[0] <= now - WINDOW_SECONDS:
            begun.popleft()
        if operator_id in self._there:
            raise _refused("An operator attests one at a time; wait for the one under way.", 1)
        if self._slots.waiting >= MOST_WAITING:
            raise _crowded()
        if len(begun) >= MOST_TURNS:
            wait = int(begun[0] + WINDOW_SECONDS - now) + 1
            raise _refused("You attest too often; wait a while.", wait)


def _crowded() -> Refused:
    return _refused("Too many operators attest just now; try again soon.", 5)


def _refused(message: str, retry_after: int) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_RATE_EXCEEDED, message, retry_after=retry_after)
