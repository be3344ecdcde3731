"""What happened to consents, of long histories the beginning and the end."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from consent.model import ConsentChange
from consent.tables import CONSENT_CHANGE


@dataclass(frozen=True, slots=True)
class History:
    """The changes of a consent in order of commit: its ``first`` ones, among them its request and
    answer, and its ``last`` ones, among them its end; ``left_out`` counts those between."""

    first: tuple[ConsentChange, ...] = ()
    last: tuple[ConsentChange, ...] = ()
    left_out: int = 0

    @property
    def told(self) -> tuple[ConsentChange, ...]:
        """All but what is left out."""
        return self.first + self.last


def histories(
    connection: Connection, consent_ids: Collection[str], limit: int
) -> dict[str, History]:
    """Return the changes of each of these consents, of one that has more than ``limit``, an even
    number, as many of the first as of the last."""
    own = CONSENT_CHANGE.c.consent_id
    place = (
        func.row_number().over(partition_by=own, order_by=CONSENT_CHANGE.c.sequence).label("place")
    )
    numbered = (
        select(CONSENT_CHANGE, place, func.count().over(partition_by=own).label("all_of_it"))
        .where(CONSENT_CHANGE.c.consent_id.in_(consent_ids))
        .subquery()
    )
    half = limit // 2
    query = (
        select(numbered)
        .where((numbered.c.place <= half) | (numbered.c.place > numbered.c.all_of_it - half))
        .order_by(numbered.c.sequence)
    )
    first: dict[str, list[ConsentChange]] = defaultdict(list)
    last: dict[str, list[ConsentChange]] = defaultdict(list)
    counts: dict[str, int] = {}
    for row in connection.execute(query).mappings():
        change = ConsentChange.model_validate(
            {each.name: row[each.name] for each in CONSENT_CHANGE.c}
        )
        (first if row["place"] <= half else last)[change.consent_id].append(change)
        counts[change.consent_id] = row["all_of_it"]
    return {
        each: History(
            tuple(first[each]), tuple(last[each]), count - len(first[each]) - len(last[each])
        )
        for each, count in counts.items()
    }
