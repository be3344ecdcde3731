"""The uses behind a line of a statement: from the total down to the record. Calls block."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from creditgate.v1.usage_service_pb2 import StatementUse
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.disclose.tables import REVISIONS
from gateway.documents.charged import ChargedUses
from gateway.meter.model import REVERSAL, unpack_entries
from gateway.meter.tables import USAGE
from gateway.settle.answer import usage_entries
from gateway.settle.month import Month
from gateway.settle.usage import MeteredAnswer, UsageReader, UsePlace
from gateway.storage.engines import reading
from gateway.storage.paging import pages

_MOST_LOOKED_AT: Final = 20_000
"""Entries one page looks at: few of them may be of the line."""

_AnswerOf = tuple[str, int]
_Revision = tuple[str, int]
_Reversed = Mapping[_AnswerOf, Mapping[_Revision, deque[int]]]
"""The sequences of reversals by revision, in order, of each answer by request and chunk."""


class UsesWanted(NamedTuple):
    """Which uses are asked for, "" and unspecified meaning any; ``component_id`` of what charged
    them, [``from_``, ``until``) when they were served (seconds, UTC). ``begin`` is where an
    earlier page ended."""

    operator_id: str
    month: Month
    item: str
    source: str
    region: str
    purpose: Purpose.ValueType
    component_id: str
    from_: int
    until: int
    page_size: int
    begin: UsePlace


class UsesPage(NamedTuple):
    """Uses, and where the next page begins, None where there are no more."""

    uses: list[StatementUse]
    end: UsePlace | None


class ClosedUpTo(NamedTuple):
    """A month of an operator that was closed, up to a sequence of the ledger."""

    month: str
    sequence: int


class StatementUses:
    """Finds the uses of a month in the ledger."""

    def __init__(self, records: Engine, reader: UsageReader) -> None:
        self._records = records
        self._reader = reader

    def page(
        self, wanted: UsesWanted, closed: Sequence[ClosedUpTo], charged: ChargedUses | None
    ) -> UsesPage:
        """Return the next uses: just so many, unless few of those looked at are wanted.

        ``closed`` are the closings of the month and of those after it, in order, none while it
        is open; ``charged`` the uses of the component that is asked for, None for any.
        """
        uses: list[StatementUse] = []
        place, looked_at, more = wanted.begin, 0, True
        while more and looked_at < _MOST_LOOKED_AT:
            found = self._reader.answers(
                wanted.operator_id,
                from_=max(wanted.from_, wanted.month.from_),
                until=min(wanted.until, wanted.month.until),
                request_id="",
                after=place.sequence - 1,
                least_entries=wanted.page_size,
            )
            more = found.more
            reversed_ = self._reversed(found.answers)
            for answer in found.answers:
                looked_at += len(answer.entries)
                for number, use in enumerate(_uses(answer, wanted, reversed_, closed, charged)):
                    if use is None or (answer.sequence, number) < place:
                        continue
                    if len(uses) == wanted.page_size:
                        return UsesPage(uses, UsePlace(answer.sequence, number))
                    uses.append(use)
                place = UsePlace(answer.sequence + 1, 0)
        return UsesPage(uses, place if more else None)

    def _reversed(self, answers: Collection[MeteredAnswer]) -> _Reversed:
        """Return what was reversed of answers."""
        if not answers:
            return {}
        (operator_id,) = {answer.operator_id for answer in answers}
        found: dict[_AnswerOf, dict[_Revision, deque[int]]] = {}
        with reading(self._records) as connection:
            for some in pages({answer.request_id for answer in answers}):
                query = select(USAGE.c.sequence, USAGE.c.request_id, USAGE.c.chunk, USAGE.c.entries)
                rows = connection.execute(
                    query.where(
                        USAGE.c.operator_id == operator_id,
                        USAGE.c.kind == REVERSAL,
                        USAGE.c.request_id.in_(some),
                    ).order_by(USAGE.c.sequence)
                ).all()
                for row in rows:
                    of_answer = found.setdefault((row.request_id, row.chunk), {})
                    for revision in _revisions(connection, row.entries):
                        of_answer.setdefault(revision, deque()).append(row.sequence)
        return found


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
    reversed_: _Reversed,
    closed: Sequence[ClosedUpTo],
    charged: ChargedUses | None,
) -> Iterator[StatementUse | None]:
    """Yield the uses of an answer, None for each that is not wanted."""
    left = reversed_.get((answer.request_id, answer.chunk), {})
    late = bool(closed) and answer.sequence > closed[0].sequence
    for entry, message in zip(answer.entries, usage_entries(answer), strict=True):
        reversals = left.get((entry.record_id, entry.revision))
        reversal = reversals.popleft() if reversals else None
        kind = entry.item, entry.source, entry.region
        if (
            wanted.item in {"", entry.item}
            and wanted.source in {"", entry.source}
            and wanted.region in {"", entry.region}
            and wanted.purpose in {0, answer.purpose}
            and (charged is None or charged.has(*kind, answer.purpose, answer.served_at))
        ):
            yield StatementUse(
                entry=message,
                reversed=reversal is not None,
                late=late,
                adjustment_month=_adjusted(answer.sequence, closed) if late else "",
                reversal_month="" if reversal is None else _adjusted(reversal, closed),
            )
        else:
            yield None


def _adjusted(sequence: int, closed: Sequence[ClosedUpTo]) -> str:
    """Return the month whose closing has an adjustment for what is at a sequence: "" where the
    month's own closing had it, or none has yet."""
    if not closed or sequence <= closed[0].sequence:
        return ""
    return next((each.month for each in closed[1:] if sequence <= each.sequence), "")
