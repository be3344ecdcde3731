"""Who was given a record of another region here, and by what decisions."""

from typing import Any, Final

from sqlalchemy import Engine, Row, and_, select

from gateway.audit.record_steps import RecordSteps
from gateway.audit.steps import Source
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.meter.model import ANSWER
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading

_U: Final = REGION_USES.c
_CHARGED_BY: Final = and_(
    USAGE.c.operator_id == _U.operator_id,
    USAGE.c.request_id == _U.region_request_id,
    USAGE.c.chunk == _U.first_subject,
    USAGE.c.kind == ANSWER,
)


class RegionRecordSteps:
    """Reads what became here of records that other regions disclose. Calls block."""

    def __init__(self, records: Engine, steps: RecordSteps) -> None:
        self._records = records
        self._steps = steps

    def is_known(self, region: str, record_id: str) -> bool:
        """Tell whether anybody here was ever given a record of ``region``, an entity identifier."""
        query = select(_U.record_id).where(*_of(region, record_id)).limit(1)
        with reading(self._records) as connection:
            return connection.execute(query).first() is not None

    def given(self, region: str, record_id: str, from_: int, until: int) -> Source:
        """Return the source of every decision by which the record was given within [from_, until)
        (seconds, UTC), each followed by the record; raises as `RecordSteps.served`."""
        query = (
            select(USAGE.c.sequence, USAGE.c.operator_id, USAGE.c.decision_id, USAGE.c.served_at)
            .join(REGION_USES, _CHARGED_BY)
            .where(*_of(region, record_id), USAGE.c.served_at >= from_, USAGE.c.served_at < until)
            .distinct()
        )
        with reading(self._records) as connection:
            answers: list[Row[*tuple[Any, ...]]] = list(connection.execute(query))
        return self._steps.of_answers(answers, record_id, region)


def _of(region: str, record_id: str) -> tuple[Any, ...]:
    return _U.region == region, _U.record_id == record_id, _U.subject != NOT_PASSED_ON
