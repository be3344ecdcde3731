"""What conformance tells, as steps of a trace."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import Finding
from gateway.audit.steps import Kind, Place, Source, Step


class Told(Protocol):
    """One thing told, ``at`` in seconds UTC; ``numbers`` order what is of one second."""

    @property
    def at(self) -> int:
        """When."""
        ...

    @property
    def numbers(self) -> tuple[int, int]:
        """Which of that second."""
        ...

    @property
    def what(self) -> Finding | pb.RemovalTrace:
        """What."""
        ...


class Trail(Protocol):
    """Tells of conformance in order of time (`gateway.conformance.trail`)."""

    def findings_of_record(self, record_id: str) -> Iterable[Told]:
        """Tell every finding of a record's copies."""
        ...

    def findings_of_operator(self, operator_id: str, from_: int) -> Iterable[Told]:
        """Tell every finding against an operator since ``from_``."""
        ...

    def removals_of_record(self, record_id: str) -> Iterable[Told]:
        """Tell every removal of a record's copies that was acknowledged."""
        ...

    def removals_of_operator(self, operator_id: str, from_: int, until: int) -> Iterable[Told]:
        """Tell what an operator acknowledged within [from_, until)."""
        ...


class TrailSteps:
    """Gives what is told as sources of steps."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    def of_record(self, record_id: str) -> list[Source]:
        """Return the sources about one record."""
        return [
            _source(lambda _after, _until: self._trail.findings_of_record(record_id)),
            _source(lambda _after, _until: self._trail.removals_of_record(record_id)),
        ]

    def of_operator(self, operator_id: str) -> list[Source]:
        """Return the sources about one operator."""
        return [
            _source(lambda after, _until: self._trail.findings_of_operator(operator_id, after.at)),
            _source(
                lambda after, until: self._trail.removals_of_operator(operator_id, after.at, until)
            ),
        ]


def _source(told: Callable[[Place, int], Iterable[Told]]) -> Source:
    def source(after: Place, until: int) -> Iterator[Step]:
        for each in told(after, until):
            what = each.what
            is_finding = isinstance(what, Finding)
            place = Place(each.at, Kind.FINDING if is_finding else Kind.REMOVAL, *each.numbers)
            if place > after and each.at < until:
                step = pb.TraceStep(finding=what) if is_finding else pb.TraceStep(removal=what)
                yield Step(place, step)

    return source
