"""Decisions of the log as steps of a trace, each followed by what was served by it."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Row, select

from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.usage_service_pb2 import UsageEntry
from gateway.audit.steps import Kind, Place, Source, Step
from gateway.audit.tables import DECISIONS
from gateway.audit.tables import Source as From
from gateway.settle.answer import usage_entries
from gateway.settle.usage import UsageReader
from gateway.storage.engines import reading

_AT_ONCE: Final = 200
_Row = Row[*tuple[Any, ...]]
Entries = Callable[[str, int], Iterator[UsageEntry]]
"""Gives what an answer of an operator held, given the answer's sequence."""


class DecisionSteps:
    """Reads what decisions are found by. Calls block."""

    def __init__(self, evidence: Engine, usage: UsageReader) -> None:
        self._evidence = evidence
        self._usage = usage

    def matching(self, size: int, *conditions: ColumnElement[bool], served: bool = True) -> Source:
        """Return the source of the first ``size`` entries that meet the conditions; with
        ``served`` also of the records that were served by them."""

        def source(after: Place, until: int) -> Iterator[Step]:
            for row in self._rows(size, conditions, after, until):
                place = Place(row.at, Kind.DECISION, row.log_index)
                steps = [Step(place, row.log_index)]
                if served and row.source == From.USAGE:
                    steps += (
                        Step(place._replace(minor=number), pb.TraceStep(usage=entry))
                        for number, entry in enumerate(
                            self.entries(row.operator_id, row.source_sequence), 1
                        )
                    )
                yield from (step for step in steps if step.place > after)

        return source

    def entries(self, operator_id: str, sequence: int) -> Iterator[UsageEntry]:
        """Yield what one answer held."""
        page = self._usage.answers(
            operator_id, from_=None, until=None, request_id="", after=sequence - 1, least_entries=1
        )
        for answer in page.answers[:1]:
            if answer.sequence == sequence:
                yield from usage_entries(answer)

    def _rows(
        self, size: int, conditions: tuple[ColumnElement[bool], ...], after: Place, until: int
    ) -> Iterator[_Row]:
        at, index = after.at, after.major if after.kind == Kind.DECISION else 0
        row = DECISIONS.c
        while True:
            query = (
                select(row.log_index, row.at, row.operator_id, row.source, row.source_sequence)
                .where(
                    *conditions,
                    row.log_index < size,
                    (row.at > at) | ((row.at == at) & (row.log_index >= index)),
                    row.at < until,
                )
                .order_by(row.at, row.log_index)
                .limit(_AT_ONCE)
            )
            with reading(self._evidence) as connection:
                rows = connection.execute(query).all()
            yield from rows
            if len(rows) < _AT_ONCE:
                return
            at, index = rows[-1].at, rows[-1].log_index + 1
