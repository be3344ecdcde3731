"""The clerk: writes down after the fact what became of consents, and keeps their indexes.

Nothing that is served waits for it: time, use and authority act on a consent at the
instant (`consent.states`, `consent.rules`). Of all processes on a store one works at a
time; each step takes up where the last one, of whatever process, left off.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, thread_time
from typing import Final, NamedTuple

from sqlalchemy import Engine

from consent.connections import writing
from consent.lives import begin
from consent.model import ConsentChange
from consent.sql import SqlConsents
from consent.states import GRANTED, REVOKED
from gateway.clock import Clock
from gateway.consents import comings
from gateway.consents.followed import (
    AUTHORITY,
    AUTHORITY_SETTLED,
    LIVES,
    REVOCATIONS,
    come_further,
    places,
)
from gateway.consents.past_failing import PastFailing
from gateway.consents.past_unreadable import PastUnreadable
from gateway.consents.subject_uses import SubjectUses
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.signs import Sign, any_of
from gateway.storage.turn import CONSENTS
from operators.log import AuthorityLog
from operators.model import OPERATOR

TICK_SECONDS: Final = 1.0
_DUE_SECONDS: Final = 2
"""What time alone has ended is written down so late at most."""
_INDEXING_SHARE: Final = 0.03
"""Share of a processor's time that indexing may take."""
_LATE_SECONDS: Final = 5
"""For so long a process may still act on authority as it was before a change; a lease is
shorter (`gateway.config.GatewayConfig.lease_seconds`)."""
_AT_ONCE: Final = 200
_MOST_ROUNDS: Final = 10
_CHANGES_AT_ONCE: Final = 1_000
_FOLLOWED: Final = (AUTHORITY, AUTHORITY_SETTLED, REVOCATIONS, LIVES)


class _Stand(NamedTuple):
    """Where a round begins: how far each log was followed, and how far that of consents' changes
    has come."""

    followed: Mapping[str, int]
    changes: int


class ConsentClerk:
    """Works in a thread of its own from `start` to `stop`.

    ``operators`` gives the ids of all operators and raises Refused when they are not
    known; ``end_grants`` ends what OAuth grants rest on a consent, given its name. ``sign``
    shows news of consents, of the ledger and of authority.
    """

    def __init__(
        self,
        consents: SqlConsents,
        engine: Engine,
        log: AuthorityLog,
        operators: Callable[[], Iterable[str]],
        end_grants: Callable[[str], object],
        clock: Clock,
        tick_seconds: float = TICK_SECONDS,
        sign: Sign | None = None,
    ) -> None:
        self._consents = consents
        self._engine = engine
        self._log = log
        self._operators = operators
        self._endings = PastFailing(end_grants)
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._ends = PastUnreadable(consents.due, consents.settle)
        self._lives = PastUnreadable(consents.lives_due, consents.look)
        self._uses = SubjectUses(engine)
        self._to_index: deque[str] = deque()
        self._index_at = float("-inf")
        self._stand: _Stand | None = None
        self._work = BackgroundWork(
            engine,
            CONSENTS,
            self._begin_round,
            self._settle,
            self._follow,
            self._withdraw,
            self._watch_lives,
            self._index,
            pace=Pace(tick_seconds, apart_seconds=tick_seconds),
            sign=any_of(sign, self._due),
        )

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self._work.name

    def busy_seconds(self) -> float:
        """Return for how long it has been at the step it is at; 0 between steps."""
        return self._work.busy_seconds()

    async def start(self) -> None:
        """Begin to work."""
        await self._work.start()

    async def stop(self) -> None:
        """Finish what is under way and leave the turn to others."""
        await self._work.stop()

    def _is_stopping(self) -> bool:
        return self._work.stopping

    def _due(self) -> object:
        """Show that time has passed, or that some uses are still to be indexed."""
        return object() if self._to_index else self._clock.now() // _DUE_SECONDS

    def _begin_round(self) -> None:
        self._stand = None

    def _standing(self) -> _Stand:
        """Return where this round began; each step that needs it raises what the store raises."""
        if self._stand is None:
            # In this order: what is changed between is told by the next round.
            with reading(self._engine) as connection:
                followed = places(connection, _FOLLOWED)
            self._stand = _Stand(followed, self._consents.head())
        return self._stand

    def _changes_behind(self, at: int) -> Sequence[ConsentChange]:
        """Return the next changes of consents behind one that was followed to."""
        if self._standing().changes == at:
            return ()
        return self._consents.changes(after=at, limit=_CHANGES_AT_ONCE)

    def _settle(self) -> None:
        """Write the end of consents that time or use has ended."""
        for _ in range(_MOST_ROUNDS):
            if not self._ends.some(self._clock.now(), _AT_ONCE, self._is_stopping):
                return

    def _follow(self) -> None:
        """Let consents go the way of their operators: each change once, in order, so that
        subjects are told of all.

        The newest of an operator is gone through again until no process can act on what was
        before it: a consent may be granted in the last moment.
        """
        followed = self._standing().followed
        seen, settled, head = followed[AUTHORITY], followed[AUTHORITY_SETTLED], self._log.head()
        if head == settled:
            return
        changes = self._log.history(kind=OPERATOR, id="", after=settled, limit=_CHANGES_AT_ONCE)
        now = self._clock.now()
        newest = {change.id: change for change in changes}
        for change in changes:
            is_newest = newest[change.id] is change
            if change.sequence <= seen and not is_newest:
                continue
            for _ in comings.follow(self._consents, change, now, is_newest=is_newest):
                if self._work.stopping:
                    return
            # One by one: what was gone through is not told again, whenever this ends.
            self._come_further(AUTHORITY, seen, change.sequence)
        if changes:
            # What has just become of consents is for the steps behind this one.
            self._begin_round()
        late = [change for change in changes if change.changed_at > now - _LATE_SECONDS]
        if late:
            done = late[0].sequence - 1
        else:
            done = changes[-1].sequence if len(changes) == _CHANGES_AT_ONCE else head
        self._come_further(AUTHORITY_SETTLED, settled, done)

    def _withdraw(self) -> bool:
        """End what grants rest on revoked consents, should whoever revoked be cut off."""
        at = self._standing().followed[REVOCATIONS]
        changes = self._changes_behind(self._endings.begin(at))
        revoked = (
            (each.sequence, f"consents/{each.consent_id}" if each.state == REVOKED else None)
            for each in changes
        )
        try:
            return self._endings.some(revoked, self._is_stopping)
        finally:
            self._come_further(REVOCATIONS, at, self._endings.done)

    def _watch_lives(self) -> None:
        """Open the duty to remove copies whose data life is over, though the consent lives on."""
        now = self._clock.now()
        changes = self._changes_behind(self._standing().followed[LIVES])
        if changes:
            granted = {change.consent_id for change in changes if change.state == GRANTED}
            with writing(self._engine) as connection:
                begin(connection, granted, now)
                come_further(connection, LIVES, changes[-1].sequence)
        # So many at a time: short lives must not keep the clerk from all else.
        self._lives.some(now, _AT_ONCE, self._is_stopping)

    def _index(self) -> None:
        """Index uses by subject, as far as its share of the time goes."""
        began, worked = monotonic(), thread_time()
        if began < self._index_at:
            return
        self._to_index = self._to_index or deque(self._operators())
        until = began + _INDEXING_SHARE * self._tick_seconds
        while self._to_index and monotonic() < until and not self._work.stopping:
            operator_id = self._to_index.popleft()
            if self._uses.index_more(operator_id):
                self._to_index.append(operator_id)
        # The last of them may have taken longer. Waiting for a busy processor is no work.
        self._index_at = began + (thread_time() - worked) / _INDEXING_SHARE

    def _come_further(self, name: str, at: int, done: int) -> None:
        if done > at:
            with bounded(self._engine) as connection:
                come_further(connection, name, done)
