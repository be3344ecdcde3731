"""Adjustments of a statement held against the log and the statements before. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from creditgate.rating.bases import SettledPart, basis_due, basis_faults, settled_parts
from creditgate.rating.basis import subject_counts
from creditgate.rating.faults import Fault, line_named, require
from creditgate.rating.grounds import Grounds, RatedMonth, closed_months, month_before
from creditgate.rating.months import month_bounds, month_name, months_from
from creditgate.rating.settled import LineKey, Settled, less, settled_so_far
from creditgate.v1 import usage_service_pb2 as pb


class Late(NamedTuple):
    """What a statement's adjustment of an earlier month ought to be.

    ``known`` tells whether what was settled before follows from the log: it does not where prices
    go by subjects and no basis tells how many were settled.
    """

    month: str
    fees: Counter[LineKey]
    entries: Counter[LineKey]
    before: int
    known: bool

    @property
    def amount(self) -> int:
        """What it comes to (micro-yuan)."""
        return sum(self.fees.values())


def late_use(statement: pb.Statement, grounds: Grounds, faults: list[Fault]) -> Iterable[Late]:
    """Yield what the adjustments of earlier months ought to be, as far as it can be told."""
    told = {each.month: each for each in statement.adjustments}
    if len(told) != len(statement.adjustments):
        faults.append(Fault("adjustments", "one month twice", "one a month"))
    closed = closed_months(grounds.earlier)
    last = closed.get(month_before(statement.month))
    for month in sorted(told.keys() | _late_months(statement, grounds, last)):
        names = list(months_from(month, statement.month))
        chain = [closed[name] for name in names if name in closed]
        whole = len(chain) == len(names)
        settled = settled_parts(month, chain)
        stated = told.get(month)
        if stated is not None:
            faults += basis_faults(month, stated.basis, settled)
            rated = RatedMonth(statement, basis_due(stated.basis, settled), grounds)
            after = rated.rated(statement.usage_size, month)
            size = stated.settled_usage_size if last is None else last.usage_size
            before = _before(rated, stated, size, settled if whole else [])
        elif whole and settled and last is not None and statement.HasField("close_time"):
            # While a month is open, it may be that an earlier one is to be closed first.
            rated = RatedMonth(statement, settled[0].basis, grounds)
            after = rated.dearest(statement.usage_size, month)
            counts = subject_counts(settled[-1].basis.subjects)
            before = settled_so_far(month, [rated.rated(last.usage_size, month, counts)])
        else:
            continue
        now = settled_so_far(month, [after])
        known = before is not None
        if stated is not None and before is None:
            before = _as_stated(month, stated, now, chain if whole else [])
        assert before is not None, "what is not known is stated"
        faults += rated.faults
        fees, entries = less(now.fees, before.fees), less(now.entries, before.entries)
        late = Late(month, fees, entries, before.total, known)
        # What is not told of its subjects cannot be dearer than it was.
        if stated is not None or entries or late.amount < 0:
            yield late


def _before(
    rated: RatedMonth, stated: pb.StatementAdjustment, size: int, settled: Sequence[SettledPart]
) -> Settled | None:
    """Return what a month came to by the leaves before ``size``, None where that cannot be told.

    By the log: what an earlier statement charges too much is no matter of this one.
    """
    told = settled[-1].basis.subjects if settled else stated.settled_subjects
    counts = subject_counts(told)
    if not settled and not rated.counted(size, stated.month) <= counts.keys():
        return None
    return settled_so_far(stated.month, [rated.rated(size, stated.month, counts)])


def _as_stated(
    month: str, stated: pb.StatementAdjustment, now: Settled, chain: Sequence[pb.Statement]
) -> Settled:
    """Return what a month came to before as closed statements say, or else the adjustment."""
    if chain:
        return settled_so_far(month, chain)
    added = settled_so_far(month, [pb.Statement(adjustments=[stated])])
    return Settled(*(less(*pair) for pair in zip(now, added, strict=True)))


def late_faults(statement: pb.Statement, late: Sequence[Late]) -> Iterable[Fault]:
    """Return what of the adjustments is not what it ought to be."""
    faults: list[Fault] = []
    told = {each.month: each for each in statement.adjustments}
    for each in late:
        stated = told.get(each.month, pb.StatementAdjustment())
        where = f"adjustment of {each.month}"
        require(faults, where, stated.amount_micro_yuan, each.amount)
        if each.month in told:
            require(faults, f"{where}, before", stated.before_micro_yuan, each.before)
            after = each.before + each.amount
            require(faults, f"{where}, after", stated.after_micro_yuan, after)
        fees: Counter[LineKey] = Counter()
        entries: Counter[LineKey] = Counter()
        for line in stated.lines:
            key = LineKey(line.item, line.source, line.region)
            fees[key] += line.fee_micro_yuan
            entries[key] += line.entries
        for key in sorted(fees.keys() | each.fees.keys() | entries.keys() | each.entries.keys()):
            require(
                faults, f"{where}, records of {line_named(key)}", entries[key], each.entries[key]
            )
            require(faults, f"{where}, fee of {line_named(key)}", fees[key], each.fees[key])
    return faults


def _late_months(statement: pb.Statement, grounds: Grounds, last: pb.Statement | None) -> set[str]:
    """Return the earlier months of which there is use that the statement is the first to count."""
    if last is None:
        return set()
    from_, _ = month_bounds(statement.month)
    return {
        month_name(use.at)
        for use in grounds.uses[last.usage_size : statement.usage_size]
        if use.at < from_
    }
