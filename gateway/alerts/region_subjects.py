"""Whom the records of other regions are about that an operator was given.

The ledger names no revisions of them: its rows are joined to what was kept of the region's answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from gateway.federation.asking.tables import REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON, RegionChunk
from gateway.storage.paging import pages


class ChunkSubjects(NamedTuple):
    """Subjects of a chunk, and the operator's own question that it answers."""

    request_id: str
    subjects: frozenset[str]


def region_subjects(
    connection: Connection, operator_id: str, chunks: Iterable[RegionChunk]
) -> Mapping[RegionChunk, ChunkSubjects]:
    """Return the subjects of those chunks of an operator that have records."""
    wanted = set(chunks)
    query = (
        select(
            REGION_USES.c.region_request_id,
            REGION_USES.c.first_subject,
            REGION_USES.c.request_id,
            REGION_USES.c.subject,
        )
        # What was never passed on is nobody's use.
        .where(
            REGION_USES.c.operator_id == operator_id,
            REGION_USES.c.subject != NOT_PASSED_ON,
        )
        .distinct()
    )
    found: defaultdict[RegionChunk, set[str]] = defaultdict(set)
    requests: dict[RegionChunk, str] = {}
    for some in pages({each.region_request_id for each in wanted}):
        rows = connection.execute(query.where(REGION_USES.c.region_request_id.in_(some)))
        for region_request_id, first, request_id, subject in rows:
            chunk = RegionChunk(region_request_id, first)
            if chunk in wanted:
                found[chunk].add(subject)
                requests[chunk] = request_id
    return {
        chunk: ChunkSubjects(requests[chunk], frozenset(subjects))
        for chunk, subjects in found.items()
    }
