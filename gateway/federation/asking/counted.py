"""For which regions a use of a consent was counted, where that limits how often it may be used.

A question is one use of its consent, whatever regions it is for, and a retry is none: so a retry may
ask those regions alone that were to be asked when the use was counted (guarantee G3). They are kept
before that, under the decision that the question is charged by: of questions at once under one id
those count whose question was charged, and a decision that comes to nothing leaves a row of no
effect.
"""

import json
from collections.abc import Collection
from typing import Final

from sqlalchemy import Engine, insert, select

from gateway.federation.asking.tables import REGIONS_COUNTED
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading

_C: Final = REGIONS_COUNTED.c


class RegionsCounted:
    """The regions kept in one records store. Calls block, and raise what SQLAlchemy raises; any
    thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, operator_id: str, decision_id: str, regions: Collection[str]) -> None:
        """Make durable for which regions a use is counted that is about to be."""
        row = {
            _C.operator_id: operator_id,
            _C.decision_id: decision_id,
            _C.regions: json.dumps(sorted(regions)),
        }
        with bounded(self._engine) as connection:
            connection.execute(insert(REGIONS_COUNTED).values(row))

    def of(self, operator_id: str, decision_id: str) -> frozenset[str]:
        """Return for which regions a use was counted, none where that was not kept."""
        query = select(_C.regions).where(
            _C.operator_id == operator_id, _C.decision_id == decision_id
        )
        with reading(self._engine) as connection:
            kept = connection.execute(query).scalar_one_or_none()
        return frozenset() if kept is None else frozenset(json.loads(kept))
