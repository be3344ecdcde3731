"""The uses behind a line of a statement: from the total down to the record. Calls block."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from creditgate.v1.usage_service_pb2 import StatementUse
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.disclose.tables import REVISIONS
from gateway.meter.model import REVERSAL, unpack_entries
from gateway.meter.tables import USAGE
from gateway.settle.answer import usage_entries
from gateway.settle.month import Month
from gateway.settle.usage import MeteredAnswer, UsageReader
from gateway.storage.engines import reading
from gateway.storage.paging import pages

_MOST_LOOKED_AT: Final = 20_000
"""Entries one page looks at: few of them may be of the line."""

_AnswerOf = tuple[str, int]
_Revision = tuple[str, int]


class UsesWanted(NamedTuple):
    """Which uses are asked for, "" and unspecified meaning any; ``after`` is the sequence of the
    ledger that an earlier page ended at."""

    operator_id: str
    month: Month
    item: str
    source: str
    region: str
    purpose: Purpose.ValueType
    page_size: int
    after: int


class UsesPage(NamedTuple):
    """Uses, the sequence of the last answer looked at, and whether there are more behind it."""

    uses: list[StatementUse]
    last: int
    more: bool


class StatementUses:
    """Finds the uses of a month in the ledger."""

    def __init__(self, records: Engine, reader: UsageReader) -> None:
        self._records = records
        self._reader = reader

    def page(self, wanted: UsesWanted, closed_at: int | None) -> UsesPage:
        """Return the next uses; ``closed_at`` is the sequence up to which the month was closed,
        None while it is open."""
        uses: list[StatementUse] = []
        after, looked_at, more = wanted.after, 0, True
        while more and len(uses) < wanted.page_size and looked_at < _MOST_LOOKED_AT:
            found = self._reader.answers(
                wanted.operator_id,
                from_=wanted.month.from_,
                until=wanted.month.until,
                request_id="",
                after=after,
                least_entries=wanted.page_size,
            )
            more = found.more
            reversed_ = self._reversed(found.answers)
            for answer in found.answers:
                after = answer.sequence
                looked_at += len(answer.entries)
                uses.extend(_uses(answer, wanted, reversed_, closed_at))
                if len(uses) >= wanted.page_size:
                    more = more or answer is not found.answers[-1]
                    break
        return UsesPage(uses, after, more)

    def _reversed(self, answers: Collection[MeteredAnswer]) -> dict[_AnswerOf, Counter[_Revision]]:
        """Return what was reversed of answers, by request and chunk."""
        if not answers:
            return {}
        (operator_id,) = {answer.operator_id for answer in answers}
        with reading(self._records) as connection:
            rows = [
                row
                for some in pages({answer.request_id for answer in answers})
                for row in connection.execute(
                    select(USAGE.c.request_id, USAGE.c.chunk, USAGE.c.entries).where(
                        USAGE.c.operator_id == operator_id,
                        USAGE.c.kind == REVERSAL,
                        USAGE.c.request_id.in_(some),
                    )
                )
            ]
            return {
                (row.request_id, row.chunk): Counter(_revisions(connection, row.entries))
                for row in rows
            }


def _revisions(connection: Connection, entries: bytes) -> Iterator[_Revision]:
    sequences = unpack_entries(entries)
    known = {
        row.sequence: (row.record_id, row.revision)
        for some in pages(set(sequences))
        for row in connection.execute(
            select(REVISIONS.c.sequence, REVISIONS.c.record_id, REVISIONS.c.revision).where(
                REVISIONS.c.sequence.in_(some)
            )
        )
    }
    return (known[sequence] for sequence in sequences)


def _uses(
    answer: MeteredAnswer,
    wanted: UsesWanted,
    reversed_: dict[_AnswerOf, Counter[_Revision]],
    closed_at: int | None,
) -> Iterator[StatementUse]:
    left = Counter(reversed_.get((answer.request_id, answer.chunk), Counter()))
    late = closed_at is not None and answer.sequence > closed_at
    for entry, message in zip(answer.entries, usage_entries(answer), strict=True):
        revision = entry.record_id, entry.revision
        is_reversed = left[revision] > 0
        left[revision] -= is_reversed
        if (
            wanted.item in {"", entry.item}
            and wanted.source in {"", entry.source}
            and wanted.region in {"", entry.region}
            and wanted.purpose in {0, answer.purpose}
        ):
            yield StatementUse(entry=message, reversed=is_reversed, late=late)
