"""Settling a month: every operator's closed, and together one settlement. Calls block."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from creditgate.rating.settled import by_beneficiary, share_messages
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.settlement_service_pb2 import Settlement
from creditgate.v1.usage_service_pb2 import CreditNote, Statement, StatementAdjustment
from gateway.settle.month import Month, month_before, month_named, month_of, shifted
from gateway.settle.views import SettlementView
from gateway.settlement.cleared import (
    ClearedDebts,
    ClearedThrough,
    settled_clearings,
    through_of,
    with_clearings,
)
from gateway.settlement.closing import Closer
from gateway.settlement.documents import document_bytes
from gateway.settlement.journal import settlement_entry
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.store import (
    ClosedMeanwhile,
    ClosedMonth,
    MonthSettled,
    SettledMonth,
    SqlClosings,
)


class Settler:
    """Closes months for all operators, one after the other."""

    def __init__(
        self, months: LedgerMonths, closings: SqlClosings, closer: Closer, debts: ClearedDebts
    ) -> None:
        self._months = months
        self._closings = closings
        self._closer = closer
        self._debts = debts

    def settle(
        self, month: Month, view: SettlementView, by: str, request_id: str, now: int
    ) -> Settlement:
        """Close a month that is over, and return its settlement; the same one every time.

        What was closed of it before, by a call that did not come to its end, stands.

        Raises Refused REQUEST_ID_REUSED where the id closed another month, STATE_CONFLICT where
        another month is to be closed first, or no sharing rule was in force for some use.
        """
        requested = self._closings.requested(by, request_id)
        if requested not in {"", month.name}:
            raise Refused(
                RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
                "request_id was used before to close another month; use a fresh one.",
            )
        settled = self._closings.settled(month.name)
        if settled is None:
            self._require_next(month, view, now)
            operators = view.authority.operators.keys() | self._months.operators()
            # A call beside this one may come to its end first.
            with suppress(MonthSettled):
                for operator_id in sorted(operators):
                    self._closer.close(operator_id, month, view, now)
        while settled is None:
            before = through_of(self._before(month))
            closed = self._closings.of_month(month.name)
            settlement = settlement_of(month.name, closed, before, self._debts.owed(before))
            settlement.close_time.seconds = now
            with suppress(ClosedMeanwhile):
                settled = self._closings.settle(
                    SettledMonth(month.name, now, by, request_id, document_bytes(settlement)),
                    settlement_entry(settlement),
                    [each.operator_id for each in closed],
                )
        return settled.settlement

    def next_month(self, view: SettlementView, now: int) -> Month:
        """Return the month that is closed next, over by now or not: months are closed in order."""
        last = month_named(self._closings.last_settled())
        return self._first(view, now) if last is None else shifted(last, 1)

    def _before(self, month: Month) -> Settlement | None:
        before = month_before(month)
        settled = None if before is None else self._closings.settled(before.name)
        return None if settled is None else settled.settlement

    def _require_next(self, month: Month, view: SettlementView, now: int) -> None:
        next_one = self.next_month(view, now)
        if month != next_one:
            raise Refused(
                RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
                f"Months are closed in order: the next one is {next_one.name}.",
                metadata={"next_month": next_one.name},
            )

    def _first(self, view: SettlementView, now: int) -> Month:
        """Return the first month there is anything of: use, or an operator."""
        instants = [
            start
            for operator_id in view.authority.operators
            for start in view.classes.operator_starts(operator_id, -1, now)
        ]
        used = self._months.earliest()
        return month_of(min(instants if used is None else [*instants, used], default=now))


def settlement_of(
    month: str,
    closed: Sequence[ClosedMonth],
    before: Mapping[str, int],
    cleared: Mapping[str, ClearedThrough],
) -> Settlement:
    """Return the settlement of a month's closings, all there are.

    Up to when clearings were counted ``before``, and what was ``cleared`` since, by region.
    """
    shares: Counter[str] = Counter()
    due: Counter[str] = Counter()
    statements = [each.statement for each in closed]
    for statement in statements:
        shares.update(by_beneficiary(statement.shares))
        due.update(by_beneficiary(statement.due_shares))
    clearings = settled_clearings(share_messages(due), before, cleared)
    return Settlement(
        month=month,
        total_micro_yuan=sum(each.total_micro_yuan for each in statements),
        shares=share_messages(shares),
        due_micro_yuan=sum(each.due_micro_yuan for each in statements),
        due_shares=with_clearings(share_messages(due), clearings),
        clearings=clearings,
        closings=(
            each.closing(statement) for each, statement in zip(closed, statements, strict=True)
        ),
        plan_ids=_ids(
            ids
            for each in statements
            for ids in (each.plan_ids, *(other.plan_ids for other in _parts(each)))
        ),
        rule_ids=_ids(
            ids
            for each in statements
            for ids in (each.rule_ids, *(other.rule_ids for other in _parts(each)))
        ),
    )


def _parts(statement: Statement) -> Iterable[StatementAdjustment | CreditNote]:
    yield from statement.adjustments
    yield from statement.credit_notes


def _ids(of_each: Iterable[Iterable[str]]) -> list[str]:
    return sorted({each for ids in of_each for each in ids})
