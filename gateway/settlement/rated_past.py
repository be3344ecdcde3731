"""What was used and closed, held still while something is dated that use is rated or shared by.

What is put into force counts from an instant after all use and all closings. Between finding that
instant and writing it no process may meter a use or close a month, whatever its clock says: else
the change would count for what came before it.
"""

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from gateway.clock import Clock
from gateway.disclose.store import keep_use_out
from gateway.meter.tables import USAGE, USAGE_HEADS
from gateway.settle.entry_into_force import Present
from gateway.settle.month import month_named
from gateway.settlement.store import newest_closed, take_turn
from gateway.storage.engines import Engines
from operators.sql import SqlAuthorityLog


class SqlRatedPast:
    """`gateway.settle.views.RatedPast` over the stores of one installation."""

    def __init__(self, engines: Engines, clock: Clock) -> None:
        self._engines = engines
        self._log = SqlAuthorityLog(engines.authority)
        self._clock = clock

    @contextmanager
    def held(self, operator_id: str = "") -> Generator[Present]:
        """Give the present; see the port.

        What is written meanwhile must be written to another store: these are not to be changed.
        """
        # The ledger last: calls wait while it is held.
        with self._engines.evidence.begin() as closings:
            take_turn(closings)
            month = month_named(newest_closed(closings))
            changed_at = self._log.newest_changed_at()
            with self._engines.records.begin() as ledger:
                keep_use_out(ledger)
                yield Present(
                    now=self._clock.now(),
                    used_at=_newest_use(ledger, operator_id),
                    open_from=0 if month is None else month.until,
                    changed_at=changed_at,
                )


def _newest_use(ledger: Connection, operator_id: str) -> int:
    """Return when the newest use was served (seconds, UTC), 0 before the first."""
    newest = (
        select(func.max(USAGE.c.served_at))
        .where(USAGE.c.operator_id == USAGE_HEADS.c.operator_id)
        .scalar_subquery()
    )
    query = select(func.max(newest))
    if operator_id:
        query = query.where(USAGE_HEADS.c.operator_id == operator_id)
    return ledger.execute(query.select_from(USAGE_HEADS)).scalar_one() or 0
