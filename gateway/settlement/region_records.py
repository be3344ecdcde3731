"""Records of other regions that answers charge: whom they are about, and by which line.

The ledger names no revisions of them. Each such answer is joined to what was kept of the region's
answer before it was charged, which never changes after.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from gateway.disclose.model import Line
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON, RegionChunk
from gateway.meter.model import lines_of
from gateway.storage.paging import pages


class KeptRecord(NamedTuple):
    """A record of another region as it was kept: its id, revision and subject, the region's entity
    identifier, its list price there (micro-yuan), and the id that the operator asked for it with;
    ``number`` is its place among all that the region charged with it, by their ids, from 0."""

    record_id: str
    revision: int
    subject: str
    region: str
    fee: int
    request_id: str
    number: int


class RegionRecord(NamedTuple):
    """One record of another region that an answer charges: its line here, and what was kept."""

    line_no: int
    kept: KeptRecord

    @property
    def subject(self) -> str:
        """Whom it is about."""
        return self.kept.subject


def region_records(
    connection: Connection,
    operator_id: str,
    charged: Mapping[RegionChunk, str],
    lines: Mapping[int, Line],
) -> Mapping[RegionChunk, list[RegionRecord]]:
    """Return the records that chunks charge an operator, by the lines of each (as the ledger has
    them); ``lines`` are those of the month by number.

    Where a line charges fewer than were kept, the first by their ids. Raises LookupError where it
    charges more.
    """
    kept = _kept(connection, operator_id, charged.keys())
    return {chunk: list(_those(kept[chunk], text, lines)) for chunk, text in charged.items()}


def _those(
    kept: Mapping[Line, list[KeptRecord]], text: str, lines: Mapping[int, Line]
) -> Iterable[RegionRecord]:
    taken: Counter[Line] = Counter()
    for line_no, records, _ in lines_of(text):
        line = lines[line_no]
        some = kept.get(line, [])[taken[line] : taken[line] + records]
        if len(some) < records:
            raise LookupError("the ledger charges records of another region that were not kept")
        taken[line] += records
        yield from (RegionRecord(line_no, each) for each in some)


def _kept(
    connection: Connection, operator_id: str, chunks: Collection[RegionChunk]
) -> Mapping[RegionChunk, Mapping[Line, list[KeptRecord]]]:
    """Return what was kept of the records of chunks by line, in order of their ids."""
    found: defaultdict[RegionChunk, defaultdict[Line, list[KeptRecord]]] = defaultdict(
        lambda: defaultdict(list)
    )
    numbers: Counter[RegionChunk] = Counter()
    uses = REGION_USES.c
    query = (
        select(
            uses.region_request_id,
            uses.first_subject,
            uses.own_item,
            uses.source,
            uses.region_code,
            uses.record_id,
            uses.revision,
            uses.subject,
            uses.region,
            uses.fee,
            uses.request_id,
        )
        .where(uses.operator_id == operator_id)
        .order_by(uses.record_id, uses.revision)
    )
    for some in pages({each.region_request_id for each in chunks}):
        for row in connection.execute(query.where(uses.region_request_id.in_(some))):
            chunk = RegionChunk(row[0], row[1])
            if chunk not in chunks:
                continue
            record = KeptRecord(*row[5:], number=numbers[chunk])
            numbers[chunk] += 1
            # What was never passed on is charged to nobody here.
            if record.subject != NOT_PASSED_ON:
                found[chunk][Line(*row[2:5])].append(record)
    return found
