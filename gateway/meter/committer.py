"""Group commit: claims of concurrent calls share one transaction and one fsync.

While one group is made durable the next gathers, so groups grow with load and a
lone call waits for nobody (`gateway.meter.company` for when more are waited for). The event loop itself writes a group, where the ledger can without
waiting, for two threads would take the interpreter from each other at each statement; a thread makes
it durable. What has to be read for a claim can wait for the same beat
(`GroupCommitter.when_free`): then it is read for a whole group at once, and only once
after each commit, which makes SQLite drop what it had in memory. Charges go first: a group takes only some refusals along,
so that a flood of refused calls never holds up those that are served.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Final, NamedTuple, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.failure_kind import failure_kind
from gateway.meter.company import Company
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Outcome, RefusalEntry, Unwritable, UsageClaim
from gateway.meter.same_core import SameCore

MOST_IN_A_GROUP: Final = 256
MOST_REFUSALS_IN_A_GROUP: Final = 64
MOST_WAITING: Final = 8_192
_log = logging.getLogger(__name__)


class _WaitingClaim(NamedTuple):
    claim: UsageClaim
    done: "asyncio.Future[Outcome]"


class _WaitingRefusal(NamedTuple):
    entry: RefusalEntry
    done: "asyncio.Future[None]"


class _Group(NamedTuple):
    """What waits for the same commit; ``outcomes`` where it is written but for that. ``taken`` are
    those who waited, of whom some went away."""

    taken: int
    claims: list[_WaitingClaim]
    refusals: list[_WaitingRefusal]
    outcomes: list[Outcome] | None


_Waiting = TypeVar("_Waiting", _WaitingClaim, _WaitingRefusal)


class GroupCommitter:
    """A ledger behind one event loop, which gathers, and one thread, which commits.

    When the thread is free the loop hands over a whole group, written where that waits for nobody: a
    hand-over makes two threads contend for the interpreter, so there is one for a group, not one
    for a claim. ``observe`` is told each group's size, from the thread, which goes where
    ``same_core`` has it, if there is one.
    """

    def __init__(
        self,
        ledger: UsageLedger,
        observe: Callable[[int], None],
        same_core: SameCore | None = None,
    ) -> None:
        self._ledger = ledger
        self._observe = observe
        self._claims: deque[_WaitingClaim] = deque()
        self._refusals: deque[_WaitingRefusal] = deque()
        self._unanswered_claims = 0
        self._unanswered_refusals = 0
        self._company = Company(self._next_beat)
        self._turns: list[Callable[[], None]] = []
        # A group is with the thread, or about to be.
        self._handing_over = False
        self._closing = False
        # None tells the thread that nothing more will come.
        self._groups: SimpleQueue[_Group | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._same_core = same_core
        self._thread = Thread(target=self._run, name="usage-ledger", daemon=True)
        self._thread.start()

    def charge(self, claim: UsageClaim) -> "asyncio.Future[Outcome]":
        """Return the claim's outcome, to be awaited, once it is durable.

        Raises Refused RATE_EXCEEDED when too many claims wait, and nothing is charged.
        Awaiting raises Refused TEMPORARILY_UNAVAILABLE when the ledger cannot be
        written; whether the claim was charged may be unknown then, and a retry with the
        same id is charged only if it was not. A claim whose awaiting is cancelled
        before its turn comes is dropped.
        """
        if self._closing:
            raise _unavailable()
        if self._unanswered_claims >= MOST_WAITING:
            raise _too_many()
        done: asyncio.Future[Outcome] = self._loop.create_future()
        self._unanswered_claims += 1
        self._claims.append(_WaitingClaim(claim, done))
        self._company.came()
        self._wake()
        return done

    def log_refusal(self, entry: RefusalEntry) -> "asyncio.Future[None]":
        """Return, to be awaited, when the refusal is durable; raises as `charge`."""
        if self._closing:
            raise _unavailable()
        if self._unanswered_refusals >= MOST_WAITING:
            raise _too_many()
        done: asyncio.Future[None] = self._loop.create_future()
        self._unanswered_refusals += 1
        self._refusals.append(_WaitingRefusal(entry, done))
        self._wake()
        return done

    def when_free(self, turn: Callable[[], None]) -> None:
        """Call ``turn`` before the next group is handed over, at once if none is written; once,
        however often it was asked for.

        What is charged because of it before the loop's next turn goes with that group.
        """
        if turn not in self._turns:
            self._turns.append(turn)
            if not self._handing_over:
                self._loop.call_soon(self._take_turns)
        self._company.came()

    def close(self) -> None:
        """Write what waits and stop the thread; the outcomes come with the loop's next turn."""
        if not self._closing:
            self._closing = True
            while self._hand_over():
                pass
            self._groups.put(None)
        self._thread.join()
        self._company.close()
        if self._same_core is not None:
            self._same_core.close()

    def _wake(self) -> None:
        if not self._handing_over:
            self._handing_over = True
            # At the end of this turn of the loop, so that what arrives in it goes along.
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> bool:
        """Give the thread the next group; False when nothing waits."""
        self._handing_over = bool(self._claims or self._refusals)
        if self._handing_over:
            taken = _first(self._claims, MOST_IN_A_GROUP)
            refusals = _first(self._refusals, MOST_REFUSALS_IN_A_GROUP)
            claims = [waiting for waiting in taken if not waiting.done.cancelled()]
            if self._same_core is not None:
                self._same_core.lead()
            outcomes = None
            # Closing, groups are handed over one behind the other: the thread has the ledger.
            if not self._closing:
                outcomes = self._ledger.begin_at_once(*_asked(claims, refusals))
            self._company.begun()
            self._groups.put(_Group(len(taken), claims, refusals, outcomes))
        else:
            self._take_turns()
        return self._handing_over

    def _next_beat(self) -> None:
        self._take_turns()
        # After whom the turns have woken, so that their claims go along.
        self._loop.call_soon(self._hand_over)

    def _take_turns(self) -> None:
        turns, self._turns = self._turns, []
        for turn in turns:
            try:
                turn()
            except Exception as error:
                # Whoever waits for the other turns, and for the group, must not suffer for it.
                _log.error("a turn between two groups failed: %s", failure_kind(error))

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            if self._same_core is not None:
                self._same_core.follow()
            self._write(group)
            del group
        self._ledger.close()

    def _write(self, group: _Group) -> None:
        claims = group.claims
        try:
            if (outcomes := group.outcomes) is not None:
                self._ledger.finish()
            else:
                outcomes = self._ledger.commit(*_asked(claims, group.refusals))
        except Exception as error:
            # Whatever it was, the callers must hear of it and the thread must live on.
            _log.error("the usage ledger failed %d claims: %s", len(claims), failure_kind(error))
            outcomes = [Unwritable()] * len(claims)
            written = False
        else:
            written = True
        self._loop.call_soon_threadsafe(self._answer, group, outcomes, written)
        if written and claims:
            self._tell_size(len(claims))

    def _tell_size(self, size: int) -> None:
        try:
            self._observe(size)
        except Exception as error:
            _log.error("a group could not be counted: %s", failure_kind(error))

    def _answer(self, group: _Group, outcomes: Sequence[Outcome], written: bool) -> None:
        taken, claims, refusals, _ = group
        if self._closing:
            self._take_turns()
        else:
            self._company.wait(taken)
        self._unanswered_claims -= taken
        self._unanswered_refusals -= len(refusals)
        for (_, done), outcome in zip(claims, outcomes, strict=True):
            if done.done():
                continue
            if isinstance(outcome, Unwritable):
                done.set_exception(_unavailable())
            else:
                done.set_result(outcome)
        for _, done in refusals:
            if done.done():
                continue
            if written:
                done.set_result(None)
            else:
                done.set_exception(_unavailable())


def _asked(
    claims: Sequence[_WaitingClaim], refusals: Sequence[_WaitingRefusal]
) -> tuple[list[UsageClaim], list[RefusalEntry]]:
    return [waiting.claim for waiting in claims], [waiting.entry for waiting in refusals]


def _first(waiting: deque[_Waiting], most: int) -> list[_Waiting]:
    return [waiting.popleft() for _ in range(min(most, len(waiting)))]


def _unavailable() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "The use could not be metered, so nothing is served; try again with the same request_id.",
        retry_after=1,
    )


def _too_many() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
        "More calls are waiting to be metered than the gateway takes; slow down.",
        retry_after=1,
    )
