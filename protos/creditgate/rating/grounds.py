"""What a statement is held against, and a month rated by it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from creditgate.rating.basis import RatedBy, rated_by
from creditgate.rating.faults import Fault, require
from creditgate.rating.logged import LoggedMonth, LoggedUse
from creditgate.rating.months import month_bounds, month_name
from creditgate.rating.rating import rate
from creditgate.rating.statements import billed
from creditgate.v1 import usage_service_pb2 as pb


class Grounds(NamedTuple):
    """What statements are held against: the log's uses from the first on, serialised plans, and
    other statements of the operator."""

    uses: Sequence[LoggedUse]
    plans: Sequence[bytes]
    earlier: Sequence[pb.Statement]


class RatedMonth:
    """A month of the operator's, to be rated by a basis."""

    def __init__(self, statement: pb.Statement, basis: pb.RatingBasis, grounds: Grounds) -> None:
        self._operator_id = statement.operator_id
        self._uses = grounds.uses
        self._books: RatedBy = rated_by(basis, statement.operator_id, grounds.plans)
        self.faults: list[Fault] = []

    def rated(
        self, size: int, month: str, subjects: Mapping[tuple[str, int], int] | None = None
    ) -> pb.Statement:
        """Return what a month costs by the leaves before ``size``; ``subjects`` as told, those of
        the basis where they are left out."""
        told = self._books.subjects if subjects is None else subjects
        use = self._use(size, month, told)
        for (component, start), count in sorted(told.items()):
            most = use.subjects_of.get((component, start), 0)
            where = f"subjects of {component} in {month}"
            require(self.faults, where, count, min(count, most))
        return self._billed(month, use)

    def dearest(self, size: int, month: str) -> pb.Statement:
        """Return what a month costs at most by the leaves before ``size``: with as many subjects as
        there can be."""
        return self._billed(month, self._use(size, month, None))

    def counted(self, size: int, month: str) -> frozenset[tuple[str, int]]:
        """Return the components, with the start of the term, that count subjects of the leaves
        before ``size``."""
        most = self._use(size, month, None).subjects_of
        return frozenset(key for key, count in most.items() if count)

    def _use(
        self, size: int, month: str, subjects: Mapping[tuple[str, int], int] | None
    ) -> LoggedMonth:
        bounds = month_bounds(month)
        return LoggedMonth(self._uses, size, self._operator_id, bounds, self._books, subjects)

    def _billed(self, month: str, use: LoggedMonth) -> pb.Statement:
        return billed(month, rate(use, self._books.prices, self._books.classes), use)


def closed_months(statements: Iterable[pb.Statement]) -> dict[str, pb.Statement]:
    """Return the closed ones of statements by month; of several of a month the one that says that
    least is due."""
    closed = (each for each in statements if each.HasField("close_time"))
    dearest_first = sorted(closed, key=lambda each: -each.due_micro_yuan)
    return {each.month: each for each in dearest_first}


def month_before(month: str) -> str:
    """Return the month before one."""
    return month_name(month_bounds(month)[0] - 1)
