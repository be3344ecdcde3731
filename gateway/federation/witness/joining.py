"""Joining: whether a checkpoint another witness saw is of the history cosigned here.

Two checkpoints of two sizes tell nothing by themselves. The log's own files do: of one history
they make both roots, of two they are the evidence (`sdk.histories`). A log that cannot be read
is tried again; that it will not be read proves nothing, and is told in the log of the process.
"""

import asyncio
import logging
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Final

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import open_checkpoint
from gateway.clock import Clock
from gateway.federation.witness.gossip import Gossip
from gateway.federation.witness.logs import RegionLog
from gateway.federation.witness.witness import Witness
from gateway.storage.background import Pace, Rounds
from sdk.histories import HistoryUnknown, PublishedLog, compared

PATIENCE_SECONDS: Final = 2
"""So long a checkpoint is waited for to be shown here too: as a rule it is."""

_MOST_OF_A_LOG: Final = 8
_MOST_TRIES: Final = 20
_PACE: Final = Pace(1.0, apart_seconds=1.0, share=0.2)
_LOG_PATH: Final = "/log/disclosure"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    log: RegionLog
    note: str
    told_by: str
    since: int
    tries: int = 0


class Joiner:
    """Joins what this process was told of; one event loop's own, but for `add`."""

    def __init__(self, witness: Witness, clock: Clock) -> None:
        self._witness = witness
        self._clock = clock
        self._gossip: Gossip | None = None
        self._waiting: dict[tuple[str, int, bytes], _Waiting] = {}
        self._changing = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="witness-joining")
        self._rounds = Rounds("witness-joining", self._round, _PACE)

    def start(self, gossip: Gossip) -> None:
        """Begin to work; what is found goes to ``gossip``."""
        self._gossip = gossip
        self._rounds.start()

    async def stop(self) -> None:
        """Finish what is under way."""
        await self._rounds.stop()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    @property
    def waiting(self) -> int:
        """How many checkpoints are to be joined yet."""
        return len(self._waiting)

    def add(self, log: RegionLog, note: str, told_by: str) -> None:
        """Take a checkpoint of ``log``, whose signature verified; any thread.

        Of one log a few wait at most: those told of since are of the same history or not.
        """
        checkpoint = open_checkpoint(note, log.key)
        name = str(log.key)
        key = (name, checkpoint.size, checkpoint.root)
        with self._changing:
            waiting = sum(other == name for other, _, _ in self._waiting)
            if key not in self._waiting and waiting < _MOST_OF_A_LOG:
                self._waiting[key] = _Waiting(log, note, told_by, self._clock.now())

    async def _round(self) -> bool:
        with self._changing:
            due = [
                (key, each)
                for key, each in self._waiting.items()
                if self._clock.now() >= each.since + PATIENCE_SECONDS
            ]
        loop = asyncio.get_running_loop()
        for key, each in due:
            if await loop.run_in_executor(self._thread, self._is_done, each):
                with self._changing:
                    self._waiting.pop(key, None)
        return False

    def _is_done(self, waiting: _Waiting) -> bool:
        assert self._gossip is not None
        now, log = self._clock.now(), waiting.log
        if self._gossip.compare_held(log, waiting.note, waiting.told_by, now) is not None:
            return True
        last = self._witness.last_of(log.key)
        if last is None:
            return True
        try:
            files = PublishedLog(
                log.region.issuer.rstrip("/") + _LOG_PATH,
                log.key,
                ssl.create_default_context(cadata=log.region.roots.decode("ascii")),
            )
            try:
                found = compared(last.note, waiting.note, log.key, files)
            finally:
                files.close()
        except (HistoryUnknown, ProofInvalid, ssl.SSLError, ValueError) as error:
            waiting.tries += 1
            if waiting.tries == _MOST_TRIES:
                _log.error(
                    "two checkpoints of %s, cosigned here and seen by %s, cannot be joined: %s",
                    log.key.name,
                    waiting.told_by,
                    error,
                )
            return waiting.tries >= _MOST_TRIES
        self._gossip.accuse(waiting.told_by, found, now)
        return True
