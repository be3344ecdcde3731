"""Closing an operator's month: the ledger rated and shared up to one place, for good.

A closing covers what is in the ledger before that place, was served before the end of the month,
and was in no earlier closing. What of it was served in earlier months becomes adjustments. The
place, and how much of authority was known, stand with the closing: so it can be worked out
again, to the same bytes, from the ledger and the authority log.
"""

from collections.abc import Callable
from typing import Final

from creditgate.rating.basis import basis_of
from creditgate.rating.prices import PRICE_PLAN
from creditgate.rating.rating import rate
from creditgate.rating.terms import cuts
from creditgate.v1.usage_service_pb2 import Statement, StatementAdjustment
from gateway.settle.classes import CLASS_START
from gateway.settle.month import Month, month_before, month_named, month_of
from gateway.settle.shares import SHARING_RULE
from gateway.settle.sharing import share_bill
from gateway.settlement.adjustment import SettledUse, adjustment, is_settled, subjects_settled
from gateway.settlement.books import Books, books_at
from gateway.settlement.documents import document_bytes
from gateway.settlement.ledger_month import NOWHERE, LedgerPosition
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.right_lines import NONE, RightLines
from gateway.settlement.statement import complete, rated_statement, without_basis
from gateway.settlement.store import ClosedMonth, NotesChanged, RatedAnew, SqlClosings
from operators.log import AuthorityLog

SHARING_FORM: Final = 2
"""How shares are worked out now: what other regions are owed is set aside first, of the fees of
their own records alone."""
_IN_FORCE: Final = frozenset({PRICE_PLAN, SHARING_RULE, CLASS_START})
_MIXED_FORM: Final = 1
"""How once: of all fees of the same item, source and region."""


def _name(month: Month) -> str:
    return month.name


class Closer:
    """Works out and closes months of operators. Calls block.

    All that rate raise Refused STATE_CONFLICT where no sharing rule was in force for some use.
    """

    def __init__(self, months: LedgerMonths, closings: SqlClosings, log: AuthorityLog) -> None:
        self._months = months
        self._closings = closings
        self._log = log

    def present(self, operator_id: str, month: Month, books: Books) -> Statement:
        """Return the statement of a month: as it was closed, or as it stands now."""
        closed = self._closings.closed(operator_id, month.name)
        if closed is not None:
            return closed.statement
        position = self._months.position(operator_id)
        statement = self._rated(operator_id, month, position, books)
        # While an earlier month is open, its own closing will cover what came late.
        before = month_before(month)
        next_to_close = before is not None and self._closings.last_settled() == before.name
        late = self._adjustments(operator_id, month, position, books) if next_to_close else []
        complete(statement, late, self._closings.notes(operator_id, month.name))
        return statement

    def close(self, operator_id: str, month: Month, books: Books, now: int) -> ClosedMonth:
        """Close a month that is over, if it is not closed yet, and return it.

        By ``books``, or by newer ones where something was put into force meanwhile: by a clock that
        is behind, it may count for the month. Raises MonthSettled where the month was settled
        without the operator.
        """
        closed = self._closings.closed(operator_id, month.name)
        while closed is None:
            position = self._months.position(operator_id)
            statement = self._worked_out(operator_id, month, position, books)
            statement.close_time.seconds = now
            try:
                closed = self._closings.close(statement, position, now, self._rates_as(books))
            except NotesChanged:
                continue
            except RatedAnew:
                books = books_at(self._log, self._log.head())
        return closed

    def _rates_as(self, books: Books) -> Callable[[], bool]:
        """Return what tells whether nothing was put into force since ``books``."""
        return lambda: all(
            change.kind not in _IN_FORCE for change in self._log.since(books.sequence)
        )

    def as_it_ought(
        self, operator_id: str, month: Month, books: Books, right: RightLines
    ) -> tuple[Statement, Statement]:
        """Return a month's own use rated as it is, and with uses as they ought to be.

        Both as the ledger stands now; raises LookupError where ``right`` names what it does not
        know.
        """
        position = self._months.position(operator_id)
        return (
            self._rated(operator_id, month, position, books),
            self._rated(operator_id, month, position, books, right),
        )

    def worked_out_again(self, closed: ClosedMonth) -> bytes:
        """Return a closed month's document as ledger and authority log give it now: the same
        bytes, unless one of them was changed."""
        statement = self._again(closed)
        if not closed.statement.HasField("basis"):
            # It was closed before statements told what they were rated by.
            without_basis(statement)
        return document_bytes(statement)

    def as_closed(self, operator_id: str, month: str) -> Statement | None:
        """Return the statement of a closed month as ledger and authority log give it now; None
        where it is not closed."""
        closed = self._closings.closed(operator_id, month)
        return None if closed is None else self._again(closed)

    def _again(self, closed: ClosedMonth) -> Statement:
        month = month_named(closed.month)
        assert month is not None, "only months are closed"
        books = books_at(self._log, closed.authority_sequence)
        # Shares of what was closed before are worked out as they were then.
        form = closed.statement.sharing_form
        statement = self._worked_out(closed.operator_id, month, closed.position, books, form)
        statement.close_time.seconds = closed.closed_at
        return statement

    def _worked_out(
        self,
        operator_id: str,
        month: Month,
        position: LedgerPosition,
        books: Books,
        form: int = SHARING_FORM,
    ) -> Statement:
        statement = self._rated(operator_id, month, position, books, form=form)
        complete(
            statement,
            self._adjustments(operator_id, month, position, books, form),
            self._closings.notes(operator_id, month.name),
        )
        return statement

    def _rated(
        self,
        operator_id: str,
        month: Month,
        position: LedgerPosition,
        books: Books,
        right: RightLines = NONE,
        form: int = SHARING_FORM,
    ) -> Statement:
        starts = cuts(
            operator_id, month.from_, month.until, books.prices, books.sharing.rules, books.classes
        )
        use = self._months.month_use(
            operator_id, starts, month.until, books.classes.price_class, position, right
        )
        bill = rate(use, books.prices, books.classes)
        shared = share_bill(
            bill,
            use,
            books.sharing,
            use.owed() if form else (),
            # What another region pays is cleared, and is nobody's but those it is shared among.
            rebates=not form or operator_id not in books.classes.regions,
            apart=form > _MIXED_FORM,
        )
        statement = rated_statement(month.name, shared, use)
        statement.sharing_form = form
        statement.usage_sequence = use.last_sequence
        statement.usage_size = position.size
        statement.authority_sequence = books.sequence
        basis = basis_of(bill, use, books.prices, books.sharing.rules, books.classes)
        statement.basis.CopyFrom(basis)
        return statement

    def _adjustments(
        self,
        operator_id: str,
        month: Month,
        position: LedgerPosition,
        books: Books,
        form: int = SHARING_FORM,
    ) -> list[StatementAdjustment]:
        """Return what came to closed months since the last closing, in order of month."""
        before = self._closings.before(operator_id, month.name)
        since = before[-1].position if before else NOWHERE
        late = self._months.late_days(operator_id, since, position, month.from_)
        if not late:
            return []
        closed = [each.statement for each in before]
        found = (
            adjustment(
                self._rated(operator_id, each, since, books, form=form)
                if is_settled(each.name, closed)
                else None,
                self._rated(operator_id, each, position, books, form=form),
                SettledUse(since.size, subjects_settled(each.name, closed)),
            )
            for each in sorted({month_of(day) for day in late}, key=_name)
        )
        return [each for each in found if each is not None]
