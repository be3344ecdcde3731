"""How long the gateway was up: a beat each minute, and what its silence puts off.

Deadlines of operators are instants. One that passed while nobody could be told anything,
acknowledge, show or attest would be a finding the second the gateway is back.
"""

import logging
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.conformance.outage import Outage
from gateway.conformance.uptime_tables import BEATS
from gateway.storage.engines import reading

_BEAT_SECONDS: Final = 60
_GATEWAY: Final = "gateway"
_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_log = logging.getLogger(__name__)


class Deadlines(Protocol):
    """What is needed of `gateway.conformance.putting_off.PuttingOff`."""

    def follow(self) -> None:
        """Write down what is owed, in transactions of its own."""
        ...

    def put_off(self, connection: Connection, outage: Outage) -> None:
        """Put off, in the transaction of ``connection``, what an outage left no time for."""
        ...


class Uptime:
    """Beats for one process. Calls block; one thread at a time.

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
        last = select(BEATS.c.at).where(BEATS.c.name == _GATEWAY)
        with reading(self._evidence) as connection:
            before = connection.execute(last).scalar_one_or_none()
        if before is not None and now - before >= self._silence:
            self._deadlines.follow()
        first = _INSERT[self._evidence.dialect.name](BEATS).on_conflict_do_nothing()
        with self._evidence.begin() as connection:
            connection.execute(first, {"name": _GATEWAY, "at": now})
            outage = Outage(
                connection.execute(last.with_for_update()).scalar_one(), now, self._grace
            )
            if outage.seconds >= self._silence:
                _log.warning(
                    "the gateway was away for %d s: what operators owe is put off", outage.seconds
                )
                self._deadlines.put_off(connection, outage)
            # Back, too, where the clock was: time that was not is no outage later.
            connection.execute(update(BEATS).where(BEATS.c.name == _GATEWAY).values(at=now))
        self._beat_at = now
