"""Group commit: claims of concurrent calls share one transaction and one fsync.

While one group is being written the next gathers, so groups grow with load and a
lone call waits for nobody.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Outcome, RefusalEntry, UsageClaim

MOST_IN_A_GROUP: Final = 256
MOST_WAITING: Final = 8_192
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    claim: UsageClaim | RefusalEntry
    done: "asyncio.Future[Outcome | None]"


class GroupCommitter:
    """One writing thread in front of a ledger; used from one event loop.

    ``observe`` is told each group's size.
    """

    def __init__(self, ledger: UsageLedger, observe: Callable[[int], None]) -> None:
        self._ledger = ledger
        self._observe = observe
        self._waiting: deque[_Waiting] = deque()
        self._wake = Condition()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._run, name="usage-ledger", daemon=True)
        self._thread.start()

    async def charge(self, claim: UsageClaim) -> Outcome:
        """Return the claim's outcome once it is durable.

        Raises Refused TEMPORARILY_UNAVAILABLE when the ledger cannot be written and
        RATE_EXCEEDED when too many claims wait; in both cases nothing was charged.
        """
        outcome = await self._submit(claim)
        assert outcome is not None
        return outcome

    async def log_refusal(self, entry: RefusalEntry) -> None:
        """Return once the refusal is durable; raises as `charge`."""
        await self._submit(entry)

    def _submit(self, claim: UsageClaim | RefusalEntry) -> "asyncio.Future[Outcome | None]":
        if len(self._waiting) >= MOST_WAITING or self._closing:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "More calls are waiting to be metered than the gateway takes; slow down.",
                retry_after=1,
            )
        done: asyncio.Future[Outcome | None] = self._loop.create_future()
        with self._wake:
            self._waiting.append(_Waiting(claim, done))
            self._wake.notify()
        return done

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if not self._waiting:
                    return
                group = self._take_group()
            self._write(group)

    def _take_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        keys: set[tuple[str, str, int]] = set()
        while self._waiting and len(group) < MOST_IN_A_GROUP:
            claim = self._waiting[0].claim
            if isinstance(claim, UsageClaim):
                # A twin of a claim in this group must see that one committed first.
                if claim.key in keys:
                    break
                keys.add(claim.key)
            group.append(self._waiting.popleft())
        return group

    def _write(self, group: list[_Waiting]) -> None:
        claims = [w.claim for w in group if isinstance(w.claim, UsageClaim)]
        refusals = [w.claim for w in group if isinstance(w.claim, RefusalEntry)]
        try:
            outcomes = iter(self._ledger.commit(claims, refusals))
        except Exception as error:
            # Whatever it was, the callers must hear of it and the thread must live on.
            _log.error("usage ledger failed a group of %d: %s", len(group), type(error).__name__)
            self._loop.call_soon_threadsafe(_fail, group)
            return
        self._observe(len(group))
        results = [
            next(outcomes) if isinstance(waiting.claim, UsageClaim) else None for waiting in group
        ]
        self._loop.call_soon_threadsafe(_resolve, group, results)

    def close(self) -> None:
        """Write what waits and stop the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()


def _resolve(group: list[_Waiting], results: list[Outcome | None]) -> None:
    for waiting, result in zip(group, results, strict=True):
        if not waiting.done.done():
            waiting.done.set_result(result)


def _fail(group: list[_Waiting]) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(
                Refused(
                    RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                    "The use could not be metered, so nothing is served; try again.",
                    retry_after=1,
                )
            )
