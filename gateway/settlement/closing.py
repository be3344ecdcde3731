"""Closing an operator's month: the ledger rated and shared up to one place, for good.

A closing covers what is in the ledger before that place, was served before the end of the month,
and was in no earlier closing. What of it was served in earlier months becomes adjustments, and what
notes gave back of all these months is put right. The place, how much of authority was known, and
which notes, stand with the closing: so it can be worked out again, to the same bytes, from the
ledger, the authority log and the notes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from creditgate.rating.basis import basis_of
from creditgate.rating.prices import PRICE_PLAN
from creditgate.rating.rating import rate
from creditgate.rating.terms import cuts
from creditgate.v1.usage_service_pb2 import CreditNote, Statement, StatementAdjustment
from gateway.settle.classes import CLASS_START
from gateway.settle.month import Month, month_before, month_named, month_of
from gateway.settle.shares import SHARING_RULE
from gateway.settle.sharing import share_bill
from gateway.settlement.adjustment import SettledUse, adjustment, is_settled, subjects_settled
from gateway.settlement.books import Books, books_at
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.documents import document_bytes
from gateway.settlement.kept_notes import KeptNote, about_uses
from gateway.settlement.ledger_month import NOWHERE, LedgerPosition
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.right_lines import NONE, RightLines
from gateway.settlement.statement import complete, rated_statement, without_basis
from gateway.settlement.store import ClosedMonth, NotesChanged, RatedAnew, SqlClosings
from gateway.settlement.truing import AboutMonth, by_month, place_of, true_up, trued_up
from operators.log import AuthorityLog

SHARING_FORM: Final = 2
"""How shares are worked out now: what other regions are owed is set aside first, of the fees of
their own records alone."""
_IN_FORCE: Final = frozenset({PRICE_PLAN, SHARING_RULE, CLASS_START})
_MIXED_FORM: Final = 1
"""How once: of all fees of the same item, source and region."""


class Closer:
    """Works out and closes months of operators. Calls block.

    All that rate raise Refused STATE_CONFLICT where no sharing rule was in force for some use.
    """

    def __init__(
        self,
        months: LedgerMonths,
        closings: SqlClosings,
        notes: SqlCreditNotes,
        log: AuthorityLog,
    ) -> None:
        self._months = months
        self._closings = closings
        self._notes = notes
        self._log = log

    def present(self, operator_id: str, month: Month, books: Books) -> Statement:
        """Return the statement of a month: as it was closed, or as it stands now."""
        closed = self._closings.closed(operator_id, month.name)
        if closed is not None:
            return closed.statement
        known = self._notes.of_operator(operator_id)
        # While an earlier month is open, its own closing will cover what came late.
        before = month_before(month)
        next_to_close = before is not None and self._closings.last_settled() == before.name
        asked = _Asked(operator_id, month, self._months.position(operator_id), books)
        return self._worked_out(asked, known.notes, late=next_to_close)

    def close(self, operator_id: str, month: Month, books: Books, now: int) -> ClosedMonth:
        """Close a month that is over, if it is not closed yet, and return it.

        By ``books``, or by newer ones where something was put into force meanwhile: by a clock that
        is behind, it may count for the month. Raises MonthSettled where the month was settled
        without the operator.
        """
        closed = self._closings.closed(operator_id, month.name)
        while closed is None:
            # Before the position: no note is about a use that is not counted.
            known = self._notes.of_operator(operator_id)
            position = self._months.position(operator_id)
            statement = self._worked_out(_Asked(operator_id, month, position, books), known.notes)
            statement.close_time.seconds = now
            rates = self._rates_as(books)
            try:
                closed = self._closings.close(statement, position, now, rates, known.ids)
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
        """Return a month's own use rated as it is, and with uses as they ought to be, both as the
        ledger stands now."""
        closed = self._closings.closed(operator_id, month.name)
        form = SHARING_FORM if closed is None else closed.statement.sharing_form
        asked = _Asked(operator_id, month, self._months.position(operator_id), books, form)
        return self._rated(asked), self._rated(asked, right)

    def trued_up(self, operator_id: str, month: Month) -> list[CreditNote]:
        """Return the notes by which closings put right what was given back of a month."""
        return trued_up(month.name, self._closings.statements(operator_id, month.name))

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
        asked = _Asked(closed.operator_id, month, closed.position, books, form)
        ids = closed.known_notes or frozenset()
        known = self._notes.of_operator(closed.operator_id).notes if ids else ()
        statement = self._worked_out(
            asked, [each for each in known if each.note.credit_note_id in ids]
        )
        statement.close_time.seconds = closed.closed_at
        return statement

    def _worked_out(
        self, asked: "_Asked", known: Sequence[KeptNote], *, late: bool = True
    ) -> Statement:
        """Return a statement with what is booked in its month: what came ``late`` to others too,
        and what was given back by the notes that are ``known``."""
        statement = self._rated(asked)
        operator_id, month = asked.operator_id, asked.month
        before = self._closings.before(operator_id, month.name)
        closed = [each.statement for each in before]
        since = before[-1].position if before else NOWHERE
        others = self._late_months(asked, since) if late else []
        noted = self._noted(operator_id, known)
        told = (before[-1].known_notes if before else None) or frozenset()
        to_true_up = {
            each: about
            for each, about in noted.items()
            if each == month
            or (late and each.from_ < month.from_ and (each in others or not about.ids <= told))
        }
        notes = [
            *self._closings.notes(operator_id, month.name),
            *self._true_ups(asked, to_true_up, closed),
        ]
        complete(statement, self._adjustments(asked, others, closed, since), notes)
        return statement

    def _noted(self, operator_id: str, known: Sequence[KeptNote]) -> Mapping[Month, AboutMonth]:
        """Return the notes about uses, by month."""
        noted = [(each.note, proven) for each, proven in about_uses(known)]
        places = {place for each in noted if (place := place_of(*each)) is not None}
        served = self._months.served_at(operator_id, places) if places else {}
        return by_month(noted, {place: month_of(at) for place, at in served.items()})

    def _late_months(self, asked: "_Asked", since: LedgerPosition) -> list[Month]:
        """Return the earlier months that use came to since a closing, in order."""
        month = asked.month
        days = self._months.late_days(asked.operator_id, since, asked.position, month.from_)
        return sorted({month_of(day) for day in days}, key=_name)

    def _rated(self, asked: "_Asked", right: RightLines = NONE) -> Statement:
        operator_id, month, position, books, form = asked
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
        asked: "_Asked",
        late: Sequence[Month],
        closed: Sequence[Statement],
        since: LedgerPosition,
    ) -> list[StatementAdjustment]:
        """Return what came to ``late`` months since the last closing, in order of month."""
        found = (
            adjustment(
                self._rated(asked._replace(month=each, position=since))
                if is_settled(each.name, closed)
                else None,
                self._rated(asked._replace(month=each)),
                SettledUse(since.size, subjects_settled(each.name, closed)),
            )
            for each in late
        )
        return [each for each in found if each is not None]

    def _true_ups(
        self, asked: "_Asked", noted: Mapping[Month, AboutMonth], closed: Sequence[Statement]
    ) -> Iterator[CreditNote]:
        """Yield what puts right what was given back of months, in order, where it is not right."""
        forms = {statement.month: statement.sharing_form for statement in closed}
        for month in sorted(noted, key=_name):
            notes, right = noted[month]
            if right is None:
                continue
            # As it was booked, so that what is right moves nothing.
            of_month = asked._replace(month=month, form=forms.get(month.name, asked.form))
            note = true_up(
                asked.month.name,
                self._rated(of_month),
                self._rated(of_month, right),
                [*notes, *trued_up(month.name, closed)],
            )
            if note is not None:
                yield note


class _Asked(NamedTuple):
    """What a statement is worked out of: up to ``position`` of the ledger, by ``books``, its shares
    in a ``form``."""

    operator_id: str
    month: Month
    position: LedgerPosition
    books: Books
    form: int = SHARING_FORM


def _name(month: Month) -> str:
    return month.name
