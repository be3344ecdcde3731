"""Watches that the store's logs still go by the keys that this process read as it started.

None is changed while one runs: whoever changes them is alone (`gateway.storage.at_work`). Should it
come about all the same, by a lock that was lost or a store that was put back, the process signs
nothing more by a key that is over, and its health says so.
"""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine

from gateway.server.errors import key_over
from gateway.storage.background import Pace, Rounds
from gateway.storage.engines import reading
from gateway.storage.signs import Sign
from gateway.transparency.identity import known_key
from gateway.transparency.keys import LogKey
from gateway.transparency.tables import LogId

_PACE: Final = Pace(0.5, apart_seconds=0.5)
_log = logging.getLogger(__name__)


class KeyWatch:
    """Watches ``keys``, to which more may come, in a store of evidence whose news ``sign`` shows; one
    event loop's own."""

    def __init__(self, evidence: Engine, keys: Mapping[LogId, LogKey], sign: Sign | None) -> None:
        self._evidence = evidence
        self._keys = keys
        self._ended = asyncio.Event()
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

    async def _look(self) -> bool:
        loop = asyncio.get_running_loop()
        for log in await loop.run_in_executor(self._thread, self._over):
            self._keys[log].end()
            self._ended.set()
            _log.error(
                "the store's log of %s goes by another key than this process: nothing more is signed"
                " by the former; start the gateway again",
                log.path,
            )
        return False

    def _over(self) -> list[LogId]:
        """Return the logs whose keys are over, and were not known to be."""
        watched = [(log, key) for log, key in [*self._keys.items()] if not key.is_over]
        with reading(self._evidence) as connection:
            return [log for log, key in watched if known_key(connection, log) != key.verifier]
