"""Watches that the store's logs still go by the keys that this process read as it started.

None is changed while one runs: whoever changes them is alone (`gateway.storage.at_work`). Should it
come about all the same, by a lock that was lost or a store that was put back, the process signs
nothing more by a key that is over, and its health says so.

A process of a version before there was that lock is at work unseen. Changed beside one, the key of
usage leaves logs of operators that this one began under the former key; nothing more is logged of those
operators' use then, which health says as well.
"""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine, select

from gateway.server.errors import key_over
from gateway.storage.background import Pace, Rounds
from gateway.storage.engines import reading
from gateway.storage.signs import Sign
from gateway.transparency.identity import known_key
from gateway.transparency.keys import LogKey
from gateway.transparency.tables import LOGS, LogId
from gateway.usage.tables import USAGE_LOGS

_PACE: Final = Pace(0.5, apart_seconds=0.5)
_OF_USAGE: Final = select(LOGS.c.public_key).where(LOGS.c.log == LogId.USAGE).scalar_subquery()
_MOST_NAMED: Final = 16
_OF_ANOTHER: Final = (
    select(USAGE_LOGS.c.operator_id)
    .join(LOGS, LOGS.c.log == USAGE_LOGS.c.log)
    .where(LOGS.c.public_key != _OF_USAGE)
    .order_by(USAGE_LOGS.c.operator_id)
    .limit(_MOST_NAMED)
)
_STUCK: Final = (
    "A usage log in the store was begun by a former key, by a process that was at work as the key was"
    " changed: nothing more is logged of its operator's use. Stop the gateway, processes of former versions too, on"
    " every host; then run `creditgate log rotate --log usage --at-once`, and start it."
)
_log = logging.getLogger(__name__)


class KeyWatch:
    """Watches ``keys``, to which more may come, in a store of evidence whose news ``sign`` shows; one
    event loop's own."""

    def __init__(self, evidence: Engine, keys: Mapping[LogId, LogKey], sign: Sign | None) -> None:
        self._evidence = evidence
        self._keys = keys
        self._ended = asyncio.Event()
        self._turned = asyncio.Event()
        self._stuck: list[str] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-keys")
        self._rounds = Rounds("log-keys", self._look, _PACE, sign=sign)

    def start(self) -> None:
        """Begin; on the event loop."""
        self._rounds.start()

    async def stop(self) -> None:
        """Watch no more."""
        await self._rounds.stop()
        self._thread.shutdown()

    async def ended(self) -> None:
        """Return once a key is over."""
        await self._ended.wait()

    def require_keys(self) -> None:
        """Raise Refused TEMPORARILY_UNAVAILABLE where a key is over."""
        if self._ended.is_set():
            raise key_over()

    @property
    def is_stuck(self) -> bool:
        """Whether nothing more can be logged of some operator's use: its log is of another key."""
        return bool(self._stuck)

    async def turned(self) -> None:
        """Return once it `is_stuck`, or is so no more."""
        self._turned.clear()
        await self._turned.wait()

    def soundness(self) -> str:
        """Return what is not well and what mends it, "" for nothing. Raises as `require_keys`."""
        self.require_keys()
        return _STUCK if self._stuck else ""

    async def _look(self) -> bool:
        loop = asyncio.get_running_loop()
        over, stuck = await loop.run_in_executor(self._thread, self._found)
        if stuck != self._stuck:
            self._stuck = stuck
            self._turned.set()
            if stuck:
                # Here alone: of its health whoever asks is told.
                _log.error("%s It is of: %s", _STUCK, ", ".join(stuck))
        for log in over:
            self._keys[log].end()
            self._ended.set()
            _log.error(
                "the store's log of %s goes by another key than this process: nothing more is signed"
                " by the former; start the gateway again",
                log.path,
            )
        return False

    def _found(self) -> tuple[list[LogId], list[str]]:
        """Return the logs whose keys are over, and were not known to be; and the operators, the first
        of many, whose logs are of another key than the store's log of usage."""
        watched = [(log, key) for log, key in [*self._keys.items()] if not key.is_over]
        with reading(self._evidence) as connection:
            over = [log for log, key in watched if known_key(connection, log) != key.verifier]
            return over, [*connection.execute(_OF_ANOTHER).scalars()]
