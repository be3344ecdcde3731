"""The logger: keeps the disclosure log up to the disclosure, a little behind it.

Nothing that is published waits for it; what is to be proved waits for it to come so far
(`gateway.transparency.progress`).
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from gateway.clock import Clock
from gateway.storage.background import BackgroundWork, Pace, nobody
from gateway.storage.engines import reading
from gateway.storage.signs import Sign, any_of
from gateway.storage.turn import LOGGING
from gateway.transparency.map_rows import rows_of
from gateway.transparency.writer import DisclosureWriter

TICK_SECONDS: Final = 0.2


class DisclosureLogger:
    """Writes where it is this process's turn; one event loop's own.

    ``sign`` shows news of the disclosure and of the catalogue; that time alone changes the
    map is seen here. ``stepped`` is called after each round, on the event loop.
    """

    def __init__(
        self,
        writer: DisclosureWriter,
        evidence: Engine,
        clock: Clock,
        tick_seconds: float = TICK_SECONDS,
        sign: Sign | None = None,
        stepped: Callable[[], object] = nobody,
    ) -> None:
        self._writer = writer
        self._evidence = evidence
        self._clock = clock
        self._rows = rows_of(evidence.dialect)
        self._holds_until = 0
        self._work = BackgroundWork(
            evidence,
            LOGGING,
            self._write,
            pace=Pace(tick_seconds, apart_seconds=tick_seconds),
            sign=any_of(sign, self._is_over),
            stepped=stepped,
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

    def nudge(self) -> None:
        """Tell that there may be events to log; on the event loop."""
        self._work.nudge()

    def _write(self) -> bool:
        more = self._writer.step(self._clock.now())
        with reading(self._evidence) as connection:
            self._holds_until = self._rows.head(connection).holds_until
        return more

    def _is_over(self) -> bool:
        """Tell whether the map holds no longer, by time."""
        return self._clock.now() >= self._holds_until
