"""How often retries were given another region's record again, and when last, as this region counted."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from gateway.consents.beside import rows_by
from gateway.consents.given_again import GivenAgain, together
from gateway.federation.asking.tables import REGION_REPLAYS

_R: Final = REGION_REPLAYS.c
_CHUNK: Final = (_R.operator_id, _R.request_id, _R.region, _R.first_subject)
_UseRow = Row[*tuple[Any, ...]]


class RegionAgain:
    """What retries were given again of the chunks that some records came in.

    ``uses`` are rows of `gateway.federation.asking.tables.REGION_USES`.
    """

    def __init__(self, connection: Connection, uses: Iterable[_UseRow]) -> None:
        self._of_chunk: dict[
            tuple[object, ...], list[tuple[frozenset[tuple[str, int]], GivenAgain]]
        ] = defaultdict(list)
        chunks = {_chunk_of(use) for use in uses}
        for row in rows_by(connection, select(REGION_REPLAYS), _CHUNK, chunks):
            records = frozenset(
                (record_id, number) for record_id, number in json.loads(row.records)
            )
            again = GivenAgain(row.times, row.replayed_at)
            self._of_chunk[_chunk_of(row)].append((records, again))

    def of(self, use: _UseRow) -> GivenAgain | None:
        """Return how often one of the records was given again and when last, None where it was not."""
        key = use.record_id, use.revision
        given = self._of_chunk.get(_chunk_of(use), ())
        return together([again for records, again in given if key in records])


def _chunk_of(row: _UseRow) -> tuple[str, str, str, int]:
    return row.operator_id, row.request_id, row.region, row.first_subject
