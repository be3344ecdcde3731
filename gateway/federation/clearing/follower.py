"""The follower: clears each day with each region, catches up, gives back what was conceded, and
tells who does not agree.

One process of the installation does. Whatever it was at when it ended is found in the store.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.failure_kind import failure_kind
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.clerk import ClearingClerk, NotCleared, TooLong
from gateway.federation.clearing.evidence import DisputeEvidence
from gateway.federation.clearing.giving_back import GivingBack
from gateway.federation.clearing.ledger import RegionLedger
from gateway.federation.clearing.rules import (
    OVERDUE_SECONDS,
    next_until,
    overdue_since,
    shorter,
)
from gateway.federation.clearing.store import SqlClearings
from gateway.federation.trust.book import Region, RegionBook
from gateway.storage.background import NotNow, Pace, Rounds
from gateway.storage.steps import Steps
from gateway.storage.turn import CLEARING, open_turn

_AT_ONCE: Final = 2
_LOOK_SECONDS: Final = 30.0
_FIRST_RETRY_SECONDS: Final = 5.0
_MOST_RETRY_SECONDS: Final = 600.0
_STANDBY_SECONDS: Final = 0.5
_PACE: Final = Pace(_LOOK_SECONDS, apart_seconds=0.2, share=0.5)
_NOT_STANDING: Final = "it does not stand, or the anchor was not heard"
_log = logging.getLogger(__name__)


class ClearingFollower:
    """Clears with the regions of ``book``; one event loop's own. ``own`` is this region's entity
    identifier; ``evidence`` is the store that the turn is taken at. ``known`` gives every region
    that was ever known, cut off or not: what operator each is here, "" for none, by entity id.
    ``steps`` are those of whoever it has clear too, and end with it."""

    def __init__(
        self,
        evidence: Engine,
        clearings: SqlClearings,
        attempts: SqlAttempts,
        ledger: RegionLedger,
        evidence_of_disputes: DisputeEvidence,
        clerk: ClearingClerk,
        giving_back: GivingBack,
        book: RegionBook,
        known: Callable[[], Mapping[str, str]],
        clock: Clock,
        own: str,
        steps: Steps,
    ) -> None:
        self._clearings = clearings
        self._attempts = attempts
        self._ledger = ledger
        self._evidence = evidence_of_disputes
        self._clerk = clerk
        self._giving_back = giving_back
        self._book = book
        self._known = known
        self._clock = clock
        self._own = own
        self._turn = open_turn(evidence, CLEARING)
        self._ask_at = float("-inf")
        self._tries: dict[str, tuple[float, int]] = {}
        self._told: dict[str, int] = {}
        self._cut_off: dict[str, int] = {}
        # Ends of parts of periods that have too many entries for one clearing.
        self._shorter: dict[str, int] = {}
        self._steps = steps
        # One thread alone: a turn is asked for and given up one after the other.
        self._turns = Steps(steps.name)
        self._rounds = Rounds("clearing", self._once, _PACE)

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self._steps.name

    def busy_seconds(self) -> float:
        """Return for how long it has been at a step, beyond what one may take."""
        return max(self._turns.busy_seconds(), self._steps.busy_seconds())

    async def start(self) -> None:
        """Begin to clear."""
        self._rounds.start()

    async def stop(self) -> None:
        """Leave the turn to others."""
        await self._rounds.stop()
        await self._turns.take(self._turn.give_up)
        self._turns.close()
        self._steps.close()

    def nudge(self) -> None:
        """Tell that clearing is wanted at once; on the event loop."""
        self._rounds.nudge()

    async def _once(self) -> bool:
        if monotonic() < self._ask_at:
            raise NotNow
        if not await self._turns.take(self._turn.taken):
            self._ask_at = monotonic() + _STANDBY_SECONDS
            raise NotNow
        wanted = await self._steps.take(self._attempts.wanted)
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def cleared(region: Region) -> bool:
            async with at_once:
                return await self._clear(region, wanted.get(region.entity_id))

        standing = self._book.regions()
        for region in standing:
            self._cut_off.pop(region.entity_id, None)
        more = list(await asyncio.gather(*map(cleared, standing)))
        names = {self._own, *(each.entity_id for each in standing)}
        for region in sorted(wanted.keys() - names):
            await self._steps.take(self._attempts.fail, region, _NOT_STANDING, self._now())
            await self._steps.take(self._attempts.tried, region, wanted[region])
        for region, operator_id in self._known().items():
            if region not in names:
                await self._tell_cut_off(region, operator_id)
            if operator_id:
                more.append(
                    await self._steps.take(self._giving_back.give_back, region, operator_id)
                )
        return any(more)

    async def _clear(self, region: Region, wanted: int | None) -> bool:
        """Clear with one region where that is due; tell whether more of it is due at once."""
        name = region.entity_id
        last = await self._steps.take(self._clearings.last, name)
        cleared = None if last is None else last.until
        await self._tell_overdue(region, cleared)
        topped_up = await self._steps.take(self._evidence.top_up, region, self._now())
        if self._own >= name:
            return topped_up
        whole = wanted
        if whole is None:
            whole = next_until(cleared, self._now())
            not_before, _ = self._tries.get(name, (0.0, 0))
            if whole is None or monotonic() < not_before or not await self._counts(region, cleared):
                return topped_up
        until = min(whole, self._shorter.get(name, whole))
        goes_on = False
        try:
            await self._clerk.clear(region, until)
            goes_on = until < whole
        except TooLong as failed:
            count = partial(self._ledger.count, name)
            part = await self._steps.take(shorter, count, cleared or 0, until)
            if part is None:
                await self._failed(name, str(failed))
                return False
            # A part of it, and of that again, until there are few enough.
            self._shorter[name], goes_on = part, True
            return True
        except NotCleared as failed:
            await self._failed(name, str(failed))
            return False
        except SQLAlchemyError as error:
            await self._failed(name, f"a store failed: {failure_kind(error)}")
            return False
        finally:
            if wanted is not None and not goes_on:
                await self._steps.take(self._attempts.tried, name, wanted)
        self._tries.pop(name, None)
        self._shorter.pop(name, None)
        return topped_up or goes_on or next_until(until, self._now()) is not None

    async def _failed(self, region: str, why: str) -> None:
        _, failures = self._tries.get(region, (0.0, 0))
        wait = min(_FIRST_RETRY_SECONDS * 2**failures, _MOST_RETRY_SECONDS)
        self._tries[region] = (monotonic() + wait, min(failures + 1, 16))
        if not failures:
            _log.warning("clearing with %s failed: %s", region, why)
        await self._steps.take(self._attempts.fail, region, why, self._now())

    async def _counts(self, region: Region, cleared: int | None) -> bool:
        """Tell whether there is anything to clear with a region: it is admitted here, or there
        was use."""
        return bool(
            region.operator_id
            or cleared is not None
            or await self._steps.take(self._ledger.count, region.entity_id, 0, self._now())
        )

    async def _tell_overdue(self, region: Region, cleared: int | None) -> None:
        now = self._now()
        since = overdue_since(cleared, now)
        name = region.entity_id
        if since is None or self._told.get(name) == since:
            return
        used = await self._steps.take(self._ledger.count, name, cleared or 0, since)
        if cleared is None and not used:
            return
        await self._alert(name, region.operator_id, since, now)

    async def _tell_cut_off(self, region: str, operator_id: str) -> None:
        """Tell of uses that wait to be cleared with a region that does not stand."""
        now = self._now()
        last = await self._steps.take(self._clearings.last, region)
        cleared = None if last is None else last.until
        since = overdue_since(cleared, now)
        if since is None or self._cut_off.get(region) == since:
            return
        if await self._steps.take(self._ledger.count, region, cleared or 0, now):
            # It may have been told of while it still stood; why it is not cleared is another now.
            if self._told.get(region) != since:
                await self._alert(region, operator_id, since, now)
            await self._steps.take(self._attempts.fail, region, _NOT_STANDING, now)
            self._cut_off[region] = since

    async def _alert(self, region: str, operator_id: str, since: int, now: int) -> None:
        self._told[region] = since
        _log.error("%s is not cleared with yet: alerted", region)
        await self._steps.take(
            self._attempts.overdue, operator_id, since, now - since, OVERDUE_SECONDS, now
        )

    def _now(self) -> int:
        return self._clock.now()
