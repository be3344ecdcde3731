"""What signed statements tell of the basis of a month, held against each other. Pure.

A month that is over has one basis: plans and classes are not changed for the past. So what is rated
again of it goes by what its closed statement was rated by, but for subjects, and for items that it
had no use of; starts of sharing rules decide nothing of what is due. One id of a plan names one plan
for good (UsageService, RatedPlan).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from creditgate.rating.faults import Fault
from creditgate.v1 import usage_service_pb2 as pb

SettledPart = pb.Statement | pb.StatementAdjustment
"""What a closed statement says of one month: of its own, or of one that it adjusts."""


def settled_parts(month: str, closed: Iterable[pb.Statement]) -> list[SettledPart]:
    """Return what statements, in order of closing, say of a month and what it was rated by."""
    parts = (part for each in closed for part in (each, *each.adjustments))
    return [part for part in parts if part.month == month and part.HasField("basis")]


def basis_due(stated: pb.RatingBasis, settled: Sequence[SettledPart]) -> pb.RatingBasis:
    """Return what a month is to be rated by again: ``stated``, as far as ``settled`` tells no other.

    Subjects and starts of sharing rules are those of ``stated``.
    """
    due = pb.RatingBasis()
    due.CopyFrom(stated)
    if not settled:
        return due
    first = settled[0].basis
    for name in ("plans", "operator_periods"):
        due.ClearField(name)
        getattr(due, name).extend(getattr(first, name))
    classes = _classes(stated) | _settled_classes(settled)
    del due.item_classes[:]
    for item in sorted(classes):
        due.item_classes.extend(classes[item])
    return due


def basis_faults(
    month: str, stated: pb.RatingBasis, settled: Sequence[SettledPart]
) -> Iterable[Fault]:
    """Yield where the basis of an adjustment is another than that of its closed month."""
    where, due = f"basis of the adjustment of {month}", basis_due(stated, settled)
    for name in ("plans", "operator_periods"):
        if list(getattr(stated, name)) != list(getattr(due, name)):
            yield Fault(f"{where}, {name}", "another", "that of the closed month")
    ought = _classes(due)
    for item, periods in _classes(stated).items():
        if periods != ought.get(item, []):
            yield Fault(f"{where}, class of {item}", "another", "that of the closed month")


def plan_faults(statements: Iterable[pb.Statement]) -> Iterable[Fault]:
    """Yield the plans that statements name by one id and several digests."""
    digests: dict[str, set[str]] = defaultdict(set)
    for statement in statements:
        for part in (statement, *statement.adjustments):
            for plan in part.basis.plans:
                digests[plan.plan_id].add(plan.sha256.hex())
    for plan_id, found in sorted(digests.items()):
        if len(found) > 1:
            yield Fault(f"price plan {plan_id}", f"{len(found)} of one id", "one")


def _settled_classes(settled: Sequence[SettledPart]) -> dict[str, list[pb.ItemClassPeriod]]:
    known: dict[str, list[pb.ItemClassPeriod]] = {}
    for part in reversed(settled):
        if isinstance(part, pb.Statement):
            # An item in use of which no class is told had none.
            known |= {line.item: [] for line in part.lines if line.entries and line.item}
        known |= _classes(part.basis)
    return known


def _classes(basis: pb.RatingBasis) -> dict[str, list[pb.ItemClassPeriod]]:
    found: dict[str, list[pb.ItemClassPeriod]] = defaultdict(list)
    for period in basis.item_classes:
        found[period.item].append(period)
    return dict(found)
