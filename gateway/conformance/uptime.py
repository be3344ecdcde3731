"""How long the gateway was up: a beat each minute, and what its silence puts off.

Deadlines of operators are instants. One that passed while nobody could be told anything,
acknowledge, show or attest would be a finding the second the gateway is back.
"""

import logging
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, delete, insert, select, update

from gateway.clock import Clock
from gateway.conformance.outage import Outage
from gateway.conformance.uptime_tables import BEATS, OUTAGES
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT
from gateway.storage.writes import wrote

_BEAT_SECONDS: Final = 60
_GATEWAY: Final = "gateway"
_LAST: Final = select(BEATS.c.at).where(BEATS.c.name == _GATEWAY)
_log = logging.getLogger(__name__)


class Deadlines(Protocol):
    """What is needed of `gateway.conformance.putting_off.PuttingOff`."""

    def follow(self) -> None:
        """Write down what is owed, in transactions of its own."""
        ...

    def put_off(self, connection: Connection, outage: Outage) -> None:
        """Put off, in the transaction of ``connection``, what an outage left no time for."""
        ...


class Awake(Protocol):
    """What is needed of `Uptime` by who compares an operator's deadline with the time."""

    def wake(self, now: int) -> None:
        """Put off what is due where the gateway was away until ``now`` (seconds, UTC)."""
        ...


class WakingClock:
    """The time for who compares deadlines of operators with it, sets or shows them: whenever it is
    asked for, what is due is put off first where the gateway was away. Calls block."""

    def __init__(self, clock: Clock, awake: Awake) -> None:
        self._clock = clock
        self._awake = awake

    def now(self) -> int:
        """Return the time (seconds, UTC). Raises what the stores raise."""
        now = self._clock.now()
        self._awake.wake(now)
        return now


def outages_since(evidence: Connection, since: int) -> list[Outage]:
    """Return the outages that ended after ``since`` (seconds, UTC), in order of time."""
    query = select(OUTAGES.c.began, OUTAGES.c.ended, OUTAGES.c.grace).where(OUTAGES.c.ended > since)
    return [Outage(*row) for row in evidence.execute(query.order_by(OUTAGES.c.ended))]


class Uptime:
    """Beats for one process. Calls block; of `step` one thread at a time.

    A silence of ``silence`` seconds is an outage: also one of a host that was suspended, of a
    store that was out of reach, or of a store set back to an older copy of it. Of all processes
    on a store one finds it, and nobody else beats before all is put off.
    """

    def __init__(self, evidence: Engine, deadlines: Deadlines, silence: int, grace: int) -> None:
        self._evidence = evidence
        self._deadlines = deadlines
        self._silence = silence
        self._grace = grace
        self._beat_at = 0

    def step(self, now: int) -> None:
        """Tell that the gateway is up at ``now`` (seconds, UTC), after what is due was put off.

        Until it has returned no deadline may be held to have passed. Raises what the stores
        raise.
        """
        if 0 <= now - self._beat_at < min(_BEAT_SECONDS, self._silence):
            return
        if self._was_away(now):
            self._deadlines.follow()
        self._beat(now)
        self._beat_at = now

    def wake(self, now: int) -> None:
        """Put off what is due where the gateway was away until ``now`` (seconds, UTC); for who is
        about to compare a deadline of an operator with it, and does not enforce. One read.

        A host that was suspended serves again before anybody has enforced. Raises what the stores
        raise.
        """
        if self._was_away(now):
            self._deadlines.follow()
            self._beat(now)

    def _was_away(self, now: int) -> bool:
        with reading(self._evidence) as connection:
            before = connection.execute(_LAST).scalar_one_or_none()
        return before is not None and now - before >= self._silence

    def _beat(self, now: int) -> None:
        """Put off, once, what an outage until ``now`` left no time for, and tell that it is up."""
        first = INSERT[self._evidence.dialect.name](BEATS).on_conflict_do_nothing()
        with bounded(self._evidence, LONG_SECONDS) as connection:
            connection.execute(first, {"name": _GATEWAY, "at": now})
            outage = Outage(
                connection.execute(_LAST.with_for_update()).scalar_one(), now, self._grace
            )
            if outage.seconds >= self._silence:
                _log.warning(
                    "the gateway was away for %d s: what operators owe is put off", outage.seconds
                )
                self._deadlines.put_off(connection, outage)
                _keep(connection, outage)
            # Back, too, where the clock was: time that was not is no outage later.
            connection.execute(update(BEATS).where(BEATS.c.name == _GATEWAY).values(at=now))


def _keep(connection: Connection, outage: Outage) -> None:
    # Where the clock was set back there may be one that ended then.
    same = OUTAGES.c.ended == outage.ended
    connection.execute(delete(OUTAGES).where(same))
    connection.execute(insert(OUTAGES).values(outage._asdict()))
    wrote(connection, OUTAGES, [(outage.ended,)])
