"""Entries of use for the records of other regions that answers charge: what a total is drilled down
to, as own records are."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from gateway.disclose.lines import lines_numbered
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.uses import RegionChunk
from gateway.meter.model import lines_of
from gateway.meter.reader import ChargedElsewhere, Entry
from gateway.settle.usage import MeteredEntry
from gateway.settlement.region_records import region_records
from gateway.storage.paging import pages


class RegionEntries:
    """`gateway.meter.reader.Elsewhere` of what was kept. Calls block; any thread."""

    def entries(
        self, connection: Connection, operator_id: str, answers: Collection[ChargedElsewhere]
    ) -> Mapping[ChargedElsewhere, list[Entry]]:
        """Return the records that answers of an operator charge, of each in order of their ids.

        Raises LookupError where the ledger charges records that were not kept.
        """
        chunks = {each: RegionChunk(each.request_id, each.chunk) for each in answers}
        texts = {chunk: each.lines for each, chunk in chunks.items()}
        lines = lines_numbered(
            connection, {line.line_no for text in texts.values() for line in lines_of(text)}
        )
        records = region_records(connection, operator_id, texts, lines)
        consents = _consents(connection, operator_id, texts.keys())
        return {
            each: [
                Entry(
                    line_no,
                    MeteredEntry(
                        kept.record_id,
                        kept.revision,
                        *lines[line_no],
                        0,
                        "",
                        home=kept.region,
                        number=kept.number,
                        consent=consents.get(chunk, ""),
                        asked_as=kept.request_id,
                    ),
                )
                for line_no, kept in sorted(records[chunk], key=lambda record: record.kept.number)
            ]
            for each, chunk in chunks.items()
        }

    def charged_as(
        self, connection: Connection, operator_id: str, request_id: str
    ) -> Collection[str]:
        """Return the ids that other regions' answers to a request of the operator are charged by."""
        its = REGION_USES.c
        # Each once is seen to here: for DISTINCT SQLite reads all of the operator by another index.
        query = select(its.region_request_id).where(
            its.operator_id == operator_id, its.request_id == request_id
        )
        return set(connection.execute(query).scalars())


def _consents(
    connection: Connection, operator_id: str, chunks: Collection[RegionChunk]
) -> dict[RegionChunk, str]:
    """Return the consents that chunks were given under, by name."""
    own = REGION_ANSWERS.c
    query = select(own.region_request_id, own.first_subject, own.consent).where(
        own.operator_id == operator_id, own.consent != ""
    )
    return {
        RegionChunk(row[0], row[1]): row[2]
        for some in pages({each.region_request_id for each in chunks})
        for row in connection.execute(query.where(own.region_request_id.in_(some)))
    }
