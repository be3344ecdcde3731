"""Records that regions charged and no operator was given: how many, and when that is too many.

What is lost on its way and ended before it was asked for again is owed all the same. A region may
say so of anything it was once asked for; where it is much of what it charges, somebody looks. What this
region itself kept back, or let nobody have any more when the other told of it, is not counted: as it
stood then, since most of what a consent opens ends some day.
"""

import asyncio
import logging
from typing import Final

from sqlalchemy import Engine, and_, case, func, select
from sqlalchemy.exc import SQLAlchemyError

from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.policy import OwedNotGiven
from gateway.alerts.raising import raise_alert
from gateway.clock import Clock
from gateway.failure_kind import failure_kind
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.federation.trust.book import Region
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading

APART_SECONDS: Final = 60
"""A region's day is counted so often at most."""
_DAY_SECONDS: Final = 86_400
_HOUR_SECONDS: Final = 3_600
_log = logging.getLogger(__name__)


class OwedShare:
    """Counts, and raises the alert; one event loop's own."""

    def __init__(
        self, records: Engine, evidence: Engine, policy: OwedNotGiven, clock: Clock
    ) -> None:
        self._records = records
        self._evidence = evidence
        self._policy = policy
        self._clock = clock
        self._counted_at: dict[str, int] = {}

    async def look(self, region: Region) -> None:
        """Count what ``region`` charged today, and raise an alert where too much of it was given to
        nobody: after more of that was kept."""
        now = self._clock.now()
        if 0 <= now - self._counted_at.get(region.entity_id, -APART_SECONDS) < APART_SECONDS:
            return
        self._counted_at[region.entity_id] = now
        try:
            await asyncio.to_thread(self._look, region, now)
        except SQLAlchemyError as error:
            _log.error("what is owed could not be counted: %s", failure_kind(error))

    def _look(self, region: Region, now: int) -> None:
        day = now // _DAY_SECONDS * _DAY_SECONDS
        row = REGION_USES.c
        on_its_word = and_(row.subject == NOT_PASSED_ON, row.withheld.is_not(True))
        query = select(func.count(), func.sum(case((on_its_word, 1), else_=0))).where(
            row.region == region.entity_id, row.served_at >= day
        )
        with reading(self._records) as connection:
            every, never = connection.execute(query).one()
        threshold = self._policy.threshold(every)
        if (never or 0) < threshold:
            return
        with bounded(self._evidence) as connection:
            raise_alert(
                connection,
                region.operator_id or region.client_id,
                AlertKind.ALERT_KIND_OWED_NOT_GIVEN,
                hour=day // _HOUR_SECONDS,
                purpose=0,
                started_at=day,
                counted=int(never),
                threshold=threshold,
                now=now,
            )
