"""What is read of the duties to remove what was served under consents."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import Engine, Select, func, or_, select

from consent.connections import reader
from consent.removals import Duties, Owed, Removal, is_due, removal_of
from consent.tables import CONSENT_REMOVAL

_ROW = CONSENT_REMOVAL.c


class RemovalQueries:
    """What is read of the duties of one store. Calls block and take no lock.

    The engine must be as `consent.connections` says.
    """

    def __init__(self, engine: Engine) -> None:
        self._reader = reader(engine)

    def removals(self, consent_ids: Collection[str]) -> dict[str, Removal]:
        """Return the removals owed for these consents, as far as any are: of several for one that
        which is to be reported first, the last where all are."""
        return {
            consent_id: its.first for consent_id, its in self.duties(consent_ids, limit=1).items()
        }

    def duties(self, consent_ids: Collection[str], *, limit: int) -> dict[str, Duties]:
        """Return all that is owed for these consents, as far as anything is, the newest ``limit``
        duties of each."""
        rows: dict[str, list[Any]] = defaultdict(list)
        with self._reader.connect() as connection:
            for row in connection.execute(_newest(consent_ids, limit)):
                rows[row.consent_id].append(row)
        return {consent_id: _duties(some, limit) for consent_id, some in rows.items()}

    def duty(self, consent_id: str, keep_until: int) -> Removal | None:
        """Return the duty for a consent that is about a copy whose data life ends at
        ``keep_until`` (seconds, UTC); None where there is none yet."""
        query = (
            select(CONSENT_REMOVAL)
            .where(_ROW.consent_id == consent_id, _ROW.life_until >= keep_until)
            .order_by(_ROW.life_until)
            .limit(1)
        )
        with self._reader.connect() as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else removal_of(found)

    def acknowledged(self, consent_id: str, *, after: int, limit: int) -> tuple[Removal, ...]:
        """Return up to ``limit`` removals for a consent that were acknowledged, of copies whose
        data life was over after ``after`` (seconds, UTC), in that order."""
        query = (
            select(CONSENT_REMOVAL)
            .where(
                _ROW.consent_id == consent_id,
                _ROW.acknowledged_at.is_not(None),
                _ROW.life_until > after,
            )
            .order_by(_ROW.life_until)
            .limit(limit)
        )
        with self._reader.connect() as connection:
            return tuple(map(removal_of, connection.execute(query)))

    def owed(self, operator_id: str, now: int) -> Owed:
        """Return what an operator has still to acknowledge at ``now`` (seconds, UTC)."""
        query = select(
            func.count(), func.min(_ROW.deadline), func.count().filter(is_due(now))
        ).where(_ROW.operator_id == operator_id, _ROW.acknowledged_at.is_(None))
        with self._reader.connect() as connection:
            return Owed(*connection.execute(query).one())


def _newest(consent_ids: Collection[str], limit: int) -> Select[*tuple[Any, ...]]:
    """Return the query for the newest duties of each of these consents, with how many there are,
    and for that which is to be reported first."""
    of_one = _ROW.consent_id
    is_open = _ROW.acknowledged_at.is_(None)
    numbered = (
        select(
            CONSENT_REMOVAL,
            func.row_number()
            .over(partition_by=of_one, order_by=_ROW.life_until.desc())
            .label("place"),
            func.count().over(partition_by=of_one).label("all_of_it"),
            func.count().filter(is_open).over(partition_by=of_one).label("open_of_it"),
            func.min(_ROW.life_until).filter(is_open).over(partition_by=of_one).label("first_open"),
        )
        .where(_ROW.consent_id.in_(consent_ids))
        .subquery()
    )
    return (
        select(numbered)
        .where(or_(numbered.c.place <= limit, numbered.c.life_until == numbered.c.first_open))
        .order_by(numbered.c.life_until)
    )


def _duties(rows: list[Any], limit: int) -> Duties:
    listed = tuple(removal_of(row) for row in rows if row.place <= limit)
    newest = rows[-1]
    first = next((row for row in rows if row.life_until == row.first_open), newest)
    return Duties(listed, newest.all_of_it - len(listed), newest.open_of_it, removal_of(first))
