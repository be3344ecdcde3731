"""Records that regions charged and no operator was given: how many, and when that is too many.

What is lost on its way and ended before it was asked for again is owed all the same. A region may
say so of anything it was once asked for; where it is much of what it charges, somebody looks. Of what
this region itself has ended since, be it the operator, its licence or the consent, nothing is counted:
there a region that charged and then refused did what it had to.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Engine, and_, bindparam, func, select
from sqlalchemy.exc import SQLAlchemyError

from consent.model import NAME_PREFIX
from consent.sql import SqlConsents
from consent.states import EXHAUSTED, GRANTED
from creditgate.refusal import Refused
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.alerts.policy import OwedNotGiven
from gateway.alerts.raising import raise_alert
from gateway.clock import Clock
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.federation.trust.book import Region
from gateway.storage.engines import reading
from gateway.storage.paging import pages
from operators.authority import Authority

APART_SECONDS: Final = 60
"""A region's day is counted so often at most."""
_DAY_SECONDS: Final = 86_400
_HOUR_SECONDS: Final = 3_600
_OPENING: Final = frozenset({GRANTED, EXHAUSTED})
_USE: Final = REGION_USES.c
_OF_DAY: Final = (
    _USE.region == bindparam("region"),
    _USE.served_at >= bindparam("since"),
)
_EVERY: Final = select(func.count()).where(*_OF_DAY)
_ANSWER: Final = REGION_ANSWERS.c
_NEVER: Final = (
    select(_ANSWER.operator_id, _ANSWER.licence, _ANSWER.consent, func.count())
    .join(
        REGION_ANSWERS,
        and_(*(column == _USE[column.name] for column in REGION_ANSWERS.primary_key)),
    )
    .where(*_OF_DAY, _USE.subject == NOT_PASSED_ON)
    .group_by(_ANSWER.operator_id, _ANSWER.licence, _ANSWER.consent)
)
_log = logging.getLogger(__name__)


class OwedShare:
    """Counts, and raises the alert; one event loop's own.

    ``authority`` gives operators and licences as they are now; raises Refused where that is not
    known.
    """

    def __init__(
        self,
        records: Engine,
        evidence: Engine,
        policy: OwedNotGiven,
        clock: Clock,
        authority: Callable[[], Authority],
    ) -> None:
        self._authority = authority
        self._consents = SqlConsents(records)
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
        except (SQLAlchemyError, Refused) as error:
            _log.error("what is owed could not be counted: %s", type(error).__name__)

    def _look(self, region: Region, now: int) -> None:
        day = now // _DAY_SECONDS * _DAY_SECONDS
        asked = {"region": region.entity_id, "since": day}
        with reading(self._records) as connection:
            every = connection.execute(_EVERY, asked).scalar_one()
            never = [_Never(*row) for row in connection.execute(_NEVER, asked)]
        counted = self._suspicious(never, now)
        threshold = self._policy.threshold(every)
        if counted < threshold:
            return
        with self._evidence.begin() as connection:
            raise_alert(
                connection,
                region.operator_id or region.client_id,
                AlertKind.ALERT_KIND_OWED_NOT_GIVEN,
                hour=day // _HOUR_SECONDS,
                purpose=0,
                started_at=day,
                counted=counted,
                threshold=threshold,
                now=now,
            )

    def _suspicious(self, never: Sequence["_Never"], now: int) -> int:
        """Return how many records were given to nobody though this region had ended nothing.

        A consent is passed over where it opens nothing, or cannot be read."""
        authority = self._authority()
        names = {each.consent.removeprefix(NAME_PREFIX) for each in never if each.consent}
        opening = {
            NAME_PREFIX + consent_id
            for some in pages(names)
            for consent_id, consent in self._consents.readable(some).items()
            if consent.state in _OPENING
        }
        return sum(
            each.records
            for each in never
            if _may_ask(authority, each, now) and (not each.consent or each.consent in opening)
        )


class _Never(NamedTuple):
    """How many records were given to nobody of what an operator asked for by a licence, under a
    consent's name, "" without one."""

    operator_id: str
    licence: str
    consent: str
    records: int


def _may_ask(authority: Authority, asked: _Never, now: int) -> bool:
    operator = authority.operators.get(asked.operator_id)
    licence = authority.licences.get(asked.licence)
    return (
        operator is not None
        and operator.state == OperatorState.OPERATOR_STATE_ACTIVE
        and licence is not None
        and licence.in_force(now)
    )
